// Pressure is real, stays within its caps and ends with whoever asked for it.
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { PressureError, pressure } from "@proj/resilience/chaos";
import { runTool, spawnProcess, temporaryFolder } from "@tooling/testing";
import { expect, test, vi } from "vitest";
import { echoServer, turns, until } from "./support/chaos-servers.ts";

const onLinux = test.skipIf(process.platform !== "linux");

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function residentBytes(pid: number): Promise<number> {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

/** Clock ticks of CPU time of all threads of a process. */
async function cpuTicks(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

onLinux("memory is really there, never more than asked for, and free again after stop()", async () => {
  const bytes = 150_000_000;
  const memory = await pressure.memory({ bytes });
  expect([memory.kind, memory.held, memory.running]).toEqual(["memory", bytes, true]);
  const resident = await residentBytes(memory.pid);
  expect(resident).toBeGreaterThan(bytes);
  expect(resident).toBeLessThan(bytes + 120_000_000); // Node.js itself
  await memory.stop();
  await memory.stop();
  expect([memory.held, memory.running, isAlive(memory.pid)]).toEqual([0, false, false]);
});

onLinux("processors are kept busy by the threads that were asked for", async () => {
  await using cpu = await pressure.cpu({ threads: 1 });
  expect(cpu.held).toBe(1);
  const before = await cpuTicks(cpu.pid);
  const threads = await readdir(`/proc/${cpu.pid}/task`);
  expect(threads.length).toBeGreaterThan(1);
  while ((await cpuTicks(cpu.pid)) < before + 10) await turns(5); // 100 ms of CPU time, or the test times out
});

onLinux("file descriptors are held", async () => {
  await using fds = await pressure.fds({ count: 300 });
  expect(fds.held).toBe(300);
  expect((await readdir(`/proc/${fds.pid}/fd`)).length).toBeGreaterThanOrEqual(300);
});

test("descriptors of a server are held by connections to it, and given back", async () => {
  await using server = await echoServer();
  const fds = await pressure.fds({ count: 50, target: server.port });
  await until(() => server.sockets.size === 50);
  await fds.stop();
  await until(() => server.sockets.size === 0);
});

test.concurrent("it ends with its parent, even one that was killed", async () => {
  const module = JSON.stringify(new URL("../src/chaos.ts", import.meta.url).href);
  const program = `
    const { pressure } = await import(${module});
    const cpu = await pressure.cpu({ threads: 1, load: 0.1 });
    console.log("pid", cpu.pid);
    setInterval(() => {}, 1_000);
  `;
  const args = ["--conditions=@proj/source", "--input-type=module-typescript", "--eval", program];
  await using parent = spawnProcess(process.execPath, args, { cwd: new URL("..", import.meta.url).pathname });
  const pid = Number((await parent.waitForLine(/pid (\d+)/))[1]);
  expect(isAlive(pid)).toBe(true);
  parent.signal("SIGKILL");
  await parent.exited;
  await until(() => !isAlive(pid));
});

test.concurrent.each([false, true])(
  "it works from a bundle, minified with names kept or as it is: %s",
  async (minify) => {
    // The bundler that tsup builds with; only the part of its API that is used here is typed.
    const { build } = createRequire(import.meta.resolve("tsup"))("esbuild") as {
      build(options: object): Promise<unknown>;
    };
    await using folder = await temporaryFolder();
    const outfile = join(folder.path, "chaos.mjs");
    await build({
      entryPoints: [fileURLToPath(new URL("../src/chaos.ts", import.meta.url))],
      outfile,
      bundle: true,
      format: "esm",
      platform: "node",
      conditions: ["@proj/source"],
      minify,
      keepNames: minify,
    });
    const program = `
    const { pressure } = await import(${JSON.stringify(pathToFileURL(outfile).href)});
    for (const start of [
      () => pressure.memory({ bytes: 2_000_000 }),
      () => pressure.cpu({ threads: 1, load: 0.1 }),
      () => pressure.fds({ count: 10 }),
    ]) {
      await using pressing = await start();
      console.log(pressing.held);
    }
  `;
    const { code, stdout } = await runTool(process.execPath, ["--input-type=module", "--eval", program]);
    expect([code, stdout]).toEqual([0, "2000000\n1\n10\n"]);
  },
);

test.concurrent("it does not keep its parent alive", async () => {
  const module = JSON.stringify(new URL("../src/chaos.ts", import.meta.url).href);
  const program = `
    const { pressure } = await import(${module});
    const memory = await pressure.memory({ bytes: 1_000_000 });
    console.log("pid", memory.pid);
  `;
  const args = ["--conditions=@proj/source", "--input-type=module-typescript", "--eval", program];
  await using parent = spawnProcess(process.execPath, args, { cwd: new URL("..", import.meta.url).pathname });
  const pid = Number((await parent.waitForLine(/pid (\d+)/))[1]);
  expect(await parent.exited).toEqual({ code: 0, signal: null });
  await until(() => !isAlive(pid));
});

test("it ends by itself after its time", async () => {
  const memory = await pressure.memory({ bytes: 1_000, timeout: 1 });
  await until(() => !memory.running);
  expect(memory.held).toBe(0);
});

test("what would harm the machine is refused", async () => {
  await expect(pressure.memory({ bytes: 1e15 })).rejects.toThrow(/bytes must be at most half of what is available/);
  await expect(pressure.memory({ bytes: 0 })).rejects.toThrow(RangeError);
  await expect(pressure.cpu({ threads: 10_000 })).rejects.toThrow(/threads must be at most \d+, got 10000/);
  await expect(pressure.cpu({ load: 1.5 })).rejects.toThrow(RangeError);
  await expect(pressure.cpu({ load: 0 })).rejects.toThrow(/load must be a positive number, got 0/);
  await expect(pressure.fds({ count: 100_000 })).rejects.toThrow(/count must be at most 65536/);
  expect(new PressureError("cpu", "x").code).toBe("ERR_PRESSURE");
});

test("two at once do not take more together than one may", async () => {
  const available = vi.spyOn(process, "availableMemory").mockReturnValue(10_000_000);
  const first = pressure.memory({ bytes: 3_000_000 });
  await expect(pressure.memory({ bytes: 3_000_000 })).rejects.toThrow(/what is available, 2000000, got 3000000/);
  await using _second = await pressure.memory({ bytes: 2_000_000 });
  await using _first = await first;
  await using _third = await pressure.memory({ bytes: 5_000_000 }); // the system counts the others now
  available.mockRestore();
});

test("a process that cannot be started is told as what it is", async () => {
  const path = process.execPath;
  process.execPath = "/nowhere/node";
  const starting = pressure.memory({ bytes: 1 });
  const refused = expect(starting).rejects.toMatchObject({ code: "ERR_PRESSURE", cause: { code: "ENOENT" } });
  await turns(1);
  process.execPath = path;
  await refused;
});

onLinux("a server that does not even refuse is full: what it has taken is held", async () => {
  const program = `
    const server = require("node:net").createServer(() => {});
    server.listen({ port: 0, host: "127.0.0.1", backlog: 5 }, () => console.log("port", server.address().port));
  `;
  await using server = spawnProcess(process.execPath, ["--eval", program]);
  const port = Number((await server.waitForLine(/port (\d+)/))[1]);
  server.signal("SIGSTOP"); // the system accepts as many as fit into the backlog
  await using fds = await pressure.fds({ count: 30, target: port });
  expect(fds.held).toBeGreaterThan(0);
  expect(fds.held).toBeLessThan(30);
  server.signal("SIGCONT");
});
