import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Context } from "@proj/concurrency";
import { components } from "@proj/concurrency/inspect";
import { TestClock } from "@proj/concurrency/testing";
import { afterEach, expect, test } from "vitest";
import { end, type SentCall, seeded, send, share } from "../../test/support/balance-calls.ts";
import {
  type BalanceOptions,
  balance,
  compose,
  constant,
  type Endpoint,
  leastRequests,
  NoEndpointError,
  p2cEwma,
  type ResilienceEvent,
  resilienceChannel,
  retry,
  ring,
  roundRobin,
  weighted,
} from "../index.ts";

const strategies = [roundRobin, weighted, leastRequests, p2cEwma, ring];

const events: ResilienceEvent[] = [];
const listen = (event: unknown): void => void events.push(event as ResilienceEvent);

afterEach(() => {
  unsubscribe(resilienceChannel, listen);
  events.length = 0;
});

test.each(strategies)("%o gives each endpoint about the same where all are equal", (strategy) => {
  const clock = new TestClock();
  const balancer = balance(["a", "b", "c", "d"], strategy(), { clock, random: seeded(1) });
  const counts = share(balancer, clock, 4_000);
  expect(counts.size).toBe(4);
  for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(200);
});

test.each([weighted, leastRequests, p2cEwma, ring])(
  "%o gives an endpoint more that has a higher weight",
  async (strategy) => {
    const clock = new TestClock();
    const large = { id: "large", address: "large", weight: 4 };
    const balancer = balance([large, "small"], strategy(), { clock, random: seeded(1) });
    const counts = await serve(balancer, clock, 4_000, () => 10);
    expect((counts.get("large") ?? 0) / (counts.get("small") ?? 0)).toBeGreaterThan(2);
  },
);

test.each(strategies)(
  "%o sends a call that is repeated to another endpoint each time (kubernetes/ingress-nginx#11852, #6632)",
  (strategy) => {
    const clock = new TestClock();
    const balancer = balance(["a", "b", "c", "d"], strategy(), { clock });
    const tried = new Set<string>();
    const untried = ({ id }: Endpoint): boolean => !tried.has(id);
    for (let attempt = 1; attempt <= 4; attempt++) {
      const sent = send(balancer, clock, "key", untried);
      tried.add(sent.id);
      end(balancer, clock, sent, "fail");
      expect(tried.size).toBe(attempt);
    }
    expect(() => send(balancer, clock, "key", untried)).toThrow(NoEndpointError);
  },
);

test.each(strategies)(
  "%o finds out of two that both failed the one that is back (nodejs/undici#4839)",
  async (strategy) => {
    for (const back of ["a", "b"]) {
      const clock = new TestClock();
      const balancer = balance(["a", "b"], strategy(), { clock, random: seeded(3) });
      for (let call = 0; call < 300; call++) {
        end(balancer, clock, send(balancer, clock), "fail", 5);
        await clock.advance(10);
      }
      let good = 0;
      for (let call = 0; call < 2_000; call++) {
        const sent = send(balancer, clock);
        if (sent.id === back) good++;
        end(balancer, clock, sent, sent.id === back ? "ok" : "fail", 5);
        if (call % 10 === 0) await clock.advance(100);
      }
      expect(good).toBeGreaterThan(1_000);
    }
  },
);

test("roundRobin() does not begin at the same endpoint in every process (grpc/grpc-node#2979, sercand/kuberesolver#14)", () => {
  const clock = new TestClock();
  const first = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    const balancer = balance(["a", "b", "c"], roundRobin(), { clock, random: seeded(seed) });
    first.add(send(balancer, clock).id);
  }
  expect(first).toEqual(new Set(["a", "b", "c"]));
});

test("weighted() spreads the turns of a heavy endpoint", () => {
  const clock = new TestClock();
  const endpoints = [{ id: "a", address: "a", weight: 5 }, "b", "c"];
  const balancer = balance(endpoints, weighted(), { clock });
  const order = Array.from({ length: 14 }, () => send(balancer, clock).id).join("");
  expect(order).toBe("aacabaaaacabaa");
});

