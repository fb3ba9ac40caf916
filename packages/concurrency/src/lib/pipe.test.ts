import { type EventEmitter, once } from "node:events";
import { PassThrough, Readable, Writable } from "node:stream";
import fc from "fast-check";
import { expect, expectTypeOf, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { cancelSweep } from "./cancel-sweep.ts";
import { channel } from "./channel.ts";
import { Context } from "./context.ts";
import { ContextKey } from "./context-key.ts";
import { merge, pipe } from "./pipe.ts";
import { TestClock } from "./test-clock.ts";

const flush = async () => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
};

/** Counts up, and remembers how far it was read and whether it was closed. */
function counter(end = Number.POSITIVE_INFINITY) {
  const state = { read: 0, closed: 0 };
  async function* count() {
    try {
      while (state.read < end) yield ++state.read;
    } finally {
      state.closed++;
    }
  }
  return { state, items: count() };
}

test("nothing runs before somebody asks", async () => {
  const { state, items } = counter();
  const numbers = pipe(items)
    .map((n) => n * 2)
    .filter((n) => n > 2)
    .batch({ max: 2 });
  await flush();
  expect(state.read).toBe(0);
  expect(await numbers.take(1).toArray()).toEqual([[4, 6]]);
  expect(state).toEqual({ read: 3, closed: 1 });
});

test("the stages do what they say, over any source", async () => {
  async function* generated() {
    yield* [1, 2, 3];
  }
  const buffered = channel<number>(3);
  for (const n of [1, 2, 3]) buffered.trySend(n);
  buffered.close();
  const sources = [
    [1, 2, 3],
    new Set([1, 2, 3]),
    [Promise.resolve(1), 2, 3],
    generated(),
    buffered,
    Readable.from([1, 2, 3]),
    ReadableStream.from([1, 2, 3]),
    pipe([1, 2, 3]),
  ];
  for (const source of sources) {
    const doubled = pipe(source)
      .map(async (n: number) => n * 2)
      .flatMap((n) => [n, -n])
      .filter((n) => n > 0);
    expect(await doubled.toArray()).toEqual([2, 4, 6]);
  }
});

test("a pipe over an array can be run again", async () => {
  const numbers = pipe([1, 2, 3]).map((n) => n + 1);
  expect(await numbers.toArray()).toEqual([2, 3, 4]);
  expect(await numbers.toArray()).toEqual([2, 3, 4]);
});

test("map() with concurrency keeps the order, or gives what is ready", async () => {
  const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
  const through = (n: number) => gates[n]?.promise.then(() => n);
  const ordered = pipe([0, 1, 2, 3]).map(through, { concurrency: 4 }).toArray();
  const unordered = pipe([0, 1, 2, 3]).map(through, { concurrency: 4, ordered: false }).toArray();
  await flush();
  for (const n of [2, 0, 3, 1]) {
    gates[n]?.resolve();
    await flush();
  }
  expect(await ordered).toEqual([0, 1, 2, 3]);
  expect(await unordered).toEqual([2, 0, 3, 1]);
});

test("map() never has more calls under way, nor reads further ahead, than concurrency", async () => {
  for (const ordered of [true, false]) {
    const { state, items } = counter(20);
    let running = 0;
    let most = 0;
    const mapped = pipe(items).map(
      async (n) => {
        most = Math.max(most, ++running);
        await flush();
        running--;
        return n;
      },
      { concurrency: 3, ordered },
    );
    let given = 0;
    for await (const _ of mapped) {
      given++;
      await flush();
      await flush();
      expect(state.read - given).toBeLessThanOrEqual(3);
    }
    expect([given, most]).toEqual([20, 3]);
  }
});

test("stages without concurrency read nothing ahead", async () => {
  const { state, items } = counter();
  const stages = pipe(items)
    .map((n) => n)
    .filter(() => true)
    .flatMap((n) => [n])
    .batch({ max: 1 });
  let given = 0;
  for await (const _ of stages) {
    await flush();
    expect(state.read).toBe(++given);
    if (given === 5) break;
  }
  expect(state.closed).toBe(1);
});

