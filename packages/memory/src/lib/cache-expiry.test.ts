import fc from "fast-check";
import { expect, test } from "vitest";
import { Expiry } from "./cache-expiry.ts";

const slots = 40;

test("Expiry finds what has expired, within 16 ms, however far away it was, and nothing else", () => {
  // From milliseconds to decades.
  const span = fc.tuple(fc.nat(36), fc.nat(999)).map(([scale, part]) => Math.floor(2 ** scale * (1 + part / 1_000)));
  const action = fc.tuple(
    fc.constantFrom("set", "set", "remove", "advance", "advance", "next", "slide"),
    fc.nat(slots - 1),
    span,
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 150 }), fc.nat(10_000), (actions, start) => {
      const expiry = new Expiry(slots, start);
      const model = new Map<number, number>();
      let now = start;

      function advance(to: number): void {
        now = to;
        expiry.advance(now);
        for (let slot = expiry.due(); slot !== -1; slot = expiry.due()) {
          expect(model.get(slot)).toBeLessThanOrEqual(now);
          expiry.remove(slot);
          model.delete(slot);
        }
        for (const deadline of model.values()) expect(deadline).toBeGreaterThan(now - 16);
      }

      for (const [kind, slot, ms] of actions) {
        if (kind === "set") {
          expiry.set(slot, now + ms);
          model.set(slot, now + ms);
        } else if (kind === "remove") {
          expiry.remove(slot);
          model.delete(slot);
        } else if (kind === "slide" && model.has(slot)) {
          const later = Math.max(model.get(slot) ?? 0, now + ms);
          expiry.deadlines[slot] = later;
          model.set(slot, later);
        } else if (kind === "advance") advance(now + ms);
        else if (kind === "next") {
          const at = expiry.nextAt();
          expect(at === Number.POSITIVE_INFINITY).toBe(model.size === 0);
          if (at !== Number.POSITIVE_INFINITY) advance(Math.max(now, at));
        }
      }
      // Woken as it asks to be, it finds everything in a few steps each.
      for (let left = 12 * slots; left > 0 && model.size > 0; left--) advance(Math.max(now, expiry.nextAt()));
      expect([model.size, expiry.nextAt()]).toEqual([0, Number.POSITIVE_INFINITY]);
    }),
    { numRuns: 500 },
  );
});

test("Expiry keeps its deadlines when it grows, and none after clear()", () => {
  const expiry = new Expiry(2, 0);
  expiry.set(0, 100);
  expiry.set(1, 1e9);
  expiry.grow(8);
  expiry.set(7, 50);
  expiry.advance(200);
  const found: number[] = [];
  for (let slot = expiry.due(); slot !== -1; slot = expiry.due()) {
    found.push(slot);
    expiry.remove(slot);
  }
  expect(found).toEqual([7, 0]);
  expect([...expiry.deadlines].filter((deadline) => deadline < Number.POSITIVE_INFINITY)).toEqual([1e9]);
  expiry.clear();
  expect(expiry.nextAt()).toBe(Number.POSITIVE_INFINITY);
});
