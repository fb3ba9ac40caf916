import { join } from "node:path";
import { TestClock } from "@proj/concurrency/testing";
import { temporaryFolder } from "@tooling/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sqliteTier } from "./sqlite-tier.ts";
import { checkSqliteTierOptions } from "./sqlite-tier-settings.ts";
import { SqliteTierUpkeep } from "./sqlite-tier-upkeep.ts";
import type { Sealed } from "./tier.ts";
import { endOfPrefix, storablePrefix } from "./tier-key.ts";

const key = fc.constantFrom("", "a", "a\0", "ab", "a*", "ä", "aä", "😀", "a😀", "a\u{10ffff}", "b", "key ".repeat(300));
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("set"), key, size: fc.nat(300), ttl: fc.option(fc.nat(50)) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete"), keys: fc.array(key, { maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clear"), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pass"), ms: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("flush", "reopen", "crash") }) },
);

interface Action {
  readonly do: string;
  readonly key?: string;
  readonly keys?: readonly string[];
  readonly size?: number;
  readonly ttl?: number | null;
  readonly ms?: number;
}

test("A SQLite tier has what a Map with times would have, whoever reads it, and after a crash nothing older", async () => {
  await using folder = await temporaryFolder();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 8 }),
      async (actions, flushEvery) => {
        const clock = new TestClock();
        const path = join(folder.path, `${runs++}.db`);
        const open = () => sqliteTier({ path, maxBytes: 2 ** 20, clock, flushEvery, flushAfter: 10, sweepEvery: 20 });
        let tier = open();
        const model = new Map<string, Sealed>();
        let value = 0;
        for (const step of actions as readonly Action[]) {
          if (step.do === "set") {
            const bytes = Buffer.alloc(step.size ?? 0, value++);
            const expiresAt = step.ttl == null ? Number.POSITIVE_INFINITY : clock.wall() + step.ttl;
            tier.set(step.key ?? "", { bytes, expiresAt });
            model.set(step.key ?? "", { bytes, expiresAt });
          } else if (step.do === "delete") {
            await tier.delete(step.keys ?? []);
            for (const one of step.keys ?? []) model.delete(one);
          } else if (step.do === "clear") {
            await tier.clear(step.key ?? "");
            for (const one of model.keys()) if (one.startsWith(step.key ?? "")) model.delete(one);
          } else if (step.do === "pass") await clock.advance(step.ms ?? 0);
          else if (step.do === "flush") tier.flush();
          else if (step.do === "reopen") {
            await tier.close();
            tier = open();
          } else {
            const after = open(); // what a process finds that starts now, as if this one had been killed
            for (const [one, expected] of model) {
              const found = after.get(one) as Sealed | undefined;
              if (found !== undefined) expect(found.bytes).toEqual(Uint8Array.from(expected.bytes));
            }
            await after.close();
          }
          const keys = [...model.keys(), "a", "ab"];
          const found = await tier.getMany(keys);
          const expected = keys.map((one) => {
            const known = model.get(one);
            return known !== undefined && known.expiresAt > clock.wall() ? known : undefined;
          });
          expect(found.map((one) => one && Buffer.from(one.bytes).toString("hex"))).toEqual(
            expected.map((one) => one && Buffer.from(one.bytes).toString("hex")),
          );
        }
        await tier.close();
      },
    ),
    { numRuns: 60 },
  );
});

test("The end of a prefix is above all keys that begin with it, and below all others that are above it", () => {
  const text = fc.string({ unit: "binary" }).filter((one) => one.isWellFormed());
  const bytes = (one: string): Buffer => Buffer.from(one);
  fc.assert(
    fc.property(text, text, (prefix, other) => {
      const end = endOfPrefix(prefix);
      for (const one of [prefix + other, other, `${prefix}\u{10ffff}${other}`]) {
        const isBetween =
          Buffer.compare(bytes(one), bytes(prefix)) >= 0 &&
          (end === undefined || Buffer.compare(bytes(one), bytes(end)) < 0);
        expect(isBetween).toBe(one.startsWith(prefix));
      }
    }),
  );
  expect(endOfPrefix("")).toBeUndefined();
  expect(endOfPrefix("a\u{10ffff}")).toBe("b");
  expect(endOfPrefix("\ud7ff")).toBe("\ue000");
  expect(storablePrefix("a\ud83d")).toBe("a");
});

test("A step of upkeep takes as many rows as fit into a millisecond or two", () => {
  let now = 0;
  const clock = Object.assign(new TestClock(), { now: () => now });
  const settings = checkSqliteTierOptions("test", { path: "none", maxBytes: 2 ** 20, clock });
  const upkeep = new SqliteTierUpkeep(settings, () => undefined);
  const stepsOf = (msPerRow: number) =>
    Array.from({ length: 8 }, () =>
      upkeep.timed((limit) => {
        now += limit * msPerRow;
        return limit;
      }),
    );
  expect(stepsOf(0.001).at(-1)).toBe(500);
  expect(stepsOf(0.02).at(-1)).toBeLessThanOrEqual(100);
  expect(stepsOf(10).at(-1)).toBe(16);
  upkeep.stop();
});