test("leastRequests() turns away from where calls pile up", () => {
  const clock = new TestClock();
  const balancer = balance(["stuck", "a", "b"], leastRequests(), { clock, random: seeded(1) });
  const counts = new Map<string, number>();
  for (let call = 0; call < 900; call++) {
    const sent = send(balancer, clock);
    counts.set(sent.id, (counts.get(sent.id) ?? 0) + 1);
    if (sent.id !== "stuck") end(balancer, clock, sent);
  }
  expect(counts.get("stuck")).toBeLessThan(5);
});

test("p2cEwma() sends little to a slow endpoint, and more once it is fast again", async () => {
  const clock = new TestClock();
  const balancer = balance(["slow", "a", "b", "c"], p2cEwma(), { clock, random: seeded(5) });
  const slow = await serve(balancer, clock, 4_000, (id) => (id === "slow" ? 100 : 10));
  expect(slow.get("slow")).toBeLessThan(4_000 / 4 / 8);
  await serve(balancer, clock, 8_000, () => 10);
  const fast = await serve(balancer, clock, 4_000, () => 10);
  expect(fast.get("slow")).toBeGreaterThan(4_000 / 4 / 2);
});

test("p2cEwma() is not attracted by fast failures (kubernetes/ingress-nginx#5540, Netflix/astyanax#17)", async () => {
  for (const isColdStart of [true, false]) {
    const clock = new TestClock();
    const balancer = balance(["bad", "a", "b", "c"], p2cEwma(), { clock, random: seeded(2), ejection: false });
    if (!isColdStart) await serve(balancer, clock, 400, () => 50);
    const counts = await serve(balancer, clock, 8_000, (id) => (id === "bad" ? -1 : 50));
    expect(counts.get("bad")).toBeLessThan(8_000 / 4 / 2);
  }
});

test("p2cEwma() does not give up an endpoint for a single failure (sozercan/vekil#245)", async () => {
  const clock = new TestClock();
  const balancer = balance(["a", "b"], p2cEwma(), { clock, random: seeded(2) });
  let failures = 0;
  await serve(balancer, clock, 200, (id) => (id === "a" && failures++ === 0 ? -1 : 10));
  const counts = await serve(balancer, clock, 1_000, () => 10);
  expect(counts.get("a")).toBeGreaterThan(300);
});

test("p2cEwma() tries what it has not measured with one call at a time", () => {
  const clock = new TestClock();
  const balancer = balance(["a", "b"], p2cEwma(), { clock, slowStart: 0 });
  for (let call = 0; call < 20; call++) end(balancer, clock, send(balancer, clock), "ok", 10);
  balancer.update(["a", "b", "new"]);
  const sent = Array.from({ length: 50 }, () => send(balancer, clock));
  expect(sent.filter(({ id }) => id === "new")).toHaveLength(1);
});

test("ring() keeps a key where it is, and gives it back after its endpoint was away", async () => {
  const clock = new TestClock();
  const balancer = balance(["a", "b", "c"], ring(), { clock, ejection: { consecutive: 1, duration: 1_000 } });
  const home = send(balancer, clock, "user:1");
  end(balancer, clock, home, "fail");
  const away = send(balancer, clock, "user:1");
  end(balancer, clock, away);
  expect(away.id).not.toBe(home.id);
  await clock.advance(20_000);
  expect(send(balancer, clock, "user:1").id).toBe(home.id);
});

test("ring() takes the key from where it is told", () => {
  const clock = new TestClock();
  const balancer = balance(["a", "b", "c", "d", "e", "f"], ring({ key: ({ name }) => name, boundedLoad: 100 }), {
    clock,
  });
  const ids = new Set(Array.from({ length: 20 }, (_, key) => send(balancer, clock, `${key}`).id));
  expect(ids.size).toBe(1); // all calls have one name
});

