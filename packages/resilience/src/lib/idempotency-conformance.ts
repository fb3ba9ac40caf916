// What every store of idempotent calls must do, for any test runner.
import { deepStrictEqual, ok } from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { IdempotencyClaim, IdempotencyState, IdempotencyStore } from "./idempotency-store.ts";

/** A store of a case's own, and what is needed to test it. */
export interface IdempotencyStoreFixture {
  /** Empty. */
  readonly store: IdempotencyStore;
  /** Another one over the same records, as another process has it. Default: `store`. */
  readonly other?: IdempotencyStore | undefined;
  /** Lets time pass for the store. Default: waits. */
  readonly pass?: ((ms: number) => Promise<void>) | undefined;
  /** Lets go of everything when the case is over. */
  readonly close?: (() => void | Promise<void>) | undefined;
}

/** One thing that a store must do. */
export interface ConformanceCase {
  /** A sentence. */
  readonly name: string;
  /** Rejects with an `AssertionError` if the store does not. */
  run(): Promise<void>;
}

/**
 * The cases that an `IdempotencyStore` must pass, each with a store that `make` returns.
 *
 * @example
 * ```ts
 * import { memoryIdempotency } from "@proj/resilience";
 * import { idempotencyStoreConformance } from "@proj/resilience/testing";
 *
 * for (const { name, run } of idempotencyStoreConformance(() => ({ store: memoryIdempotency() }))) {
 *   await run(); // or test(name, run)
 *   if (name.includes("fence")) console.log(name); // prints: A fence is higher than that of every earlier run
 * }
 * ```
 */
export function idempotencyStoreConformance(
  make: () => IdempotencyStoreFixture | Promise<IdempotencyStoreFixture>,
): ConformanceCase[] {
  return Object.entries(cases).map(([name, check]) => ({
    name,
    async run() {
      const { store, other = store, pass = delay, close } = await make();
      try {
        await check({ store, other, pass: async (ms) => void (await pass(ms)) });
      } finally {
        await close?.();
      }
    },
  }));
}

interface Bench {
  readonly store: IdempotencyStore;
  readonly other: IdempotencyStore;
  readonly pass: (ms: number) => Promise<void>;
}

const hour = 3_600_000;

function claim(owner: string, more: Partial<IdempotencyClaim> = {}): IdempotencyClaim {
  return { owner, fingerprint: "", lease: hour, ttl: hour, takeOver: "", ...more };
}

async function begun(store: IdempotencyStore, key: string, by: IdempotencyClaim): Promise<number> {
  const found = await store.begin(key, by);
  if (found.state !== "begun") throw new Error(`Cannot begin ${key}: it is ${found.state}`);
  return found.fence;
}

/** As a store tells it, whatever else it tells. */
async function look(store: IdempotencyStore, key: string): Promise<Record<string, unknown>> {
  const found: IdempotencyState = await store.begin(key, claim("somebody who only looks"));
  if (found.state === "begun") {
    await store.abandon(key, "somebody who only looks");
    return { state: "free" };
  }
  const { state, fingerprint } = found;
  return state === "completed"
    ? { state, fingerprint, outcome: found.outcome }
    : { state, fingerprint, owner: found.owner };
}

