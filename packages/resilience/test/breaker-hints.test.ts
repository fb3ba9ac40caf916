// Breakers that share hints through a real Redis: when they believe each other, and what they do when it is away.
import { TestClock } from "@proj/concurrency/testing";
import { spawnProcess, startRedis, testWithTools } from "@tooling/testing";
import { describe, expect, vi } from "vitest";
import { type Breaker, type BreakerOptions, breaker, compose, type Resilient } from "../src/index.ts";
import {
  type SharedBreakerHints,
  type SharedBreakerHintsEvent,
  type SharedBreakerHintsOptions,
  sharedBreakerHints,
} from "../src/redis.ts";
import { connectNodeRedis, redisClients } from "./redis-clients.ts";

const test = testWithTools("redis-server");
vi.setConfig({ testTimeout: 60_000 });
type Client = Parameters<typeof sharedBreakerHints>[0];

/** What stands for a process: a breaker, its hints and calls through it. */
interface Node {
  readonly hints: SharedBreakerHints;
  readonly circuit: Breaker;
  readonly stack: Resilient;
  fail(key?: string): Promise<void>;
}

function nodeOf(
  client: Client,
  options: Partial<SharedBreakerHintsOptions> = {},
  circuitOptions: BreakerOptions = {},
): Node {
  const hints = sharedBreakerHints(client, { name: "users", timeout: 20_000, interval: 60_000, ...options });
  const clock = options.clock === undefined ? {} : { clock: options.clock };
  const circuit = breaker({
    hints,
    consecutive: 1,
    open: 60_000,
    halfOpen: { probes: 1 },
    ...clock,
    ...circuitOptions,
  });
  const stack = compose(clock, circuit);
  const fail = (key?: string) => stack(() => Promise.reject(new Error("down")), { key }).catch(() => {});
  return { hints, circuit, stack, fail };
}

async function syncAll(nodes: readonly Node[]): Promise<void> {
  for (const { hints } of nodes) await hints.sync();
}

for (const [name, connect] of Object.entries(redisClients)) {
  describe(name, () => {
    test("Polly#287, opossum#675: one bad node does not open the circuits of the others, two of four do", async () => {
      await using redis = await startRedis();
      await using connected = await connect(redis.url);
      const nodes = [1, 2, 3, 4].map(() => nodeOf(connected.client));
      const [first, second] = nodes as [Node, Node, Node, Node];
      await syncAll(nodes);
      await first.fail("eu");
      await syncAll(nodes);
      await syncAll(nodes);
      expect(nodes.map(({ circuit }) => circuit.state("eu"))).toEqual(["open", "closed", "closed", "closed"]);
      await second.fail("eu");
      await syncAll(nodes);
      await syncAll(nodes);
      expect(nodes.map(({ circuit }) => circuit.state("eu"))).toEqual(["open", "open", "open", "open"]);
      expect(nodes.map(({ circuit }) => circuit.state("us"))).toEqual(["closed", "closed", "closed", "closed"]);
      expect(nodes[3]?.hints.stats()).toEqual({ processes: 4, agreed: 1, open: 0, away: false });
    });

    test("A Redis that is killed and comes back empty delays no call, and what is open is told again", async () => {
      await using redis = await startRedis({ args: ["--appendonly", "no"] });
      await using connected = await connect(redis.url);
      const events: SharedBreakerHintsEvent["kind"][] = [];
      const options = { interval: 10, timeout: 200, onEvent: ({ kind }: SharedBreakerHintsEvent) => events.push(kind) };
      const nodes = [nodeOf(connected.client, options), nodeOf(connected.client), nodeOf(connected.client)];
      const [first, second, third] = nodes as [Node, Node, Node];
      await syncAll(nodes);

      await redis.kill();
      await first.hints.sync();
      expect([events, first.hints.stats()["away"]]).toEqual([["redis-lost"], true]);
      for (let call = 0; call < 1_000; call++) expect(await first.stack(async () => call)).toBe(call);
      await first.fail("eu");
      await second.fail("eu");
      expect([first, second, third].map(({ circuit }) => circuit.state("eu"))).toEqual(["open", "open", "closed"]);

      await redis.restart();
      await vi.waitFor(
        async () => {
          await syncAll(nodes);
          expect(third.circuit.state("eu")).toBe("open");
        },
        { timeout: 30_000, interval: 50 },
      );
      expect(events).toEqual(["redis-lost", "redis-back"]);
    });
  });
}

test("cockatiel#89, Polly#259, pybreaker#26: processes learn from one another, and a lone bad one persuades nobody", async () => {
  await using redis = await startRedis();
  const program = ["--conditions=@proj/source", new URL("./breaker-hints-process.ts", import.meta.url).pathname];
  const start = (kind: string, health: string) => spawnProcess(process.execPath, [...program, kind, redis.url, health]);
  const kinds = Object.keys(redisClients);
  await using well = start(kinds[0] ?? "", "well");
  await using ill = start(kinds.at(-1) ?? "", "ill");
  await ill.waitForLine(/^breaker-opened eu consecutive$/);
  await well.waitForLine(/^processes 2$/);
  const before = well.output.length;
  await using third = start(kinds[0] ?? "", "well"); // time for many round trips
  await third.waitForLine(/^processes 3$/);
  await well.waitForLine(/^processes 3$/);
  expect(well.output.slice(before) + third.output).not.toContain("breaker-opened");

  await using fourth = start(kinds.at(-1) ?? "", "ill");
  await fourth.waitForLine(/^breaker-opened eu consecutive$/);
  await Promise.all([well, third].map((process) => process.waitForLine(/^breaker-opened eu hint$/)));

  await redis.kill();
  await well.waitForLine(/^redis-lost$/);
  await redis.restart();
  await well.waitForLine(/^redis-back$/);
});

