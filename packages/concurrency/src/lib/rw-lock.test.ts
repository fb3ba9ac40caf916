import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import {
  Context,
  LockUpgradeError,
  type OwnedContext,
  type Permit,
  ReentryError,
  RwLock,
  TimeoutError,
} from "../index.ts";
import { cancelSweep, TestClock } from "../testing.ts";

async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await Promise.resolve();
}

test("readers go in together, a writer alone, in the order in which they came", async () => {
  const lock = new RwLock();
  const log: string[] = [];
  const visit = (name: string) => async (): Promise<void> => {
    log.push(`+${name}`);
    await ticks(3);
    log.push(`-${name}`);
  };
  await Promise.all([
    lock.read(visit("r1")),
    lock.read(visit("r2")),
    lock.write(visit("w1")),
    lock.read(visit("r3")),
    lock.read(visit("r4")),
    lock.write(visit("w2")),
    lock.read(visit("r5")),
  ]);
  expect(log.join(" ")).toBe("+r1 +r2 -r1 -r2 +w1 -w1 +r3 +r4 -r3 -r4 +w2 -w2 +r5 -r5");
  expect([lock.readers, lock.writing, lock.waiting]).toEqual([0, false, 0]);
});

test("readers that stood behind a writer who gives up go in at once", async () => {
  const lock = new RwLock();
  using _reader = await lock.acquireRead();
  const writer = Context.derive();
  const writing = lock.write(() => "never", { signal: writer });
  const reading = lock.read(() => lock.readers);
  expect([lock.waiting, lock.tryAcquireRead()]).toEqual([2, undefined]);
  writer.cancel("gave up");
  expect([lock.waiting, lock.readers]).toEqual([0, 2]);
  await expect(writing).rejects.toBe("gave up");
  expect(await reading).toBe(2);
});

test("tryAcquireRead() and tryAcquireWrite() never wait, and guards are given back once", async () => {
  const lock = new RwLock();
  const write = lock.tryAcquireWrite();
  expect([lock.writing, lock.readers, lock.tryAcquireRead(), lock.tryAcquireWrite()]).toEqual([
    true,
    0,
    undefined,
    undefined,
  ]);
  write?.release();
  const read = lock.tryAcquireRead();
  write?.release();
  expect([lock.readers, lock.tryAcquireWrite()]).toEqual([1, undefined]);
  read?.release();
  read?.release();
  expect(lock.readers).toBe(0);
});

test("a read-write lock gives up a wait after its timeout", async () => {
  const clock = new TestClock();
  const lock = new RwLock({ clock });
  using _writer = await lock.acquireWrite();
  const reading = lock.read(() => "never", { timeout: 100 }).catch((error: unknown) => error);
  await clock.advance(100);
  expect(await reading).toBeInstanceOf(TimeoutError);
});

test("a reader that wants to write is refused, even by name", async () => {
  const lock = new RwLock({ name: "table" });
  const error = await lock.read(() => lock.write(() => "never")).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(LockUpgradeError);
  expect(error).toMatchObject({ lock: "table", code: "ERR_LOCK_UPGRADE" });
  await expect(lock.read(() => lock.acquireWrite())).rejects.toBeInstanceOf(LockUpgradeError);
  expect(await lock.write(() => "free again")).toBe("free again");
});

test("[p-limit#91] a task that waits for the lock it holds is told so by name", async () => {
  const lock = new RwLock({ name: "table", reentry: "throw" });
  await expect(lock.write(() => lock.write(() => "never"))).rejects.toBeInstanceOf(ReentryError);
  await expect(lock.write(() => lock.read(() => "never"))).rejects.toBeInstanceOf(ReentryError);
  const nested = lock.read(async () => {
    expect(await lock.read(() => "fine")).toBe("fine"); // nobody waits
    const writing = lock.write(() => "after", { signal: Context.detach() }).catch((error: unknown) => error);
    expect(await writing).toBeInstanceOf(LockUpgradeError); // values, and so the locks, are kept by detach
  });
  await nested;
  const gate = Promise.withResolvers<void>();
  const reading = lock.read(() => gate.promise.then(() => lock.read(() => "never")));
  const writing = lock.write(() => "after");
  gate.resolve();
  await expect(reading).rejects.toBeInstanceOf(ReentryError); // it would stand behind the writer
  expect(await writing).toBe("after");
  // @ts-expect-error: no such policy
  expect(() => new RwLock({ reentry: "maybe" })).toThrow('reentry must be "warn", "throw" or "ignore", got "maybe"');
});