test("the first error ends the run: it is what run() rejects with, the rest is cancelled and waited for, the source closed", async () => {
  for (const ordered of [true, false]) {
    const { state, items } = counter();
    const failure = new Error("number 3");
    const cancelled: number[] = [];
    const running = pipe(items)
      .map(
        async (n, context) => {
          if (n === 3) {
            await flush();
            throw failure;
          }
          if (n < 3) return n;
          return await new Promise<number>((_, reject) => {
            Context.after(context, (cause) => {
              expect(cause).toBe(failure);
              cancelled.push(n);
              reject(cause);
            });
          });
        },
        { concurrency: 4, ordered },
      )
      .run();
    await expect(running).rejects.toBe(failure);
    expect(state.closed).toBe(1);
    expect(cancelled.length).toBeGreaterThan(0);
  }
});

test("an error of the source is what the run rejects with", async () => {
  async function* broken() {
    yield 1;
    throw new Error("broken source");
  }
  for (const run of [
    () => pipe(broken()).run(),
    () =>
      pipe(broken())
        .map((n) => n, { concurrency: 4 })
        .run(),
    () => pipe(broken()).batch({ max: 5, wait: 10 }).run(),
    () => pipe(broken()).merge([1, 2]).run(),
    () =>
      pipe([1])
        .flatMap(() => broken())
        .run(),
    async () => await (pipe(broken()).tee(1)[0] as ReturnType<typeof pipe>).run(),
  ]) {
    await expect(run()).rejects.toThrow("broken source");
  }
});

test("an abort ends a run whose source is stuck, and closes the source", async () => {
  const stuck = new Promise<IteratorResult<number>>(() => {});
  let closed = 0;
  const source: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => stuck,
      return: async () => {
        closed++;
        return { done: true, value: undefined };
      },
    }),
  };
  const shapes = [
    pipe(source),
    pipe(source)
      .filter(() => true)
      .map((n) => n, { concurrency: 2 }),
    pipe(source).batch({ max: 2, wait: 5 }),
    pipe(source).merge([1]),
    pipe([1]).flatMap(() => source),
  ];
  for (const [index, shape] of shapes.entries()) {
    const caller = new AbortController();
    const running = shape.run({ signal: caller.signal });
    await flush();
    caller.abort("enough");
    await expect(running).rejects.toBe("enough");
    expect(closed).toBe(index + 1);
  }
});

test("an abort waits for functions under way: no work is left behind", async () => {
  const gate = Promise.withResolvers<void>();
  const caller = new AbortController();
  let isOver = false;
  const running = pipe([1, 2])
    .map(() => gate.promise, { concurrency: 2 })
    .run({ signal: caller.signal });
  const failed = running.catch((reason: unknown) => {
    isOver = true;
    return reason;
  });
  await flush();
  caller.abort("enough");
  await flush();
  expect(isOver).toBe(false);
  gate.resolve();
  expect(await failed).toBe("enough");
});

test("a run belongs to the current context, and its functions run in the context of the run", async () => {
  const tenant = new ContextKey<string>("tenant");
  const context = Context.derive({ values: [tenant.of("acme")] });
  const seen = await Context.run(context, () =>
    pipe([1, 2])
      .map((_, own) => [own.get(tenant), Context.current().get(tenant)], { concurrency: 2 })
      .map((values, own) => [...values, Context.current() === own])
      .toArray(),
  );
  expect(seen).toEqual([
    ["acme", "acme", true],
    ["acme", "acme", true],
  ]);
  const waiting = Context.run(context, () => pipe(channel()).run());
  context.cancel("shutdown");
  await expect(waiting).rejects.toBe("shutdown");
});

