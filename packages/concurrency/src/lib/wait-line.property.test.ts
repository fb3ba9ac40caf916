// The line against an array, through growth, holes and shrinking.
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { WaitLine } from "./wait-line.ts";
import { Waiter, WaitQueue } from "./wait-queue.ts";

const step = fc.oneof(
  fc.record({ kind: fc.constant("come" as const), count: fc.nat(80) }),
  fc.record({ kind: fc.constant("serve" as const), count: fc.nat(80) }),
  fc.record({ kind: fc.constant("leave" as const), count: fc.nat(80), seed: fc.nat(10_000) }),
);

test("a line keeps the order of arrival, whoever leaves from wherever", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const line = new WaitLine<Waiter>();
      const model: Waiter[] = [];
      const queue = new WaitQueue(() => {});
      for (const action of steps) {
        for (let i = 0; i < action.count; i++) {
          if (action.kind === "come") {
            const waiter = new Waiter(queue, 1, 0);
            model.push(waiter);
            line.push(waiter);
          } else if (model.length > 0) {
            const at = action.kind === "serve" ? 0 : (action.seed * (i + 1)) % model.length;
            line.remove(model.splice(at, 1)[0] as Waiter); // within its length
          }
          expect(line.first === model[0] && line.size === model.length).toBe(true);
        }
        expect(line.toArray()).toEqual(model);
      }
    }),
    { numRuns: propertyRuns(300) },
  );
});
