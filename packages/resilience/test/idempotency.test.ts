// Idempotent calls of several processes, over SQLite and a real Redis: who does the work, and what a crash leaves.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { spawnProcess, startRedis, temporaryFolder, testWithTools } from "@tooling/testing";
import { describe, expect, test as plainTest, vi } from "vitest";
import { type IdempotencyGuard, type IdempotencyGuardOptions, idempotencyGuard } from "../src/index.ts";
import { redisIdempotency } from "../src/redis.ts";
import { idempotencyStoreConformance } from "../src/testing.ts";
import { openStore } from "./idempotency-support.ts";
import { redisClients } from "./redis-clients.ts";

const redisTest = testWithTools("redis-server");
vi.setConfig({ testTimeout: 60_000 });
const program = ["--conditions=@proj/source", new URL("./idempotency-process.ts", import.meta.url).pathname];

/** Each place, and the stores that two processes have in it. */
const places = {
  SQLite: { test: plainTest, kinds: ["sqlite", "sqlite"], open: openFile },
  Redis: { test: redisTest, kinds: ["node-redis", "ioredis"], open: openServer },
} as const;

for (const [name, { test, kinds, open }] of Object.entries(places)) {
  describe(name, () => {
    test("Of two processes that compete for the same keys, one does the work of each and both are told the same", async () => {
      await using place = await open();
      const children = kinds.map((kind) =>
        spawnProcess(process.execPath, [...program, "compete", kind, place.at, place.log]),
      );
      try {
        const exits = await Promise.all(children.map((child) => child.exited));
        expect(
          exits.map(({ code }) => code),
          children.map(({ output }) => output).join("\n"),
        ).toEqual([0, 0]);
      } finally {
        await Promise.all(children.map((child) => child.kill()));
      }
      const done = (await readFile(place.log, "utf8")).trim().split("\n").map(Number);
      expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, key) => key));
      const [one = [], two] = children.map(({ stdout }) =>
        stdout.split("\n").filter((line) => line.startsWith("told")),
      );
      expect(one).toHaveLength(30);
      expect(two).toEqual(one);
    });

    test("A holder that is killed in the middle is not forgotten: others are told, ask, or run again", async () => {
      await using place = await open();
      await using holder = spawnProcess(process.execPath, [...program, "hold", kinds[0], place.at, place.log]);
      const [, id, fence] = await holder.waitForLine(/^holds (\S+) (\d+)$/);
      await using opened = await openStore(kinds[1], place.at);
      const guard = (options: IdempotencyGuardOptions): IdempotencyGuard =>
        idempotencyGuard({ store: opened.store, poll: 10, ...options });
      const work = vi.fn((_context: unknown, run: { fence: number }) => run.fence);

      // While it lives others wait or are turned away; after its death they are told once its lease has ended.
      const impatient = guard({ onDuplicate: "reject" }).run("key", work);
      await expect(impatient).rejects.toMatchObject({ code: "ERR_IDEMPOTENCY_CONFLICT" });
      const patient = guard({}).run("key", work);
      patient.catch(() => {});
      await holder.kill();
      await expect(patient).rejects.toMatchObject({ code: "ERR_IDEMPOTENCY_CRASHED", crashedId: id });
      await expect(guard({ onCrash: () => "reject" }).run("key", work)).rejects.toMatchObject({
        code: "ERR_IDEMPOTENCY_CRASHED",
      });
      expect(work).not.toHaveBeenCalled();

      const result = await guard({ onCrash: "rerun" }).run("key", work);
      expect(result).toBeGreaterThan(Number(fence));
      expect(work).toHaveBeenCalledTimes(1);
      expect(await guard({}).run("key", work)).toBe(result);
    });

    test("A holder that stood still past its lease is taken over, and cannot overwrite what came after", async () => {
      await using place = await open();
      await using holder = spawnProcess(process.execPath, [...program, "hold", kinds[1], place.at, place.log]);
      const [, id = ""] = await holder.waitForLine(/^holds (\S+)/);
      holder.signal("SIGSTOP");
      await using opened = await openStore(kinds[0], place.at);
      const guard = idempotencyGuard({ store: opened.store, poll: 10, onCrash: () => ({ value: "found" }) });
      expect(await guard.run("key", () => "done")).toBe("found");
      holder.signal("SIGCONT");
      expect(await opened.store.complete("key", id, '{"value":"of the dead"}', 60_000)).toBe(false);
      expect(await guard.run("key", () => "done")).toBe("found");
    });
  });
}

