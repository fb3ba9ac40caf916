// limit() and limit().map() against what plain arrays would give, whatever takes how long, fails or is given up.
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Context, limit } from "../index.ts";

const items = fc.array(fc.record({ steps: fc.nat(6), fails: fc.boolean() }), { maxLength: 12 });

async function steps(count: number): Promise<void> {
  for (let step = 0; step < count; step++) await Promise.resolve();
}

test("several maps over one limit give what arrays give, never run more than the limit, and leave nothing", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.record({ items, abortAt: fc.option(fc.nat(30)) }), { minLength: 1, maxLength: 3 }),
      async (concurrency, maps) => {
        const shared = limit(concurrency);
        let running = 0;
        let most = 0;
        const outcomes = maps.map(async ({ items, abortAt }, map) => {
          const started: number[] = [];
          const failed: Error[] = [];
          using context = Context.derive();
          const mapping = shared.map(
            items,
            async (item, index, own) => {
              started.push(index);
              most = Math.max(most, ++running);
              expect(Context.current()).toBe(own);
              await steps(item.steps);
              running--;
              if (!item.fails) return `${map}: ${index}`;
              failed.push(new Error(`${index} failed`));
              throw failed.at(-1);
            },
            { signal: context },
          );
          const settled = mapping.then(
            (value) => ({ value }),
            (error: unknown) => ({ error }),
          );
          if (abortAt !== null) {
            await steps(abortAt);
            context.cancel("given up");
          }
          const outcome = await settled;

          expect(started).toEqual(Array.from(started, (_, index) => index)); // in order, none left out
          if ("value" in outcome) expect(outcome.value).toEqual(items.map((_, index) => `${map}: ${index}`));
          else expect([failed[0], ...(abortAt === null ? [] : ["given up"])]).toContain(outcome.error);
          if (failed.length > 0) expect("error" in outcome).toBe(true);
        });
        await Promise.all(outcomes);

        expect(most).toBeLessThanOrEqual(concurrency);
        expect([running, shared.running, shared.waiting]).toEqual([0, 0, 0]);
      },
    ),
    { numRuns: propertyRuns(500) },
  );
});