test.each([
  () => ring({ boundedLoad: 0.9 }),
  () => ring({ replicas: 0 }),
  () => p2cEwma({ decay: 0 }),
  () => balance(["a"], roundRobin(), { panic: 2 }),
  () => balance(["a"], roundRobin(), { slowStart: -1 }),
  () => balance(["a"], roundRobin(), { ejection: { maxShare: 1.1 } }),
  () => balance(["a"], roundRobin(), { ejection: { consecutive: 0 } }),
  () => balance(["a"], roundRobin(), { healthCheck: { check: () => true, interval: 0 } }),
  () => balance([{ id: "a", address: "a", weight: -1 }], roundRobin()),
])("an option that makes no sense is refused: %s", (make) => {
  expect(make).toThrow(RangeError);
});

test.each([
  () => balance([{ id: "a" } as Endpoint], roundRobin()),
  () => balance("a" as unknown as string[], roundRobin()),
  () => ring({ key: "id" as unknown as () => string }),
])("what is no endpoint or function is refused: %s", (make) => {
  expect(make).toThrow(TypeError);
});

test("an endpoint that comes to others gets its share bit by bit", async () => {
  for (const strategy of [roundRobin, weighted, leastRequests, p2cEwma]) {
    const clock = new TestClock();
    const balancer = balance(["a", "b"], strategy(), { clock, random: seeded(4), slowStart: 10_000 });
    await serve(balancer, clock, 100, () => 10);
    balancer.update(["a", "b", "new"]);
    const early = await serve(balancer, clock, 900, () => 10, 1);
    await clock.advance(10_000);
    const late = await serve(balancer, clock, 900, () => 10, 1);
    expect(early.get("new") ?? 0).toBeLessThan(150);
    expect(late.get("new")).toBeGreaterThan(200);
  }
});

test("a call in flight outlives its endpoint, which has its statistics when it is back by then", () => {
  const clock = new TestClock();
  const balancer = balance(["a"], roundRobin(), { clock });
  const sent = send(balancer, clock);
  balancer.update(["b", "c"]);
  expect(balancer.stats()).toMatchObject({ known: 2, inFlight: 1 });
  balancer.update(["a", "b"]);
  expect(balancer.stats().endpoints.find(({ id }) => id === "a")).toMatchObject({ inFlight: 1, calls: 1 });
  end(balancer, clock, sent, "fail");
  expect(balancer.stats().endpoints.find(({ id }) => id === "a")).toMatchObject({ inFlight: 0, failures: 1 });
});

test("of several endpoints with one id the first counts, and one of weight 0 gets no calls", () => {
  const balancer = balance(["a", { id: "a", address: "other" }, { id: "b", address: "b", weight: 0 }], roundRobin());
  expect(balancer.endpoints).toEqual([{ id: "a", address: "a" }]);
});

test("without an endpoint a call is rejected with what is known, without a stack unless one is wanted", () => {
  const clock = new TestClock();
  const none = balance([], roundRobin(), { clock, name: "users" });
  const error = caught(() => send(none, clock));
  expect(error).toMatchObject({ name: "NoEndpointError", code: "ERR_NO_ENDPOINT", known: 0, ready: 0 });
  expect(error.message).toBe("Cannot pick an endpoint of users: none is known");
  expect(error.stack).not.toContain(" at ");
  const some = balance(["a", "b"], roundRobin(), { clock, stack: true });
  const refused = caught(() => send(some, clock, undefined, () => false));
  expect(refused).toMatchObject({ known: 2, ready: 2 });
  expect(refused.stack).toContain("balancer.test");
  expect(some.stats().inFlight).toBe(0);
});

test("a balancer with a name is listed, with what it knows of each endpoint", () => {
  const clock = new TestClock();
  const balancer = balance(["a"], roundRobin(), { name: "listed balancer", clock });
  end(balancer, clock, send(balancer, clock), "timeout");
  send(balancer, clock);
  const { stats } = components("balancer").find(({ name }) => name === "listed balancer") ?? {};
  expect(stats).toEqual({
    strategy: "round-robin",
    known: 1,
    ready: 1,
    ejected: 0,
    isPanicking: false,
    inFlight: 1,
    endpoints: [{ id: "a", address: "a", state: "healthy", inFlight: 1, calls: 2, failures: 1, ejections: 0 }],
  });
});