test("leaving a loop early closes the source, whatever is between", async () => {
  for (const through of [
    (items: AsyncIterable<number>) => pipe(items),
    (items: AsyncIterable<number>) => pipe(items).map((n) => n, { concurrency: 3 }),
    (items: AsyncIterable<number>) => pipe(items).map((n) => n, { concurrency: 3, ordered: false }),
    (items: AsyncIterable<number>) => pipe(items).batch({ max: 1, wait: 10 }),
    (items: AsyncIterable<number>) => pipe(items).merge([0]),
    (items: AsyncIterable<number>) => pipe(items).tee(1)[0] as ReturnType<typeof pipe<number>>,
  ]) {
    const { state, items } = counter();
    for await (const _ of through(items)) break;
    await flush();
    expect(state.closed).toBe(1);
  }
});

test("a channel that is a source loses no item to an abort", async () => {
  const jobs = channel<number>();
  const caller = new AbortController();
  const running = pipe(jobs).run({ signal: caller.signal });
  await flush();
  expect(jobs.waitingReceivers).toBe(1);
  caller.abort("enough");
  expect(jobs.waitingReceivers).toBe(0);
  await expect(running).rejects.toBe("enough");
});

test("batch() gives what it has when the time is over, and no empty batches", async () => {
  const clock = new TestClock();
  const source = channel<number>(10);
  const batches: number[][] = [];
  const running = pipe(source)
    .batch({ max: 3, wait: 100, clock })
    .forEach((batch) => void batches.push(batch));
  for (const n of [1, 2, 3, 4]) source.trySend(n);
  await flush();
  expect(batches).toEqual([[1, 2, 3]]);
  await clock.advance(99);
  expect(batches.length).toBe(1);
  await clock.advance(1);
  expect(batches).toEqual([[1, 2, 3], [4]]);
  await clock.advance(1_000);
  source.trySend(5);
  await clock.advance(50);
  source.trySend(6);
  source.close();
  await running;
  expect(batches).toEqual([[1, 2, 3], [4], [5, 6]]);
  expect(clock.timers).toBe(0);
});

test("merge() gives the items of all as they come, and ends when all have ended", async () => {
  const [a, b] = [channel<string>(), channel<string>()];
  const all = merge(a, b).toArray();
  await b.send("b1");
  await a.send("a1");
  b.close();
  await a.send("a2");
  a.close();
  expect(await all).toEqual(["b1", "a1", "a2"]);
});

test("an error of one merged source ends the others", async () => {
  const { state, items } = counter();
  const broken = pipe([0]).map(async () => {
    await flush();
    throw new Error("one of them");
  });
  await expect(merge<number>(items, broken).run()).rejects.toThrow("one of them");
  expect(state.closed).toBe(1);
});

test("tee() gives every item to each branch, from one run", async () => {
  const { state, items } = counter(50);
  const branches = pipe(items).tee(3);
  const [a, b, c] = await Promise.all(branches.map((branch) => branch.toArray()));
  expect(a).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  expect(b).toEqual(a);
  expect(c).toEqual(a);
  expect(state).toEqual({ read: 50, closed: 1 });
  await expect(branches[0]?.run()).rejects.toThrow(/twice/);
});

test("the fastest branch of a tee() waits when it is buffer items ahead, and a branch that is left holds up nobody", async () => {
  const { state, items } = counter();
  const [fast, slow] = pipe(items).tee(2, { buffer: 4 });
  const got: number[] = [];
  const caller = new AbortController();
  const running = fast?.forEach((n) => void got.push(n), { signal: caller.signal });
  const settled = expect(running).rejects.toBe("enough");
  await flush();
  await flush();
  expect(got.length).toBeLessThanOrEqual(5);
  expect(await slow?.take(10).toArray()).toHaveLength(10);
  await flush();
  expect(got.length).toBeGreaterThan(15);
  caller.abort("enough");
  await settled;
  await flush();
  expect(state.closed).toBe(1);
});

