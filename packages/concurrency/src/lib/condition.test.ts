import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Condition, Context, Mutex, type OwnedContext, TimeoutError } from "../index.ts";
import { cancelSweep, TestClock } from "../testing.ts";

async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await Promise.resolve();
}

test("Condition.wait() gives the mutex away and has it back when it returns", async () => {
  const mutex = new Mutex();
  const changed = new Condition(mutex);
  const log: string[] = [];
  const waiting = mutex.run(async () => {
    log.push("waits");
    await changed.wait();
    log.push("went on");
    expect(mutex.locked).toBe(true);
  });
  expect([mutex.locked, changed.waiting]).toEqual([false, 1]);
  await mutex.run(async () => {
    changed.notify();
    await ticks(5);
    log.push("notifier leaves");
  });
  await waiting;
  expect(log).toEqual(["waits", "notifier leaves", "went on"]);
  expect([mutex.locked, mutex.waiting]).toEqual([false, 0]);
});

test("Condition works with a mutex held by a permit as well", async () => {
  const mutex = new Mutex();
  const changed = new Condition(mutex);
  {
    using _guard = await mutex.acquire();
    const waiting = changed.wait();
    mutex.tryAcquire()?.release();
    changed.notify();
    await waiting;
    expect(mutex.tryAcquire()).toBe(undefined);
  }
  expect(mutex.locked).toBe(false);
});

test("notify() wakes the one who has waited longest, notifyAll() everybody, in order", async () => {
  const mutex = new Mutex();
  const changed = new Condition(mutex);
  const order: number[] = [];
  const all = [0, 1, 2, 3].map((index) =>
    mutex.run(async () => {
      await changed.wait();
      order.push(index);
    }),
  );
  await ticks(20);
  changed.notify();
  await ticks(20);
  expect(order).toEqual([0]);
  changed.notifyAll();
  changed.notify(); // nobody
  await Promise.all(all);
  expect(order).toEqual([0, 1, 2, 3]);
});

test("a caller that gives up holds the mutex again before it rejects", async () => {
  const clock = new TestClock();
  const mutex = new Mutex();
  const changed = new Condition(mutex, { clock, name: "filled" });
  const caller = new AbortController();
  for (const [options, reason] of [
    [{ signal: caller.signal }, "left"],
    [{ timeout: 50 }, expect.any(TimeoutError)],
  ] as const) {
    const waiting = mutex.run(async () => {
      const error = await changed.wait(options).catch((error: unknown) => error);
      expect(mutex.tryAcquire()).toBe(undefined);
      return error;
    });
    await ticks(5);
    const other = await mutex.acquire();
    caller.abort("left");
    await clock.advance(50);
    expect(changed.waiting).toBe(0);
    other.release();
    expect(await waiting).toEqual(reason);
  }
  expect([mutex.locked, clock.timers]).toEqual([false, 0]);
});

test("no notification is lost with a caller that leaves", async () => {
  const mutex = new Mutex();
  const changed = new Condition(mutex);
  const first = Context.derive();
  const results = [first, Context.derive()].map((signal) =>
    mutex.run(() => changed.wait({ signal }).then(() => "woken", String)),
  );
  await ticks(5);
  first.cancel("left");
  changed.notify(); // the first has left: the second is woken
  expect(await Promise.all(results)).toEqual(["left", "woken"]);

  const second = Context.derive();
  const chosen = mutex.run(() => changed.wait({ signal: second }).then(() => "woken", String));
  await ticks(5);
  changed.notify();
  second.cancel("too late"); // it was chosen already
  expect(await chosen).toBe("woken");
});

test("Condition.wait() without the mutex is refused", async () => {
  const changed = new Condition(new Mutex({ name: "queue" }), { name: "filled" });
  await expect(changed.wait()).rejects.toThrow("Cannot wait for filled: queue is not held");
});

test("waiting for a condition is no re-entry", async () => {
  const mutex = new Mutex({ reentry: "throw" });
  const changed = new Condition(mutex);
  const waits = [0, 1].map(() => mutex.run(() => changed.wait()));
  await ticks(5);
  const held = await mutex.acquire();
  changed.notifyAll(); // both have to get in line while they hold
  await ticks(5);
  held.release();
  await Promise.all(waits);
});

test("[effect#6910] a condition cancelled at any step leaves its mutex free", async () => {
  await cancelSweep(async (signal) => {
    const mutex = new Mutex();
    const changed = new Condition(mutex);
    let inside = 0;
    const waiter = async (): Promise<void> => {
      await changed.wait({ signal }).catch(() => {});
      expect(++inside).toBe(1);
      await ticks(2);
      inside--;
    };
    const all = [mutex.run(waiter), mutex.run(waiter), mutex.run(() => ticks(3).then(() => changed.notifyAll()))];
    await Promise.allSettled(all);
    expect([mutex.locked, mutex.waiting, changed.waiting]).toEqual([false, 0, 0]);
  });
});

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant("wait" as const) },
  { weight: 3, arbitrary: fc.constant("notify" as const) },
  { weight: 1, arbitrary: fc.constant("notifyAll" as const) },
  { weight: 2, arbitrary: fc.constant("abort" as const) },
  { weight: 2, arbitrary: fc.constant("hold" as const) },
);

test("each notification wakes exactly one waiter, in any schedule", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(step, fc.nat(9), fc.nat(3)), { maxLength: 30 }), async (steps) => {
      const mutex = new Mutex({ reentry: "throw" });
      const changed = new Condition(mutex);
      const waiting: { readonly id: number; readonly signal: OwnedContext }[] = []; // the model: a list
      const expected = new Map<number, string>();
      const seen = new Map<number, string>();
      let inside = 0;
      const critical = async (count: number): Promise<void> => {
        expect(++inside).toBe(1);
        await ticks(count);
        inside--;
      };
      const all: Promise<unknown>[] = [];
      let nextId = 0;
      for (const [kind, at, pause] of steps) {
        if (kind === "wait") {
          const id = nextId++;
          const signal = Context.derive();
          all.push(
            mutex.run(async () => {
              waiting.push({ id, signal });
              seen.set(id, await changed.wait({ signal }).then(() => "woken", String));
              await critical(pause);
            }),
          );
        } else if (kind === "hold") {
          all.push(mutex.run(() => critical(pause)));
        } else if (kind === "abort") {
          const [waiter] = waiting.splice(at % Math.max(1, waiting.length), 1);
          waiter?.signal.cancel("left");
          if (waiter !== undefined) expected.set(waiter.id, "left");
        } else {
          for (const { id } of waiting.splice(0, kind === "notify" ? 1 : waiting.length)) expected.set(id, "woken");
          changed[kind]();
        }
        expect(changed.waiting).toBe(waiting.length);
        await ticks(pause);
      }
      for (let left = 100; left > 0 && seen.size < nextId; left--) {
        for (const { id } of waiting.splice(0)) expected.set(id, "woken");
        changed.notifyAll();
        await ticks(20);
      }
      await Promise.all(all);
      expect([...seen].toSorted()).toEqual([...expected].toSorted());
      expect([mutex.locked, mutex.waiting, inside]).toEqual([false, 0, 0]);
    }),
    { numRuns: propertyRuns(3_000) },
  );
});