test("a source of sets is followed; a bad set is told and dropped; the last good one stays when the source fails", async () => {
  subscribe(resilienceChannel, listen);
  const clock = new TestClock();
  const broken = new Error("the registry is gone");
  async function* source() {
    yield ["a"];
    yield [{ id: 1 } as unknown as Endpoint];
    yield ["a", "b"];
    throw broken;
  }
  const balancer = balance(source(), roundRobin(), { clock, name: "users" });
  expect(caught(() => send(balancer, clock))).toBeInstanceOf(NoEndpointError);
  await balancer.ready();
  await settled();
  expect(balancer.endpoints.map(({ id }) => id)).toEqual(["a", "b"]);
  const failed = events.filter(({ kind }) => kind === "discovery-failed");
  expect(failed).toMatchObject([
    { name: "users", known: 1, error: expect.any(TypeError) },
    { name: "users", known: 2, error: broken },
  ]);
  const refused = caught(() => send(balancer, clock, undefined, () => false));
  expect(refused.cause).toBe(broken);
});

test("ready() rejects with what the source failed with, when its signal aborts, and when the balancer is closed", async () => {
  const broken = new Error("the registry is gone");
  const failing: AsyncIterable<string[]> = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(broken) }),
  };
  await expect(balance(failing, roundRobin()).ready()).rejects.toBe(broken);
  const silent: AsyncIterable<string[]> = {
    [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
  };
  const waiting = balance(silent, roundRobin());
  await expect(waiting.ready({ signal: AbortSignal.abort("not now") })).rejects.toBe("not now");
  const ready = expect(waiting.ready()).rejects.toMatchObject({ code: "ERR_CLOSED" });
  await waiting.close();
  await ready;
});

test("close() ends the iteration and does not wait for it; calls go on", async () => {
  const clock = new TestClock();
  let returned = 0;
  let sets = 0;
  const source: AsyncIterable<string[]> = {
    [Symbol.asyncIterator]: () => ({
      next: () => (sets++ === 0 ? Promise.resolve({ done: false, value: ["a"] }) : new Promise(() => {})),
      return: () => {
        returned++;
        return new Promise(() => {});
      },
    }),
  };
  const balancer = balance(source, roundRobin(), { clock });
  await balancer.ready();
  await balancer[Symbol.asyncDispose]();
  expect(returned).toBe(1);
  expect(send(balancer, clock).id).toBe("a");
});

test("the events of a balancer tell who was ejected, who came back, and panic", async () => {
  subscribe(resilienceChannel, listen);
  const clock = new TestClock();
  const balancer = balance(["a", "b"], roundRobin(), {
    clock,
    name: "users",
    random: () => 0,
    panic: 0.6,
    ejection: { consecutive: 1, duration: 1_000 },
  });
  end(balancer, clock, send(balancer, clock), "fail");
  await clock.advance(1_000);
  send(balancer, clock);
  expect(events).toMatchObject([
    { kind: "balancer-panicked", name: "users", known: 2 },
    {
      kind: "endpoint-ejected",
      name: "users",
      endpoint: { id: "a" },
      reason: "consecutive-failures",
      durationMs: 1_000,
    },
    { kind: "endpoint-returned", name: "users", endpoint: { id: "a" } },
    { kind: "balancer-calmed", name: "users", known: 2 },
  ]);
});

test("a balancer follows the clock of the context in which it is made", () => {
  const clock = new TestClock({ now: 5_000 });
  using context = Context.derive({ clock });
  const balancer = Context.run(context, () => balance(["a"], roundRobin(), { slowStart: 100 }));
  Context.run(context, () => balancer.update(["a", "b"]));
  const { b = 0 } = Object.fromEntries(share(balancer, clock, 200));
  expect(Math.abs(b - 200 / 11)).toBeLessThan(3); // a tenth of the other's
});

