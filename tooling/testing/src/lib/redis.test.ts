import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { expect, vi } from "vitest";
import { startRedis } from "./redis.ts";
import { testWithTools } from "./test-with-tools.ts";

vi.setConfig({ testTimeout: 60_000 }); // processes start slowly on a busy machine

const test = testWithTools("redis-server");

/** Sends one inline command and returns the raw answer. */
async function ask(port: number, command: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    socket.write(`${command}\r\n`);
    const [answer] = (await once(socket, "data")) as [Buffer];
    return answer.toString();
  } finally {
    socket.destroy();
  }
}

test("a write that Redis acknowledged is there after SIGKILL and a restart on the same port", async () => {
  await using redis = await startRedis();
  expect(await ask(redis.port, "SET city Delft")).toBe("+OK\r\n");

  await redis.kill();
  await expect(ask(redis.port, "PING")).rejects.toThrow("ECONNREFUSED");

  await redis.restart();
  expect(await ask(redis.port, "GET city")).toContain("Delft");
});

test("restart() of a running Redis stops it first and keeps its data", async () => {
  await using redis = await startRedis();
  await ask(redis.port, "SET city Delft");
  const before = await ask(redis.port, "INFO server");
  await redis.restart();
  expect(await ask(redis.port, "GET city")).toContain("Delft");
  expect(/process_id:\d+/.exec(await ask(redis.port, "INFO server"))).not.toEqual(/process_id:\d+/.exec(before));
});

test("five started at once are five servers with their own data", async () => {
  await using stack = new AsyncDisposableStack();
  const all = await Promise.all(Array.from({ length: 5 }, () => startRedis()));
  for (const redis of all) stack.use(redis);
  await Promise.all(all.map(({ port }) => ask(port, `SET port ${port}`)));
  for (const { port } of all) expect(await ask(port, "GET port")).toContain(`${port}`);
  expect(new Set(all.map(({ port }) => port)).size).toBe(5);
});

test("the caller's arguments win", async () => {
  await using redis = await startRedis({ args: ["--maxmemory", "5mb", "--requirepass", "secret"] });
  expect(await ask(redis.port, "PING")).toContain("NOAUTH");
  expect(await ask(redis.port, "AUTH secret\r\nCONFIG GET maxmemory")).toContain("OK");
});

test("a bad argument fails the start with what Redis says about it", async () => {
  await expect(startRedis({ args: ["--no-such-option", "1"] })).rejects.toThrow("Bad directive");
});

test("nothing is left when it is disposed of", async () => {
  let folder: string;
  let port: number;
  {
    await using redis = await startRedis();
    ({ folder, port } = redis);
    expect(existsSync(folder)).toBe(true);
  }
  expect(existsSync(folder)).toBe(false);
  await expect(ask(port, "PING")).rejects.toThrow("ECONNREFUSED");
});
