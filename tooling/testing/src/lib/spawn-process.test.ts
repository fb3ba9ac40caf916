import { expect, test, vi } from "vitest";
import { spawnProcess } from "./spawn-process.ts";

vi.setConfig({ testTimeout: 60_000 }); // processes start slowly on a busy machine

const node = process.execPath;

test("both outputs are collected, apart and together", async () => {
  await using child = spawnProcess("sh", ["-c", "echo out; echo err >&2; exit 3"]);
  expect(await child.exited).toEqual({ code: 3, signal: null });
  expect(child.stdout).toBe("out\n");
  expect(child.stderr).toBe("err\n");
  expect(child.output.split("\n").sort()).toEqual(["", "err", "out"]);
});

test("waitForLine() finds a line already printed and one yet to come, without its colours", async () => {
  await using child = spawnProcess("sh", [
    "-c",
    "echo first; read line; printf '\\033[32mport\\033[0m 80\\n'; read line",
  ]);
  await child.waitForLine(/^first$/);
  await child.waitForLine(/^first$/);
  const next = child.waitForLine(/^port (\d+)$/g);
  child.write("\n");
  expect((await next)[1]).toBe("80");
});

test("waitForLine() rejects with the output when the process ends without the line", async () => {
  await using child = spawnProcess("sh", ["-c", "echo no such luck; exit 2"]);
  await expect(child.waitForLine(/never/)).rejects.toThrow(/the process ended with 2\n.*no such luck/s);
});

test("waitForLine() rejects when the time is over", async () => {
  await using child = spawnProcess("sleep", ["600"]);
  await expect(child.waitForLine(/never/, { timeout: 1 })).rejects.toThrow("nothing within 1 ms");
});

test("a program that does not exist rejects both ways and disposes quietly", async () => {
  await using child = spawnProcess("no-such-program");
  await expect(child.exited).rejects.toThrow("ENOENT");
  await expect(child.waitForLine(/never/)).rejects.toThrow("ENOENT");
  expect(child.pid).toBeUndefined();
});

test("stop() lets a process end in order", async () => {
  const script =
    "process.on('SIGTERM', () => { console.log('bye'); process.exit(0) }); console.log('up'); setInterval(() => {}, 1e6)";
  await using child = spawnProcess(node, ["--eval", script]);
  await child.waitForLine(/up/);
  expect(await child.stop()).toEqual({ code: 0, signal: null });
  expect(child.stdout).toBe("up\nbye\n");
});

test("stop() kills a process that ignores SIGTERM", async () => {
  await using child = spawnProcess(node, [
    "--eval",
    "process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1e6)",
  ]);
  await child.waitForLine(/up/);
  expect(await child.stop({ timeout: 1 })).toEqual({ code: null, signal: "SIGKILL" });
});

test("disposing kills the grandchildren too, even of a process that has ended", async () => {
  const child = spawnProcess("sh", ["-c", "sleep 600 & echo $!; exit 0"]);
  const [, sleeper] = await child.waitForLine(/(\d+)/);
  await child.exited; // though the sleeper holds its pipes open
  await child[Symbol.asyncDispose]();
  await using look = spawnProcess("sh", [
    "-c",
    `while ps -o stat= -p ${sleeper} | grep -v Z; do sleep 0.05; done; echo gone`,
  ]);
  await look.waitForLine(/gone/);
});

test("the environment is that of this process and what is given; undefined removes", async () => {
  const script = "console.log(JSON.stringify([process.env.PATH !== undefined, process.env.GIVEN, process.env.HOME]))";
  await using child = spawnProcess(node, ["--eval", script], { env: { GIVEN: "1", HOME: undefined } });
  await child.exited;
  expect(JSON.parse(child.stdout)).toEqual([true, "1", null]);
});
