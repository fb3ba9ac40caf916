// What a cache in tiers expects of a tier.
import { deepEqual, equal, ok } from "node:assert/strict";
import type { ConformanceCase } from "@proj/concurrency/testing";
import { conformanceCase } from "./conformance-case.ts";
import type { Sealed, Tier } from "./tier.ts";

/** A tier to check, empty, with the time it goes by. Disposed of after each check if it is `AsyncDisposable`. */
export interface TierUnderTest extends Partial<AsyncDisposable> {
  /** The tier, empty. */
  readonly tier: Tier;
  /** Its time, in milliseconds since the Unix epoch: `Date.now`, or that of a `TestClock`. */
  now(): number;
  /** Lets so many milliseconds pass: by waiting, or by advancing a `TestClock`. */
  pass(ms: number): unknown;
}

/** How much later than promised a store may forget, in milliseconds: some count in whole ones. */
const slack = 50;

/**
 * Checks a {@link Tier}. `make` makes an empty one for each check.
 *
 * @example
 * ```ts
 * import { MemoryTier, tierConformance } from "@proj/memory/testing";
 * import { TestClock } from "@proj/concurrency/testing";
 *
 * const suite = tierConformance(() => {
 *   const clock = new TestClock();
 *   return { tier: new MemoryTier({ clock }), now: () => clock.wall(), pass: (ms) => clock.advance(ms) };
 * });
 * for (const { run } of suite) await run(); // or: for (const { name, run } of suite) test(name, run);
 * ```
 */