/**
 * Sends a call every other millisecond, 500 in a second, each of which takes as long as `latency` says of its endpoint;
 * one of less than 0 fails at once.
 */
async function serve(
  balancer: ReturnType<typeof balance>,
  clock: TestClock,
  calls: number,
  latency: (id: string) => number,
  every = 2,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const ends: { readonly at: number; readonly sent: SentCall; readonly failed: boolean }[] = [];
  const settle = (now: number): void => {
    for (const due of ends.filter(({ at }) => at <= now)) {
      ends.splice(ends.indexOf(due), 1);
      end(balancer, clock, due.sent, due.failed ? "fail" : "ok", due.at - due.sent.call.startedAt);
    }
  };
  const start = clock.now();
  let advanced = start;
  let now = start;
  const virtual = { ...clock, now: () => now, wall: () => now, setTimeout: clock.setTimeout.bind(clock) };
  for (let call = 0; call < calls; call++) {
    now = start + call * every;
    settle(now);
    const sent = send(balancer, virtual);
    counts.set(sent.id, (counts.get(sent.id) ?? 0) + 1);
    const took = latency(sent.id);
    ends.push({ at: now + Math.max(1, took), sent, failed: took < 0 });
    if (now - advanced >= 500) {
      await clock.advance(now - advanced);
      advanced = now;
    }
  }
  now += 1_000;
  settle(now);
  await clock.advance(now - advanced);
  return counts;
}

test("ready() waits for a good set after a bad one", async () => {
  const balancer = balance(
    (async function* () {
      yield [42 as unknown as string];
      yield ["a"];
    })(),
    roundRobin(),
  );
  await settled();
  await balancer.ready();
  expect(balancer.endpoints.map(({ id }) => id)).toEqual(["a"]);
});

test("ready() rejects when the source ends without a set, and does not wait for one that will never come", async () => {
  const balancer = balance((async function* () {})(), roundRobin());
  await expect(balancer.ready()).rejects.toThrow(NoEndpointError);
});

test("ready() resolves once endpoints were given by hand, whatever has become of the source", async () => {
  const balancer = balance(
    (async function* () {
      yield await Promise.reject(new Error("the registry is gone"));
    })(),
    roundRobin(),
  );
  await expect(balancer.ready()).rejects.toThrow("the registry is gone");
  balancer.update(["a"]);
  await balancer.ready();
  await balancer.close();
  await balancer.close();
  await balancer.ready();
});

test("A call that has tried all endpoints is sent to one again, and nobody hears of a rejection that was none", async () => {
  subscribe(resilienceChannel, listen);
  const call = compose(
    { idempotent: true },
    retry({ attempts: 3, backoff: constant(0) }),
    balance(["a"], roundRobin(), { ejection: false }),
  );
  const answer = await call(async (_context, { attempt }) => (attempt < 3 ? Promise.reject(new Error("no")) : attempt));
  expect(answer).toBe(3);
  expect(events.map(({ kind }) => kind)).toEqual(["call-retried", "call-retried"]);
});

test.each([
  [{ ejection: null }, "ejection must be an object, got null"],
  [{ ejection: 7 }, "ejection must be an object, got 7"],
  [{ healthCheck: 0 }, "healthCheck must be an object, got 0"],
  [{ random: 0.5 }, "random must be a function, got 0.5"],
  [null, "options must be an object, got null"],
])("balance() says what is wrong with %o", (options, message) => {
  expect(() => balance(["a"], roundRobin(), options as unknown as BalanceOptions)).toThrow(
    `Cannot balance: ${message}`,
  );
});

test("balance() says what is wrong with a strategy that is none", () => {
  for (const strategy of [undefined, "round-robin", roundRobin]) {
    expect(() => balance(["a"], strategy as unknown as ReturnType<typeof roundRobin>)).toThrow(
      /^Cannot balance: strategy.open must be a function, got undefined$/,
    );
  }
});

function caught(run: () => unknown): Error & { readonly cause?: unknown } {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  throw new Error("It was to throw");
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
