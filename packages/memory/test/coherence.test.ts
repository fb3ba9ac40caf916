// Several processes with a cache in tiers over one Redis: what they return after whatever happened to it.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type RunningProcess, spawnProcess, startRedis, testWithTools } from "@tooling/testing";
import { Redis } from "ioredis";
import { expect, vi } from "vitest";
import { tiered } from "../src/index.ts";
import { pubsubBus, redisTier, trackingBus } from "../src/redis.ts";
import type { Order } from "./support/coherence-process.ts";
import { connectIoRedis, connectTracking } from "./support/redis-clients.ts";

const test = testWithTools("redis-server");
vi.setConfig({ testTimeout: 60_000 });

const kinds = ["tracking", "pubsub"] as const;
const names = ["a", "b", "c", "d"];

for (const kind of kinds) {
  test(`4 processes over ${kind}: after cut links, pauses, restarts and FLUSHALL, none returns a value older than the last write`, async () => {
    // A server that loses what it has acknowledged when it crashes brings old values back: no cache can know.
    await using redis = await startRedis({ args: ["--appendfsync", "always"] });
    await using origin = await startRedis({ args: ["--appendonly", "no"] });
    await using group = new Group(kind, redis.url, origin.url);
    await group.ready();
    await using truth = await connectIoRedis(origin.url);
    const keys = [...names, "all", "all"].flatMap((owner, at) =>
      Array.from({ length: 4 }, (_, n) => `${owner}:${at}${n}`),
    );

    const trouble: Record<string, () => Promise<unknown>> = {
      nothing: async () => {},
      "CLIENT KILL": async () => {
        for (let n = 0; n < 4; n++) {
          await admin(redis.url, ["CLIENT", "KILL", "TYPE", n % 2 === 0 ? "normal" : "pubsub", "SKIPME", "yes"]);
          await delay(40);
        }
      },
      "CLIENT PAUSE": () => admin(redis.url, ["CLIENT", "PAUSE", "300", "ALL"]),
      FLUSHALL: () => admin(redis.url, ["FLUSHALL"]),
      "a restart": () => redis.restart(),
      "a crash": async () => {
        await redis.kill();
        await delay(50);
        await redis.restart();
      },
    };
    for (const [what, cause] of Object.entries(trouble)) {
      await group.tell({ what: "write", keys });
      await delay(100);
      await cause();
      await delay(150);
      await group.tell({ what: "stop" });
      await vi.waitFor(
        async () => expect(await group.tell({ what: "state" })).toEqual(names.map(() => ({ isUp: true }))),
        {
          timeout: 10_000,
          interval: 20,
        },
      );
      const last = await truthOf(truth.client, keys);
      // All know of one another again: within a second, all return what is.
      await vi.waitFor(
        async () => expect(await group.tell({ what: "read", keys }), what).toEqual(names.map(() => last)),
        {
          timeout: 1_000,
          interval: 50,
        },
      );
      expect(await group.tell({ what: "read", keys }), `${what}, again`).toEqual(names.map(() => last));
    }
  });

  test(`A stampede of 4 processes with 100 callers each over ${kind} makes one load`, async () => {
    await using redis = await startRedis();
    await using group = new Group(kind, redis.url, redis.url, 5_000);
    await group.ready();
    for (let round = 0; round < 3; round++) {
      const results = (await group.tell({ what: "stampede", keys: [`hot:${round}`] })) as Stampede[];
      expect(results.flatMap(({ loads }) => loads)).toHaveLength(1);
      expect(results.map(({ values }) => values)).toEqual(names.map(() => [1]));
    }
  });

  test(`When the process that loads is killed, another one loads within the lease and 50 ms, over ${kind}`, async () => {
    const lease = 600;
    await using redis = await startRedis();
    await using group = new Group(kind, redis.url, redis.url, lease);
    await group.ready();
    await using connected = await connectIoRedis(redis.url);
    const [holder, ...others] = group.members;
    if (holder === undefined) throw new Error("There is nobody");
    void holder.ask({ what: "stampede", keys: ["hot"], hang: true }).catch(() => {});
    await holder.process.waitForLine(/^loading$/);
    const endsAt = performance.timeOrigin + performance.now() + Number(await connected.client.pttl("lease:hot"));
    await Promise.all(others.map((member) => member.ask({ what: "lag" })));
    const waiting = Promise.all(others.map((member) => member.ask({ what: "stampede", keys: ["hot"] })));
    await holder.process.kill();
    const results = (await waiting) as Stampede[];
    const lags = (await Promise.all(others.map((member) => member.ask({ what: "lag" })))) as number[];
    const loads = results.flatMap((result) => result.loads);
    expect(loads).toHaveLength(1);
    expect(results.map(({ values }) => values)).toEqual(others.map(() => [1]));
    // Whoever stood still, as others used the machine, is not counted.
    expect((loads[0] as number) - endsAt).toBeLessThan(50 + Math.max(...lags));
  });
}

