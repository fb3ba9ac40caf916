// A queue that serves the newest first when it does not get empty any more.
import fc from "fast-check";
import { expect, test } from "vitest";
import { OverloadQueue, type QueuedCall } from "./overload-queue.ts";

interface Named extends QueuedCall {
  readonly name: string;
}

function waiter(name: string, since: number, priority = 0): Named {
  return { name, priority, since, older: undefined, newer: undefined, isQueued: false };
}

function make(max = 10): { queue: OverloadQueue<Named>; stale: string[] } {
  const stale: string[] = [];
  const queue = new OverloadQueue<Named>({ max, maxWait: 100, overloadWait: 20 }, ({ name }) => stale.push(name));
  return { queue, stale };
}

test("an OverloadQueue serves in order of arrival, the highest priority first", () => {
  const { queue } = make();
  for (const each of [waiter("a", 0), waiter("b", 1), waiter("high", 2, 1), waiter("low", 3, -1)]) queue.push(each, 3);

  expect([1, 2, 3, 4, 5].map(() => queue.shift(5)?.name)).toEqual(["high", "a", "b", "low", undefined]);
});

test("an OverloadQueue that was not empty for too long serves the newest, and turns away who has waited too long", () => {
  const { queue, stale } = make();
  for (let at = 0; at < 100; at += 25) queue.push(waiter(`at ${at}`, at), at);
  queue.push(waiter("at 90", 90), 90);
  expect(queue.shift(99)?.name).toBe("at 0");
  queue.push(waiter("at 100", 100), 100);

  expect(queue.isOverloaded(100)).toBe(true);
  expect(queue.shift(100)?.name).toBe("at 100");
  expect(stale).toEqual(["at 25", "at 50", "at 75"]);
  expect(queue.shift(100)?.name).toBe("at 90");
  queue.push(waiter("next", 101), 101);
  expect(queue.isOverloaded(101)).toBe(true);
  queue.shift(102);
  queue.push(waiter("later", 201), 201);
  expect(queue.isOverloaded(201)).toBe(false);
});

test("a full OverloadQueue drops the oldest of the least important for who is worth more", () => {
  const { queue, stale } = make(2);
  queue.push(waiter("low, old", 0, -1), 0);
  queue.push(waiter("low, new", 1, -1), 1);

  expect(queue.push(waiter("low, too late", 2, -1), 2)).toBe(false);
  expect(queue.push(waiter("normal", 3), 3)).toBe(true);
  expect(queue.push(waiter("normal, newest", 150), 150)).toBe(true);
  expect(queue.push(waiter("low again", 150, -1), 150)).toBe(false);
  expect(queue.push(waiter("normal, under overload", 151), 151)).toBe(true);
  expect(stale).toEqual(["low, old", "low, new", "normal"]);
});

test("an OverloadQueue agrees with a naive model in any schedule", () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("push" as const), priority: fc.nat(2) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("shift" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), at: fc.nat(10) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("stale" as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(60) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { queue, stale } = make(4);
      let model: Named[] = [];
      const modelStale: string[] = [];
      let busySince = 0;
      let lastDrop = Number.NEGATIVE_INFINITY;
      let now = 0;
      let id = 0;
      const isOverloaded = () => model.length > 0 && now - busySince >= 100;
      const dropStale = () => {
        const patience = isOverloaded() ? 20 : 100;
        const gone = model.filter(({ since }) => now - since >= patience);
        modelStale.push(...gone.toSorted((a, b) => b.priority - a.priority).map(({ name }) => name));
        model = model.filter((each) => !gone.includes(each));
        if (gone.length > 0) lastDrop = now;
      };

      for (const action of steps) {
        if (action.kind === "pass") {
          now += action.ms;
        } else if (action.kind === "push") {
          const each = waiter(`${id++}`, now, action.priority);
          let fits = model.length < 4;
          if (!fits) {
            const least = Math.min(...model.map(({ priority }) => priority));
            const victim = model.find(({ priority }) => priority === least) as Named;
            fits = action.priority > least || (action.priority === least && isOverloaded());
            if (fits) {
              model = model.filter((other) => other !== victim);
              modelStale.push(victim.name);
              lastDrop = now;
            }
          }
          if (fits && model.length === 0 && now - lastDrop >= 100) busySince = now;
          if (fits) model.push(each);
          expect(queue.push(each, now)).toBe(fits);
        } else if (action.kind === "shift") {
          dropStale();
          const top = model.filter(({ priority }) => model.every((other) => other.priority <= priority));
          const next = isOverloaded() ? top.at(-1) : top[0];
          model = model.filter((each) => each !== next);
          expect(queue.shift(now)).toBe(next);
        } else if (action.kind === "stale") {
          dropStale();
          queue.dropStale(now);
        } else {
          const gone = model[action.at];
          if (gone === undefined) continue;
          model = model.filter((each) => each !== gone);
          queue.remove(gone);
          queue.remove(gone); // twice is harmless
        }
        expect(queue.size).toBe(model.length);
        expect(queue.nextStale).toBe(Math.min(...model.map(({ since }) => since)) + 100);
        expect(stale).toEqual(modelStale);
      }
    }),
    { numRuns: 2_000 },
  );
});