test("take() closes the source as soon as the last item was read", async () => {
  const { state, items } = counter();
  const seen: number[] = [];
  for await (const n of pipe(items).take(2)) {
    seen.push(n);
    if (n === 2) expect(state.closed).toBe(1);
  }
  expect(seen).toEqual([1, 2]);
  expect(await pipe(counter().items).take(0).toArray()).toEqual([]);
});

test("to() writes at the pace of a Node.js stream and ends it", async () => {
  const written: number[] = [];
  const { state, items } = counter(100);
  const slow = new Writable({
    objectMode: true,
    highWaterMark: 2,
    write(n: number, _, done) {
      written.push(n);
      expect(state.read - written.length).toBeLessThan(8);
      setImmediate(done);
    },
  });
  await pipe(items).to(slow);
  expect(written.length).toBe(100);
  expect(slow.writableFinished).toBe(true);
});

test("to() ends both sides when one fails, or the caller aborts", async () => {
  const { state, items } = counter();
  const broken = new Writable({ objectMode: true, write: (_chunk, _encoding, done) => done(new Error("disk full")) });
  await expect(pipe(items).to(broken)).rejects.toThrow("disk full");
  expect(state.closed).toBe(1);

  const stuck = new Writable({ objectMode: true, highWaterMark: 1, write() {} });
  const caller = new AbortController();
  const running = pipe(counter().items).to(stuck, { signal: caller.signal });
  await flush();
  caller.abort("enough");
  await expect(running).rejects.toBe("enough");
  expect(stuck.destroyed).toBe(true);
});

test("to() writes at the pace of a Web stream and closes it, or aborts it with the error", async () => {
  const written: number[] = [];
  let isClosed = false;
  await pipe([1, 2, 3]).to(
    new WritableStream({
      write: (n) => void written.push(n),
      close() {
        isClosed = true;
      },
    }),
  );
  expect([written, isClosed]).toEqual([[1, 2, 3], true]);

  let reason: unknown;
  const failing = pipe([1]).map(() => Promise.reject(new Error("no")));
  await expect(
    failing.to(
      new WritableStream({
        abort: (why) => {
          reason = why;
        },
      }),
    ),
  ).rejects.toThrow("no");
  expect(reason).toEqual(new Error("no"));

  const caller = new AbortController();
  const stuck = new WritableStream<number>({ write: () => new Promise(() => {}) });
  const running = pipe(counter().items).to(stuck, { signal: caller.signal });
  await flush();
  caller.abort("enough");
  await expect(running).rejects.toBe("enough");
});

test("a pipe is read as a Node.js or Web stream, and closed with it", async () => {
  expect(await Readable.prototype.toArray.call(pipe([1, 2, 3]).toReadable() as Readable)).toEqual([1, 2, 3]);
  const { state, items } = counter();
  const reader = pipe(items).toReadableStream().getReader();
  expect(await reader.read()).toEqual({ done: false, value: 1 });
  await reader.cancel();
  expect(state.closed).toBe(1);
});

test("an abort destroys a Node.js stream and cancels a Web stream that nobody writes to", async () => {
  const idle = new PassThrough();
  const gone = once(idle as EventEmitter, "close");
  let why: unknown;
  const web = new ReadableStream({
    cancel: () => {
      why = "cancelled";
    },
  });
  for (const source of [idle, web]) {
    const caller = new AbortController();
    const running = pipe<unknown>(source).run({ signal: caller.signal });
    await flush();
    caller.abort("enough");
    await expect(running).rejects.toBe("enough");
  }
  await gone;
  expect(why).toBe("cancelled");
});

test("the stack of an error in a step shows who runs the pipe", async () => {
  async function badStep(n: number): Promise<number> {
    await flush();
    throw new Error(`bad ${n}`);
  }
  for (const concurrency of [1, 2]) {
    async function whoRunsIt() {
      await pipe([1]).map(badStep, { concurrency }).run();
    }
    const error = (await whoRunsIt().catch((error: unknown) => error)) as Error;
    expect(error.stack).toMatch(/badStep[\s\S]*whoRunsIt/);
  }
});