test("bentocache: a process whose link was cut while another one wrote does not go on with the old value", async () => {
  await using redis = await startRedis();
  await using stack = new AsyncDisposableStack();
  for (const kind of kinds) {
    const prefix = `${kind}:`;
    const open = async () => {
      const { client } = stack.use(await connectTracking(redis.url));
      const { client: subscriber } = stack.use(await connectIoRedis(redis.url));
      const bus =
        kind === "tracking" ? trackingBus({ client, prefix }) : pubsubBus({ client, subscriber, channel: kind });
      return stack.use(tiered<string>({ fresh: 3_600_000, tiers: [redisTier({ client, prefix })], bus }));
    };
    const [writer, reader] = [await open(), await open()];
    await vi.waitFor(() => expect([writer, reader].map((cache) => cache.stats().bus?.isLost)).toEqual([false, false]));
    await writer.set("key", "old");
    expect(await reader.get("key")).toBe("old");
    await vi.waitFor(() => expect(reader.get("key")).toBe("old")); // at once, from memory
    for (const type of ["pubsub", "normal"]) await admin(redis.url, ["CLIENT", "KILL", "TYPE", type, "SKIPME", "yes"]);
    await writer.set("key", "new");
    const isUp = (cache: typeof writer) => {
      const { bus, tiers } = cache.stats();
      return bus?.isLost === false && bus.pending === 0 && tiers.every(({ pending }) => pending === 0);
    };
    await vi.waitFor(() => expect([isUp(writer), isUp(reader)]).toEqual([true, true]), {
      timeout: 5_000,
      interval: 10,
    });
    // A write that was not heard may end as a deletion: then it is loaded.
    const read = async () => await reader.getOrLoad("key", async () => "new");
    await vi.waitFor(async () => expect(await read(), kind).toBe("new"), { timeout: 1_000, interval: 10 });
    await delay(50);
    expect(await read(), kind).toBe("new");
  }
});

interface Stampede {
  readonly values: readonly number[];
  readonly loads: readonly number[];
}

async function admin(url: string, [command = "", ...args]: readonly string[]): Promise<void> {
  const client = new Redis(url);
  try {
    await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

async function truthOf(client: Redis, keys: readonly string[]): Promise<Record<string, number>> {
  const values = await client.mget(...keys);
  return Object.fromEntries(keys.map((key, index) => [key, Number(values[index] ?? 0)]));
}

/** Processes that are told the same. */
class Group implements AsyncDisposable {
  readonly members: readonly Member[];

  constructor(kind: string, url: string, originUrl: string, leaseTtl = 0) {
    this.members = names.map((name) => new Member([kind, url, originUrl, name, `${leaseTtl}`]));
  }

  async ready(): Promise<void> {
    await Promise.all(this.members.map(({ process }) => process.waitForLine(/^ready$/)));
    const isUp = async () => expect(await this.tell({ what: "state" })).toEqual(names.map(() => ({ isUp: true })));
    await vi.waitFor(isUp, { timeout: 10_000, interval: 20 });
  }

  async tell(order: Omit<Order, "id">): Promise<unknown[]> {
    return await Promise.all(this.members.map((member) => member.ask(order)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map(({ process }) => process.kill()));
  }
}

class Member {
  readonly process: RunningProcess;
  #orders = 0;

  constructor(args: readonly string[]) {
    const program = new URL("./support/coherence-process.ts", import.meta.url).pathname;
    const env = { NODE_COMPILE_CACHE: join(tmpdir(), "proj-compiled") }; // starts in a third of the time
    this.process = spawnProcess(process.execPath, ["--conditions=@proj/source", program, ...args], { env });
  }

  async ask(order: Omit<Order, "id">): Promise<unknown> {
    const id = ++this.#orders;
    this.process.write(`${JSON.stringify({ ...order, id })}\n`);
    const [, answer = ""] = await this.process.waitForLine(new RegExp(`^answer ${id} (.*)$`));
    return JSON.parse(answer);
  }
}
