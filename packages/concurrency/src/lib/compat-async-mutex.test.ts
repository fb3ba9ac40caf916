import * as peer from "async-mutex";
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import * as ours from "../compat.ts";
import { Context } from "../index.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Step =
  | { readonly kind: "acquire" | "watch"; readonly weight: number; readonly priority: number }
  | { readonly kind: "release"; readonly at: number }
  | { readonly kind: "set"; readonly value: number }
  | { readonly kind: "add" | "cancel" | "turn" };

async function trace(lib: typeof ours | typeof peer, steps: readonly Step[]): Promise<unknown[]> {
  const cancelled = new Error("cancelled");
  const semaphore = new lib.Semaphore(2, cancelled);
  const log: unknown[] = [];
  const held: { readonly id: number; readonly release: () => void }[] = [];
  const seen = new Map<string, unknown>();
  for (const [id, step] of steps.entries()) {
    if (step.kind === "acquire") {
      semaphore.acquire(step.weight, step.priority).then(
        ([value, release]) => {
          held.push({ id, release });
          seen.set(`acquire ${id}`, value);
        },
        (error: unknown) => seen.set(`acquire ${id}`, error === cancelled),
      );
    } else if (step.kind === "watch") {
      void semaphore.waitForUnlock(step.weight, step.priority).then(() => seen.set(`watch ${id}`, true));
    } else if (step.kind === "release") {
      const [holder] = held.splice(step.at % Math.max(1, held.length), 1);
      holder?.release();
      holder?.release();
    } else if (step.kind === "set") {
      semaphore.setValue(step.value);
    } else if (step.kind === "add") {
      semaphore.release();
    } else if (step.kind === "cancel") {
      semaphore.cancel();
      semaphore.setValue(semaphore.getValue()); // without it the peer forgets those who watch, though it is free
    }
    await turn();
    held.sort((a, b) => a.id - b.id);
    log.push([semaphore.getValue(), semaphore.isLocked(), [...seen].toSorted()]);
  }
  return log;
}

const weight = fc.integer({ min: 1, max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("acquire" as const), weight, priority: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("watch" as const), weight, priority: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("release" as const), at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("set" as const), value: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("add", "cancel", "turn") }) },
);

test("Semaphore leaves the same trace as async-mutex's in any schedule", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
      expect(await trace(ours, steps)).toEqual(await trace(peer, steps));
    }),
    { numRuns: propertyRuns(400) },
  );
});

test("Mutex, withTimeout() and tryAcquire() do what async-mutex's do", async () => {
  const script = async (lib: typeof ours): Promise<unknown[]> => {
    const log: unknown[] = [];
    const mutex = new lib.Mutex();
    const order: number[] = [];
    await Promise.all([0, 5, 1].map((priority) => mutex.runExclusive(() => order.push(priority), priority)));
    log.push(order);
    const release = await mutex.acquire();
    log.push(mutex.isLocked());
    const own = new Error("own");
    log.push(
      await lib
        .withTimeout(mutex, 5)
        .acquire()
        .catch((error: unknown) => error === lib.E_TIMEOUT),
    );
    log.push(
      await lib
        .withTimeout(mutex, 5, own)
        .runExclusive(() => "never")
        .catch((error: unknown) => error === own),
    );
    log.push(
      await lib
        .withTimeout(mutex, 5)
        .waitForUnlock()
        .catch((error: unknown) => error === lib.E_TIMEOUT),
    );
    log.push(
      await lib
        .tryAcquire(mutex)
        .acquire()
        .catch((error: unknown) => error === lib.E_ALREADY_LOCKED),
    );
    const waiting = mutex.acquire().catch((error: unknown) => error === lib.E_CANCELED);
    mutex.cancel();
    log.push(await waiting);
    release();
    log.push(await lib.tryAcquire(mutex).runExclusive(() => "free"));
    mutex.release();
    log.push(mutex.isLocked());
    const semaphore = lib.withTimeout(new lib.Semaphore(3), 50);
    const [value, giveBack] = await semaphore.acquire(2);
    log.push([value, semaphore.getValue(), await semaphore.runExclusive((left) => left)]);
    giveBack();
    log.push(semaphore.getValue());
    return log;
  };
  // The surface is the same; only the classes are others.
  expect(await script(ours)).toEqual(await script(peer as unknown as typeof ours));
});

test("[async-mutex#54] a mutex is free in the turn of its release, after others have timed out", async () => {
  const mutex = new ours.Mutex();
  const release = await mutex.acquire();
  for (let attempt = 0; attempt < 2; attempt++)
    await ours
      .withTimeout(mutex, 1)
      .acquire()
      .catch(() => {});
  release();
  expect(mutex.isLocked()).toBe(false);
});

test("[async-mutex#84] withTimeout() limits the wait, not how long it is held", async () => {
  const mutex = ours.withTimeout(new ours.Mutex(), 1);
  const release = await mutex.acquire();
  await expect(mutex.acquire()).rejects.toBe(ours.E_TIMEOUT);
  expect(mutex.isLocked()).toBe(true);
  release();
  expect(mutex.isLocked()).toBe(false);
});

test("who waits gives up when its context ends, and takes nothing", async () => {
  const mutex = new ours.Mutex();
  const release = await mutex.acquire();
  const context = Context.derive();
  const waiting = Context.run(context, () => mutex.acquire());
  context.cancel("left");
  await expect(waiting).rejects.toBe("left");
  release();
  expect(mutex.isLocked()).toBe(false);
});

test("wrong values are refused by name", async () => {
  // @ts-expect-error: no number
  expect(() => new ours.Semaphore("two")).toThrow('value must be a number, got "two"');
  await expect(new ours.Semaphore(1).acquire(0)).rejects.toThrow("weight must be more than 0, got 0");
  expect(() => new ours.Semaphore(1).release(-1)).toThrow("weight must be more than 0, got -1");
  // @ts-expect-error: no mutex
  expect(() => ours.withTimeout({}, 1)).toThrow("expected a Mutex or a Semaphore made here, got an object");
});