test("A process whose own probes succeed stays closed, until the others have changed their minds and agree anew", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const clock = new TestClock();
  const ill = [1, 2].map(() => nodeOf(connected.client, {}, { open: 3_600_000 }));
  const well = nodeOf(connected.client, { clock }, { open: 1_000 });
  await syncAll([...ill, well]);
  for (const node of ill) await node.fail();
  await syncAll([...ill, well]);
  expect(well.circuit.state()).toBe("open");
  await clock.advance(1_000);
  await well.stack(async () => "well");
  await well.hints.sync();
  expect([well.circuit.state(), well.hints.stats()["agreed"]]).toEqual(["closed", 1]);

  for (const node of ill) node.hints.closed(undefined);
  await syncAll([...ill, well]);
  expect(well.hints.stats()["agreed"]).toBe(0);
  for (const node of ill) node.hints.opened(undefined, 60_000);
  await syncAll([...ill, well]);
  expect(well.circuit.state()).toBe("open");
});

test("A circuit that was opened by a hint is no vote: hints do not keep each other alive", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const nodes = [1, 2, 3].map(() => nodeOf(connected.client));
  await syncAll(nodes);
  for (const node of nodes.slice(0, 2)) await node.fail();
  await syncAll(nodes);
  expect(nodes[2]?.circuit.state()).toBe("open");
  expect(nodes[2]?.hints.stats()).toMatchObject({ open: 0, agreed: 1 });
});

test("Votes and processes expire, so that nothing stays in Redis of those who are gone", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const nodes = [1, 2, 3].map(() => nodeOf(connected.client, { interval: 20 }, { open: 20 }));
  await syncAll(nodes);
  for (const node of nodes.slice(0, 2)) await node.fail();
  await syncAll(nodes);
  const size = async () => Number((await send(connected.client, "return redis.call('DBSIZE')")) ?? Number.NaN);
  expect(await size()).toBeGreaterThan(0);
  await vi.waitFor(async () => expect(await size()).toBe(0), { timeout: 10_000 });
});

test("Redis keeps so many votes of all processes and no more", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const nodes = [1, 2].map(() => nodeOf(connected.client, { maxVotes: 10 }));
  await syncAll(nodes);
  for (const node of nodes) for (let key = 0; key < 50; key++) await node.fail(`${key}`);
  await syncAll(nodes);
  const votes = await send(connected.client, "return redis.call('ZCARD', '{breaker:users}:open')");
  expect(Number(votes)).toBe(10);
  await nodes[0]?.fail("x".repeat(2_000)); // which nobody else could use
  expect(nodes[0]?.hints.stats()["open"]).toBe(50);
});

test("Keys of any text go there and back", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const nodes = [1, 2, 3].map(() => nodeOf(connected.client));
  await syncAll(nodes);
  const keys = ["", "-", "=a", "a:b", "ключ", "line\nbreak", undefined];
  for (const node of nodes.slice(0, 2)) for (const key of keys) await node.fail(key);
  await syncAll(nodes);
  expect(keys.map((key) => nodes[2]?.circuit.state(key))).toEqual(keys.map(() => "open"));
  expect(nodes[2]?.circuit.stats()["circuits"]).toBe(keys.length);
});

test("Calls ask Redis once in an interval, and none waits for it", async () => {
  await using redis = await startRedis();
  await using connected = await connectNodeRedis(redis.url);
  const clock = new TestClock();
  const node = nodeOf(connected.client, { clock, interval: 1_000 });
  const sync = vi.spyOn(node.hints, "sync");
  for (let call = 0; call < 100; call++) await node.stack(async () => call);
  await clock.advance(1_000);
  for (let call = 0; call < 100; call++) await node.stack(async () => call);
  expect(sync).toHaveBeenCalledTimes(2);
});

test("sharedBreakerHints() refuses options that are none, and a second breaker", async () => {
  const client = { eval: async () => [], evalsha: async () => [] };
  // @ts-expect-error no name
  expect(() => sharedBreakerHints(client, {})).toThrow(
    "Cannot share the hints of a breaker: name must be a text, got undefined",
  );
  expect(() => sharedBreakerHints(client, { name: "a", quorum: 2 })).toThrow(
    "quorum must be a number from 0 to 1, got 2",
  );
  expect(() => sharedBreakerHints(client, { name: "a", minimum: 0 })).toThrow(
    "minimum must be an integer of at least 1, got 0",
  );
  // @ts-expect-error no client
  expect(() => sharedBreakerHints({}, { name: "a" })).toThrow("client must be a client of redis or ioredis");
  const hints = sharedBreakerHints(client, { name: "a" });
  breaker({ hints });
  expect(() => breaker({ hints })).toThrow("Cannot share hints: they belong to another breaker already");
});

async function send(client: Client, script: string): Promise<unknown> {
  return "evalSha" in client ? await client.eval(script, { keys: [], arguments: [] }) : await client.eval(script, 0);
}