export function tierConformance(make: () => TierUnderTest | PromiseLike<TierUnderTest>): readonly ConformanceCase[] {
  const check = (name: string, body: (under: TierUnderTest) => unknown): ConformanceCase =>
    conformanceCase(name, make, body);
  return [
    check("get() returns what was set, byte for byte, until its end", async ({ tier, now }) => {
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const expiresAt = now() + 60_000;
      await tier.set("key", { bytes, expiresAt });
      const found = await tier.get("key");
      deepEqual(bytesOf(found), [...bytes]);
      ok(Math.abs((found?.expiresAt ?? 0) - expiresAt) <= 1, `it ends at ${found?.expiresAt}, not at ${expiresAt}`);
    }),
    check("get() of a key that is not there is undefined", async ({ tier }) => {
      equal(await tier.get("key"), undefined);
    }),
    check("set() replaces the value and its end", async ({ tier, now, pass }) => {
      await tier.set("key", sealed("old", now() + 1_000));
      await tier.set("key", sealed("new", Number.POSITIVE_INFINITY));
      await pass(1_000 + slack);
      const found = await tier.get("key");
      deepEqual([textOf(found), found?.expiresAt], ["new", Number.POSITIVE_INFINITY]);
    }),
    check("of writes to a key that do not wait for one another, the last one stays", async ({ tier }) => {
      const writes = Array.from({ length: 20 }, async (_, n) => tier.set("key", sealed(`value ${n}`)));
      await Promise.all(writes);
      equal(textOf(await tier.get("key")), "value 19");
      await Promise.all([tier.set("key", sealed("set")), tier.delete(["key"])]);
      equal(await tier.get("key"), undefined);
      await Promise.all([tier.delete(["key"]), tier.set("key", sealed("set again"))]);
      equal(textOf(await tier.get("key")), "set again");
    }),
    check("getMany() answers in the order of the keys, repeated and missing ones included", async ({ tier }) => {
      await tier.set("a", sealed("A"));
      await tier.set("b", sealed("B"));
      const found = await tier.getMany(["b", "missing", "a", "b"]);
      deepEqual(found.map(textOf), ["B", undefined, "A", "B"]);
      deepEqual([...(await tier.getMany([]))], []);
    }),
    check("getMany() answers for many keys", async ({ tier }) => {
      const keys = Array.from({ length: 1_200 }, (_, n) => `key ${n}`);
      await Promise.all(keys.filter((_, n) => n % 2 === 0).map(async (key) => tier.set(key, sealed(key))));
      const found = await tier.getMany(keys);
      deepEqual(
        found.map(textOf),
        keys.map((key, n) => (n % 2 === 0 ? key : undefined)),
      );
    }),
    check("delete() deletes these keys and no other", async ({ tier }) => {
      for (const key of ["a", "b", "ab"]) await tier.set(key, sealed(key));
      await tier.delete(["a", "missing"]);
      await tier.delete([]);
      deepEqual((await tier.getMany(["a", "b", "ab"])).map(textOf), [undefined, "b", "ab"]);
    }),
    check("clear() deletes the keys that begin with the prefix, and tells how many", async ({ tier }) => {
      const [hit, kept] = [
        ["user:1", "user:2", "user:"],
        ["user", "users:1", "User:1", "a user:1"],
      ];
      for (const key of [...hit, ...kept]) await tier.set(key, sealed(key));
      equal(await tier.clear("user:"), hit.length);
      deepEqual(
        (await tier.getMany([...hit, ...kept])).map(textOf),
        [...hit.map(() => undefined), ...kept], // letter for letter
      );
      equal(await tier.clear("user:"), 0);
    }),
    check("clear() takes a prefix literally, whatever it holds", async ({ tier }) => {
      for (const prefix of ["*", "?", "[a]", "a\\", "%", "_", "\uFFFF", "😀"]) {
        await tier.set(`${prefix}key`, sealed("goes"));
        await tier.set("a_key", sealed("stays"));
        if (prefix !== "a_") equal(await tier.clear(prefix), 1, `for ${JSON.stringify(prefix)}`);
        equal(textOf(await tier.get("a_key")), "stays", `for ${JSON.stringify(prefix)}`);
      }
    }),
    check("clear() of many keys, and of all", async ({ tier }) => {
      const keys = Array.from({ length: 1_200 }, (_, n) => `${n % 2 === 0 ? "even" : "odd"}:${n}`);
      await Promise.all(keys.map(async (key) => tier.set(key, sealed(key))));
      equal(await tier.clear("even:"), 600);
      equal(await tier.clear(""), 600);
      deepEqual(new Set(await tier.getMany(keys)), new Set([undefined]));
    }),
    check("a value is not returned after its end, and comes back when set again", async ({ tier, now, pass }) => {
      await tier.set("short", sealed("short", now() + 300));
      await tier.set("long", sealed("long", now() + 60_000));
      equal(textOf(await tier.get("short")), "short");
      await pass(300 + slack);
      deepEqual((await tier.getMany(["short", "long"])).map(textOf), [undefined, "long"]);
      equal(await tier.get("short"), undefined);
      await tier.set("short", sealed("again", now() + 60_000));
      equal(textOf(await tier.get("short")), "again");
    }),
    check("a value whose end is past takes the place of what was there, and is not returned", async ({ tier, now }) => {
      await tier.set("key", sealed("old"));
      await tier.set("key", sealed("late", now() - 1_000));
      equal(await tier.get("key"), undefined);
    }),
    check("keys are told apart letter by letter, whatever they hold", async ({ tier }) => {
      const keys = [
        "",
        " ",
        "a",
        "A",
        "é",
        "e\u0301",
        "\0",
        "a\0b",
        "a\nb",
        "a:b",
        "__proto__",
        "😀",
        "x".repeat(2_000),
      ];
      for (const [index, key] of keys.entries()) await tier.set(key, sealed(String(index)));
      const found = await tier.getMany(keys);
      deepEqual(
        found.map(textOf),
        keys.map((_, index) => String(index)),
      );
      await tier.delete(keys);
      deepEqual(new Set(await tier.getMany(keys)), new Set([undefined]));
    }),
    check("values may be empty, and may be large", async ({ tier }) => {
      const large = new Uint8Array(2 ** 20).map((_, index) => index * 31);
      await tier.set("empty", { bytes: new Uint8Array(0), expiresAt: Number.POSITIVE_INFINITY });
      await tier.set("large", { bytes: large, expiresAt: Number.POSITIVE_INFINITY });
      const [empty, found] = await tier.getMany(["empty", "large"]);
      equal(empty?.bytes.length, 0);
      ok(found !== undefined && Buffer.compare(found.bytes, large) === 0, "the large value came back changed");
    }),
    check("what a caller does to its bytes afterwards changes nothing", async ({ tier }) => {
      const bytes = Buffer.from("value");
      await tier.set("key", { bytes, expiresAt: Number.POSITIVE_INFINITY });
      bytes.fill(0);
      const found = await tier.get("key");
      equal(textOf(found), "value");
      found?.bytes.fill(0);
      equal(textOf(await tier.get("key")), "value");
    }),
    check("a signal that has fired ends a call at once, and harms no other", async ({ tier }) => {
      await tier.set("key", sealed("value"));
      const signal = AbortSignal.abort(new Error("given up"));
      const calls = [
        async () => await tier.get("key", { signal }),
        async () => await tier.getMany(["key"], { signal }),
        async () => await tier.set("other", sealed("other"), { signal }),
        async () => await tier.delete(["another"], { signal }),
        async () => await tier.clear("something else", { signal }),
      ];
      // One that answers at once may do so.
      for (const call of calls) await call().catch((error: unknown) => equal(error, signal.reason));
      equal(textOf(await tier.get("key")), "value");
    }),
    check(
      "where it fences, what was loaded does not replace what was written or deleted meanwhile",
      async ({ tier }) => {
        if (tier.fences !== true) return;
        for (const before of [undefined, "old"]) {
          for (const after of [undefined, "new"]) {
            const key = `${before} ${after}`;
            if (before !== undefined) await tier.set(key, sealed(before));
            const fill = {};
            equal(textOf(await tier.get(key, { fill })), before);
            if (after === undefined) await tier.delete([key]);
            else await tier.set(key, sealed(after));
            await tier.set(key, sealed("loaded"), { fill });
            equal(textOf(await tier.get(key)), after, `from ${before} to ${after}`);
          }
        }
        const fill = {};
        await tier.getMany(["a", "b"], { fill });
        await tier.set("a", sealed("new"));
        for (const key of ["a", "b"]) await tier.set(key, sealed("loaded"), { fill });
        deepEqual((await tier.getMany(["a", "b"])).map(textOf), ["new", "loaded"]);
      },
    ),
    check("close() may be called twice, and keeps what was acknowledged as long as it is open", async ({ tier }) => {
      await tier.set("key", sealed("value"));
      equal(textOf(await tier.get("key")), "value");
      await tier.close?.();
      await tier.close?.();
    }),
  ];
}

function sealed(text: string, expiresAt = Number.POSITIVE_INFINITY): Sealed {
  return { bytes: Buffer.from(text), expiresAt };
}

function bytesOf(value: Sealed | undefined): number[] | undefined {
  return value && [...value.bytes];
}

function textOf(value: Sealed | undefined): string | undefined {
  return value && Buffer.from(value.bytes).toString();
}
