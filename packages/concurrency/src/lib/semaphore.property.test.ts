// The semaphore against a naive model, in random schedules.
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Context, type OwnedContext, type Permit, Semaphore } from "../index.ts";

interface Request {
  readonly id: number;
  readonly weight: number;
  readonly priority: number;
}

/** Holds an array and looks through all of it each time. */
class Model {
  readonly waiting: Request[] = [];
  readonly held = new Map<number, number>();
  readonly permits: { size: number };

  constructor(size: number) {
    this.permits = { size };
  }

  get used(): number {
    return [...this.held.values()].reduce((sum, weight) => sum + weight, 0);
  }

  settle(): void {
    for (;;) {
      const [head] = this.waiting.toSorted((a, b) => b.priority - a.priority || a.id - b.id);
      if (head === undefined || this.used + head.weight > this.permits.size) return;
      this.waiting.splice(this.waiting.indexOf(head), 1);
      this.held.set(head.id, head.weight);
    }
  }
}

const weight = fc.integer({ min: 1, max: 4 });
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("acquire" as const), weight, priority: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("try" as const), weight }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("release" as const), at: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), at: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("resize" as const), size: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("tick" as const) }) },
);

test("a semaphore agrees with a naive model in any schedule", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const semaphore = new Semaphore(4, { reentry: "ignore" });
      const model = new Model(4);
      const contexts = new Map<number, OwnedContext>();
      const permits = new Map<number, Permit>();
      const rejected = new Map<number, unknown>();
      const released = new Set<number>();
      let nextId = 0;

      function release(id: number): void {
        model.held.delete(id);
        model.settle();
        released.add(id);
        permits.get(id)?.release();
        permits.get(id)?.release(); // twice is harmless
      }

      for (const action of steps) {
        if (action.kind === "acquire") {
          const id = nextId++;
          const context = Context.derive();
          contexts.set(id, context);
          model.waiting.push({ id, weight: action.weight, priority: action.priority });
          model.settle();
          semaphore.acquire({ weight: action.weight, priority: action.priority, signal: context }).then(
            (permit) => permits.set(id, permit),
            (reason: unknown) => rejected.set(id, reason),
          );
        } else if (action.kind === "try") {
          const id = nextId++;
          const fits = model.waiting.length === 0 && model.used + action.weight <= model.permits.size;
          const permit = semaphore.tryAcquire({ weight: action.weight });
          expect(permit !== undefined).toBe(fits);
          if (permit !== undefined) {
            permits.set(id, permit);
            model.held.set(id, action.weight);
          }
        } else if (action.kind === "release") {
          const ids = [...model.held.keys()].filter((id) => permits.has(id));
          const id = ids[action.at % Math.max(1, ids.length)];
          if (id !== undefined) release(id);
        } else if (action.kind === "abort") {
          const { id } = model.waiting[action.at % Math.max(1, model.waiting.length)] ?? {};
          if (id !== undefined) {
            model.waiting.splice(model.waiting.findIndex((request) => request.id === id), 1); // biome-ignore format: one step
            model.settle();
            contexts.get(id)?.cancel(`abort ${id}`);
          }
        } else if (action.kind === "resize") {
          model.permits.size = action.size;
          model.settle();
          semaphore.resize(action.size);
        } else {
          await settled();
          for (const id of model.held.keys()) expect(permits.has(id)).toBe(true);
          for (const { id } of model.waiting) expect(permits.has(id) || rejected.has(id)).toBe(false);
        }
        expect([semaphore.held, semaphore.waiting]).toEqual([model.used, model.waiting.length]);
        expect(semaphore.free).toBe(Math.max(0, model.permits.size - model.used));
      }

      semaphore.resize(4);
      model.permits.size = 4;
      model.settle();
      for (let left = 100; left > 0 && model.used + model.waiting.length > 0; left--) {
        await settled();
        for (const id of [...model.held.keys()]) release(id);
      }
      await settled();
      expect([semaphore.held, semaphore.waiting, semaphore.free]).toEqual([0, 0, 4]);
      for (const [id, reason] of rejected) expect(reason).toBe(`abort ${id}`);
    }),
    { numRuns: propertyRuns(10_000, 100_000) },
  );
});

/** Longer than any chain of microtasks here. */
async function settled(): Promise<void> {
  for (let step = 0; step < 6; step++) await Promise.resolve();
}