const cases: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  "A key that nobody has is begun, and is seen running by others": async ({ store, other }) => {
    await begun(store, "key", claim("a", { fingerprint: "f" }));
    const running = { state: "running", fingerprint: "f", owner: "a" };
    deepStrictEqual(await look(store, "key"), running);
    deepStrictEqual(await look(other, "key"), running);
    deepStrictEqual(await look(other, "another key"), { state: "free" });
  },

  "Of many who begin at once, one does": async ({ store, other }) => {
    const states = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => (i % 2 ? store : other).begin("key", claim(`owner ${i}`))),
    );
    deepStrictEqual(states.filter(({ state }) => state === "begun").length, 1);
    deepStrictEqual(states.filter(({ state }) => state === "running").length, 19);
  },

  "An outcome is kept as it is, with the fingerprint, for everybody": async ({ store, other }) => {
    const outcome = `é 漢 🙂 \u0000 "quoted" \u001b0 ${"x".repeat(100_000)}`;
    await begun(store, "key", claim("a", { fingerprint: "f" }));
    ok(await store.complete("key", "a", outcome, hour));
    deepStrictEqual(await look(other, "key"), { state: "completed", fingerprint: "f", outcome });
    deepStrictEqual(await look(store, "key"), { state: "completed", fingerprint: "f", outcome });
  },

  "An empty outcome is one": async ({ store }) => {
    await begun(store, "key", claim("a"));
    ok(await store.complete("key", "a", "", hour));
    deepStrictEqual(await look(store, "key"), { state: "completed", fingerprint: "", outcome: "" });
  },

  "Keys are told apart, whatever they hold": async ({ store }) => {
    const keys = [
      "a",
      "A",
      "a ",
      "é",
      "é",
      "a:b",
      "{a}",
      "a\u0000b",
      "a\u001b0b",
      "a\u001bb",
      "'; DROP TABLE idempotency; --",
      "k".repeat(1_000),
    ];
    for (const key of keys) await begun(store, key, claim(key));
    for (const key of keys) ok(await store.complete(key, key, `of ${key}`, hour));
    for (const key of keys) deepStrictEqual((await look(store, key))["outcome"], `of ${key}`);
  },

  "An outcome is free again after its time": async ({ store, pass }) => {
    await begun(store, "key", claim("a"));
    ok(await store.complete("key", "a", "done", 1));
    await pass(20);
    deepStrictEqual(await look(store, "key"), { state: "free" });
  },

  "A key that is abandoned is free": async ({ store, other }) => {
    await begun(store, "key", claim("a"));
    ok(await store.abandon("key", "a"));
    deepStrictEqual(await look(other, "key"), { state: "free" });
    ok(!(await store.abandon("key", "a")));
  },

  "A run whose lease has ended counts as crashed, and stays so": async ({ store, other, pass }) => {
    await begun(store, "key", claim("a", { fingerprint: "f", lease: 1 }));
    await pass(20);
    const crashed = { state: "crashed", fingerprint: "f", owner: "a" };
    deepStrictEqual(await look(other, "key"), crashed);
    deepStrictEqual(await look(store, "key"), crashed);
  },

  "A lease that is renewed with 0 has ended": async ({ store }) => {
    await begun(store, "key", claim("a"));
    ok(await store.renew("key", "a", 0));
    deepStrictEqual((await look(store, "key"))["state"], "crashed");
  },

  "A lease that is renewed goes on, also when it had ended and nobody took the key": async ({ store, pass }) => {
    await begun(store, "key", claim("a", { lease: 1 }));
    await pass(20);
    ok(await store.renew("key", "a", hour));
    deepStrictEqual((await look(store, "key"))["state"], "running");
  },

  "A crash is forgotten after its time": async ({ store, pass }) => {
    await begun(store, "key", claim("a", { lease: 1, ttl: 1 }));
    await pass(50);
    deepStrictEqual(await look(store, "key"), { state: "free" });
  },

  "A crashed run is taken over by one of those who name it": async ({ store, other }) => {
    await begun(store, "key", claim("a"));
    await store.renew("key", "a", 0);
    deepStrictEqual((await store.begin("key", claim("b", { takeOver: "another" }))).state, "crashed");
    const begin = async (by: IdempotencyStore, owner: string): Promise<IdempotencyState> =>
      by.begin("key", claim(owner, { takeOver: "a" }));
    const states = await Promise.all([begin(store, "b"), begin(other, "c")]);
    deepStrictEqual(states.map(({ state }) => state).sort(), ["begun", "running"]);
  },

  "Nobody takes over a run whose lease has not ended": async ({ store }) => {
    await begun(store, "key", claim("a"));
    deepStrictEqual((await store.begin("key", claim("b", { takeOver: "a" }))).state, "running");
  },

  "Who was taken over cannot renew, complete or abandon": async ({ store, other }) => {
    await begun(store, "key", claim("a"));
    await store.renew("key", "a", 0);
    await begun(other, "key", claim("b", { takeOver: "a" }));
    ok(!(await store.renew("key", "a", hour)));
    ok(!(await store.complete("key", "a", "of a", hour)));
    ok(!(await store.abandon("key", "a")));
    ok(await other.complete("key", "b", "of b", hour));
    ok(!(await store.complete("key", "a", "of a", hour)));
    deepStrictEqual((await look(store, "key"))["outcome"], "of b");
  },

  "Who was presumed dead, but not taken over, can still complete": async ({ store }) => {
    await begun(store, "key", claim("a"));
    await store.renew("key", "a", 0);
    ok(await store.complete("key", "a", "done", hour));
    deepStrictEqual((await look(store, "key"))["outcome"], "done");
  },

  "A fence is higher than that of every earlier run": async ({ store, other }) => {
    const fences = [await begun(store, "key", claim("a"))];
    await store.renew("key", "a", 0);
    fences.push(await begun(other, "key", claim("b", { takeOver: "a" })));
    await other.abandon("key", "b");
    fences.push(await begun(store, "key", claim("c")));
    await store.complete("key", "c", "done", hour);
    ok(
      fences.every((fence, i) => Number.isSafeInteger(fence) && fence > (fences[i - 1] ?? 0)),
      fences.join(" "),
    );
  },

  "Each step can be repeated when its answer was lost": async ({ store }) => {
    const fence = await begun(store, "key", claim("a"));
    deepStrictEqual(await begun(store, "key", claim("a")), fence);
    ok(await store.complete("key", "a", "done", hour));
    ok(await store.complete("key", "a", "done again", hour));
    deepStrictEqual((await look(store, "key"))["outcome"], "done");
    deepStrictEqual((await store.begin("key", claim("a"))).state, "completed");
  },

  "An outcome is not undone": async ({ store }) => {
    await begun(store, "key", claim("a"));
    ok(await store.complete("key", "a", "done", hour));
    ok(!(await store.abandon("key", "a")));
    ok(!(await store.renew("key", "a", 0)));
    deepStrictEqual((await look(store, "key"))["outcome"], "done");
  },

  "Nothing can be done to a key that nobody has begun": async ({ store }) => {
    ok(!(await store.renew("key", "a", hour)));
    ok(!(await store.complete("key", "a", "done", hour)));
    ok(!(await store.abandon("key", "a")));
    deepStrictEqual(await look(store, "key"), { state: "free" });
  },
};