test("work under a read-write lock runs in its caller's context", async () => {
  const lock = new RwLock();
  const caller = new AbortController();
  let context: Context | undefined;
  await lock.read(
    (own) => {
      context = own;
      expect(Context.current()).toBe(own);
      expect(own.cancelled).toBe(false);
    },
    { signal: caller.signal },
  );
  caller.abort("later");
  expect(context?.cancelled).toBe(true);
});

test("[effect#6910] a read-write lock cancelled at any step is neither lost nor held", async () => {
  await cancelSweep(
    async (signal) => {
      const lock = new RwLock();
      const all = [
        lock.read(() => ticks(2), { signal }),
        lock.write(() => ticks(2), { signal }),
        lock.acquireRead({ signal }).then((guard) => guard.release()),
        lock.acquireWrite({ signal }).then((guard) => guard.release()),
        lock.read(() => ticks(2)),
      ];
      await Promise.allSettled(all);
      expect([lock.readers, lock.writing, lock.waiting]).toEqual([0, false, 0]);
    },
    { steps: 40 },
  );
});

interface Request {
  readonly id: number;
  readonly mode: "read" | "write";
}

/** Looks through all of its arrays each time. */
class Model {
  readonly held: Request[] = [];
  waiting: Request[] = [];

  settle(): void {
    for (let [head] = this.waiting; head !== undefined; [head] = this.waiting) {
      const fits = head.mode === "read" ? this.held.every(({ mode }) => mode === "read") : this.held.length === 0;
      if (!fits) return;
      this.held.push(head);
      this.waiting.shift();
    }
  }
}

const mode = fc.constantFrom("read" as const, "read" as const, "write" as const);
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("acquire" as const), mode }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("try" as const), mode }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("release" as const), at: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), at: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("tick" as const) }) },
);

test("a read-write lock agrees with a naive model in any schedule", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const lock = new RwLock();
      const model = new Model();
      const contexts = new Map<number, OwnedContext>();
      const guards = new Map<number, Permit>();
      let nextId = 0;

      for (const action of steps) {
        if (action.kind === "acquire") {
          const id = nextId++;
          const signal = Context.derive();
          contexts.set(id, signal);
          model.waiting.push({ id, mode: action.mode });
          model.settle();
          const acquiring = action.mode === "read" ? lock.acquireRead({ signal }) : lock.acquireWrite({ signal });
          acquiring.then(
            (guard) => guards.set(id, guard),
            (reason: unknown) => expect(reason).toBe(`abort ${id}`),
          );
        } else if (action.kind === "try") {
          const id = nextId++;
          const guard = action.mode === "read" ? lock.tryAcquireRead() : lock.tryAcquireWrite();
          const isEmpty = model.waiting.length === 0;
          model.waiting.push({ id, mode: action.mode });
          if (isEmpty) model.settle();
          model.waiting = model.waiting.filter((request) => request.id !== id);
          expect(guard !== undefined).toBe(model.held.some((request) => request.id === id));
          if (guard !== undefined) guards.set(id, guard);
        } else if (action.kind === "release") {
          await ticks(6);
          const request = model.held[action.at % Math.max(1, model.held.length)];
          if (request !== undefined) {
            model.held.splice(model.held.indexOf(request), 1);
            model.settle();
            guards.get(request.id)?.release();
            guards.get(request.id)?.release(); // twice is harmless
          }
        } else if (action.kind === "abort") {
          const request = model.waiting[action.at % Math.max(1, model.waiting.length)];
          if (request !== undefined) {
            model.waiting.splice(model.waiting.indexOf(request), 1);
            model.settle();
            contexts.get(request.id)?.cancel(`abort ${request.id}`);
          }
        } else {
          await ticks(6);
          for (const { id } of model.held) expect(guards.has(id)).toBe(true);
          for (const { id } of model.waiting) expect(guards.has(id)).toBe(false);
        }
        const writing = model.held.some(({ mode }) => mode === "write");
        expect([lock.readers, lock.writing, lock.waiting]).toEqual([
          writing ? 0 : model.held.length,
          writing,
          model.waiting.length,
        ]);
      }
    }),
    { numRuns: propertyRuns(5_000) },
  );
});