for (const [name, connect] of Object.entries(redisClients)) {
  const cases = idempotencyStoreConformance(async () => {
    const server = await redis();
    const [one, two] = [await connect(server.url), await connect(server.url)];
    const prefix = `${name} ${++cases_}:`;
    return {
      store: redisIdempotency(one.client, { prefix, timeout: 20_000 }),
      other: redisIdempotency(two.client, { prefix, timeout: 20_000 }),
      async close() {
        await one[Symbol.asyncDispose]();
        await two[Symbol.asyncDispose]();
      },
    };
  });
  describe(`Redis with ${name}`, () => {
    for (const { name, run } of cases) redisTest(name, run);

    redisTest("Scripts that the server has forgotten, and its death, lose no record", async () => {
      await using server = await startRedis({ args: ["--appendfsync", "always"] });
      await using connected = await connect(server.url);
      const store = redisIdempotency(connected.client, { timeout: 20_000 });
      const guard = idempotencyGuard({ store, lease: 60_000 });
      expect(await guard.run("before", () => "done")).toBe("done");
      const end = Promise.withResolvers<string>();
      const running = guard.run("during", () => end.promise);
      await guard.run("begun after it", () => "so that it has begun");
      await server.kill();
      await server.restart(); // without scripts
      expect(await guard.run("before", () => "again")).toBe("done");
      const other = idempotencyGuard({ store, onDuplicate: "reject" });
      await expect(other.run("during", () => "again")).rejects.toMatchObject({ code: "ERR_IDEMPOTENCY_CONFLICT" });
      end.resolve("done");
      expect(await running).toBe("done");
      expect(await other.run("during", () => "again")).toBe("done");
    });

    redisTest("A result that is there while Redis is away reaches its caller, and Redis when it is back", async () => {
      await using server = await startRedis();
      await using connected = await connect(server.url);
      const store = redisIdempotency(connected.client, { timeout: 500 });
      const guard = idempotencyGuard({ store, lease: 60_000 });
      const end = Promise.withResolvers<string>();
      const started = Promise.withResolvers<void>();
      const running = guard.run("key", () => {
        started.resolve();
        return end.promise;
      });
      await started.promise;
      await server.kill();
      end.resolve("done");
      expect(await running).toBe("done");
      await expect(guard.run("another", () => "x")).rejects.toMatchObject({ code: "ERR_TIMEOUT" });
      expect(await guard.run("key", () => "again")).toBe("done"); // from memory
      await server.restart();
      await vi.waitFor(async () => {
        const claim = { owner: "x", fingerprint: "", lease: 1, ttl: 1, takeOver: "" };
        expect((await store.begin("key", claim)).state).toBe("completed");
      }, 30_000);
    });
  });
}

let cases_ = 0;
let shared: ReturnType<typeof startRedis> | undefined;

/** One server for all cases, which ends with this process at the latest. */
function redis(): ReturnType<typeof startRedis> {
  shared ??= startRedis();
  return shared;
}

interface Place extends AsyncDisposable {
  readonly at: string;
  readonly log: string;
}

async function openFile(): Promise<Place> {
  const folder = await temporaryFolder();
  const log = join(folder.path, "log");
  await writeFile(log, "");
  return { at: join(folder.path, "records.sqlite"), log, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

async function openServer(): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startRedis());
  const file = stack.use(await openFile());
  const owned = stack.move();
  return { at: server.url, log: file.log, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
