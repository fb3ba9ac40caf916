import { TestClock } from "@proj/concurrency/testing";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { IdleWatch } from "./idle-watch.ts";

test("each wait expires at its own time, unless it ended or began anew", async () => {
  const step = fc.record({
    verb: fc.constantFrom("begin", "end", "advance" as const),
    who: fc.nat(3),
    ms: fc.integer({ min: 1, max: 150 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const clock = new TestClock();
      const watch = new IdleWatch(100, clock);
      const ends = new Map<number, number>();
      const expired: number[] = [];
      const expected: number[] = [];
      const waits = [0, 1, 2, 3].map((who) => ({ expire: () => void expired.push(who) }));
      let now = 0;
      for (const { verb, who, ms } of steps) {
        const waiting = waits[who] as (typeof waits)[0]; // who is 0 to 3
        if (verb === "begin" && !ends.has(who)) {
          watch.begin(waiting);
          ends.set(who, now + 100);
        } else if (verb === "end" && ends.delete(who)) {
          watch.end(waiting);
        } else if (verb === "advance") {
          await clock.advance(ms);
          now += ms;
          for (const [other, end] of ends) {
            if (end > now) continue;
            expected.push(other);
            ends.delete(other);
          }
        }
        expect(expired).toEqual(expected);
      }
    }),
  );
});