test("misuse is answered with what was expected", () => {
  // @ts-expect-error: not iterable
  expect(() => pipe(5)).toThrow(/must be an iterable object, got 5/);
  expect(() => pipe([1]).map((n) => n, { concurrency: 0 })).toThrow(/concurrency must be an integer of at least 1/);
  expect(() => pipe([1]).batch({ max: 0 })).toThrow(RangeError);
  expect(() => pipe([1]).take(-1)).toThrow(RangeError);
  // @ts-expect-error: not a function
  expect(() => pipe([1]).map(5)).toThrow(/takes a function, got 5/);
});

test("types follow the stages", () => {
  const numbers = pipe([1, 2, 3]);
  expectTypeOf(
    numbers
      .map(async (n) => `${n}`)
      .batch({ max: 2 })
      .toArray(),
  ).toEqualTypeOf<Promise<string[][]>>();
  const mixed = pipe<number | string>([1, "a"]);
  expectTypeOf(mixed.filter((one) => typeof one === "string").toArray()).toEqualTypeOf<Promise<string[]>>();
  expectTypeOf(numbers.merge(["a"]).toArray()).toEqualTypeOf<Promise<(number | string)[]>>();
});

test("any pipe gives what the same array methods give", async () => {
  const stage = fc.oneof(
    fc.record({ kind: fc.constant("map" as const), concurrency: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ kind: fc.constant("filter" as const), modulus: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ kind: fc.constant("flatMap" as const), copies: fc.nat(2) }),
    fc.record({ kind: fc.constant("take" as const), count: fc.nat(10) }),
    fc.record({ kind: fc.constant("batch" as const), max: fc.integer({ min: 1, max: 4 }), waits: fc.boolean() }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(100), { maxLength: 20 }),
      fc.array(stage, { maxLength: 5 }),
      async (items, stages) => {
        let model = items;
        let real = pipe(items);
        for (const stage of stages) {
          if (stage.kind === "map") {
            const { concurrency } = stage;
            model = model.map((n) => n + 1);
            real = real.map(
              async (n) => {
                for (let i = 0; i < n % 5; i++) await Promise.resolve();
                return n + 1;
              },
              { concurrency },
            );
          } else if (stage.kind === "filter") {
            const { modulus } = stage;
            model = model.filter((n) => n % modulus === 0);
            real = real.filter((n) => n % modulus === 0);
          } else if (stage.kind === "flatMap") {
            const { copies } = stage;
            model = model.flatMap((n) => Array<number>(copies).fill(n));
            real = real.flatMap((n) => Array<number>(copies).fill(n));
          } else if (stage.kind === "take") {
            model = model.slice(0, stage.count);
            real = real.take(stage.count);
          } else {
            const { max, waits } = stage;
            const sums: number[] = [];
            for (let i = 0; i < model.length; i += max) sums.push(model.slice(i, i + max).reduce((a, b) => a + b));
            model = sums;
            real = real
              .batch({ max, ...(waits ? { wait: 1_000_000 } : {}) })
              .map((batch) => batch.reduce((a, b) => a + b));
          }
        }
        expect(await real.toArray()).toEqual(model);
      },
    ),
    { numRuns: propertyRuns(200) },
  );
});

test("cancelled at any microtask, a run settles and its source is closed", async () => {
  await cancelSweep(
    async (context, step) => {
      const { state, items } = counter(4);
      const seen: number[] = [];
      const running = pipe(items)
        .map(async (n) => n, { concurrency: 2 })
        .batch({ max: 2, wait: 10 })
        .forEach((batch) => void seen.push(...batch), { signal: context });
      await running.catch((cause: unknown) => expect(cause).toBe(context.cause));
      expect(seen).toEqual([1, 2, 3, 4].slice(0, seen.length));
      if (step > 0) expect(state.closed).toBe(1);
    },
    { steps: 150 },
  );
});
