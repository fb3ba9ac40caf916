// Every primitive as what it has in common with the others, so that one law can be tried on all of them.
import {
  all,
  Barrier,
  batcher,
  byKey,
  Condition,
  Context,
  channel,
  Event,
  fixedWindow,
  Keyed,
  Latch,
  leakyBucket,
  limit,
  Mutex,
  merge,
  pipe,
  pool,
  type RateLimiter,
  RwLock,
  Semaphore,
  Supervisor,
  scope,
  select,
  sending,
  singleflight,
  slidingWindow,
  TaskScope,
  tokenBucket,
} from "@proj/concurrency";
import { mpmcRing, spscRing } from "@proj/concurrency/ring";

export interface Options {
  readonly signal?: AbortSignal | Context | undefined;
}

/** A place where callers wait. */
export interface Place {
  /** From now on callers wait. */
  block(): void;
  /** A caller who comes. */
  enter(options: Options): Promise<unknown>;
  /** Lets the one who waits go on. */
  pass(): void;
  /** How many wait, as the primitive itself counts; left out where it does not. */
  waiting?(): number;
}

const hour = 3_600_000;
const signalOf = ({ signal }: Options) => ({ signal });

function holding(
  waiting: () => number,
  block: () => Disposable | undefined,
  enter: (options: Options) => Promise<unknown>,
): Place {
  let held: Disposable | undefined;
  return {
    block: () => {
      held = block();
    },
    pass: () => held?.[Symbol.dispose](),
    enter,
    waiting,
  };
}

function limiterPlace(limiter: RateLimiter, units: number): Place {
  return {
    block: () => void limiter.tryTake(undefined, units),
    enter: (options) => limiter.take(undefined, 1, options),
    pass: () => limiter.reset(),
  };
}

function promisePlace(enter: (promise: Promise<unknown>, options: Options) => Promise<unknown>): Place {
  let gate = Promise.withResolvers<unknown>();
  return {
    block: () => {
      gate = Promise.withResolvers();
    },
    enter: (options) => enter(gate.promise, options),
    pass: () => gate.resolve("done"),
  };
}

function sourcePlace(enter: (source: AsyncIterable<number>, options: Options) => Promise<unknown>): Place {
  const source = channel<number>(1); // what comes before it is waited for is kept
  return {
    block: () => void source.tryRecv(),
    enter: (options) => enter(source, options),
    pass: () => void source.trySend(1),
    waiting: () => source.waitingReceivers,
  };
}

const identity = (value: unknown) => value;

/** Each makes a new one. */
export const places: Readonly<Record<string, () => Place | Promise<Place>>> = {
  "Semaphore.acquire": () => {
    const semaphore = new Semaphore(1);
    return holding(
      () => semaphore.waiting,
      () => semaphore.tryAcquire(),
      async (options) => (await semaphore.acquire(options)).release(),
    );
  },
  "Semaphore.run": () => {
    const semaphore = new Semaphore(1);
    return holding(
      () => semaphore.waiting,
      () => semaphore.tryAcquire(),
      (options) => semaphore.run(() => "done", options),
    );
  },
  limit: () => {
    const one = limit(1);
    return holding(
      () => one.waiting,
      () => one.semaphore.tryAcquire(),
      ({ signal }) => Context.run(Context.derive({ signal }), () => one(() => "done")),
    );
  },
  "limit.map": () => {
    const one = limit(1);
    return holding(
      () => one.waiting,
      () => one.semaphore.tryAcquire(),
      (options) => one.map([1], identity, options),
    );
  },
  "Mutex.run": () => {
    const mutex = new Mutex();
    return holding(
      () => mutex.waiting,
      () => mutex.tryAcquire(),
      (options) => mutex.run(() => "done", options),
    );
  },
  "RwLock.read": () => {
    const lock = new RwLock();
    return holding(
      () => lock.waiting,
      () => lock.tryAcquireWrite(),
      (options) => lock.read(() => "done", options),
    );
  },
  "RwLock.acquireWrite": () => {
    const lock = new RwLock();
    return holding(
      () => lock.waiting,
      () => lock.tryAcquireRead(),
      async (options) => (await lock.acquireWrite(options)).release(),
    );
  },
  "Keyed.for": () => {
    const keyed = new Keyed(() => new Mutex());
    return holding(
      () => Math.max(0, keyed.size - 1), // the holder uses the key as well
      () => keyed.for("a").tryAcquire(),
      (options) => keyed.for("a").run(() => "done", options),
    );
  },
  "Condition.wait": () => {
    const mutex = new Mutex();
    const condition = new Condition(mutex);
    return {
      block: () => {},
      enter: (options) => mutex.run(() => condition.wait(options)),
      pass: () => condition.notify(),
      waiting: () => condition.waiting,
    };
  },
  "Event.wait": () => {
    const event = new Event();
    return {
      block: () => event.clear(),
      enter: (options) => event.wait(options),
      pass: () => event.set(),
      waiting: () => event.waiting,
    };
  },
  "Latch.wait": () => {
    let latch = new Latch(1);
    return {
      block: () => {
        latch = new Latch(1);
      },
      enter: (options) => latch.wait(options),
      pass: () => latch.countDown(),
      waiting: () => latch.waiting,
    };
  },
  "Barrier.wait": () => {
    const barrier = new Barrier(2);
    return {
      block: () => barrier.reset(),
      enter: (options) => barrier.wait(options),
      pass: () => void barrier.wait().catch(() => {}), // nobody waits for it: it breaks when the barrier is reset
      waiting: () => barrier.waiting,
    };
  },
  "channel.recv": () => {
    const numbers = channel<number>();
    return {
      block: () => {},
      enter: (options) => numbers.recv(options),
      pass: () => void numbers.trySend(1),
      waiting: () => numbers.waitingReceivers,
    };
  },
  "channel.values": () =>
    sourcePlace(async (source, options) => {
      for await (const _ of (source as ReturnType<typeof channel<number>>).values(options)) return;
    }),
  "channel.send": () => {
    const numbers = channel<number>();
    return {
      block: () => {},
      enter: (options) => numbers.send(1, options),
      pass: () => void numbers.tryRecv(),
      waiting: () => numbers.waitingSenders,
    };
  },
  select: () => {
    const items = channel<number>(1);
    const full = channel<number>();
    const forever = new Promise(() => {});
    const stop = Context.derive();
    const { signal } = new AbortController();
    return {
      block: () => void items.tryRecv(),
      enter: (options) => select({ items, full: sending(full, 1), forever, stop, signal }, options),
      pass: () => void items.trySend(1),
      waiting: () => items.waitingReceivers + full.waitingSenders,
    };
  },
  "select of a promise": () => promisePlace((promise, options) => select({ promise }, options)),
  "pipe.run": () => sourcePlace((source, options) => pipe(source).take(1).run(options)),
  "pipe.map": () =>
    sourcePlace((source, options) => pipe(source).map(identity, { concurrency: 2 }).take(1).toArray(options)),
  "pipe.map, unordered": () =>
    sourcePlace((source, options) =>
      pipe(source)
        .take(1)
        .forEach(identity, { ...options, concurrency: 2 }),
    ),
  "pipe.batch": () => sourcePlace((source, options) => pipe(source).batch({ max: 1, wait: hour }).take(1).run(options)),
  "pipe.flatMap": () =>
    sourcePlace((source, options) =>
      pipe([1])
        .flatMap(() => source)
        .take(1)
        .run(options),
    ),
  merge: () => sourcePlace((source, options) => merge(source, source).take(1).run(options)),
  "pipe.tee": () =>
    sourcePlace(async (source, options) => {
      const branches = pipe(source).take(1).tee(2);
      await Promise.all(branches.map((branch) => branch.run(options)));
    }),
  batcher: () => {
    const loads = batcher((keys: readonly number[]) => keys, { maxWait: hour });
    return {
      block: () => {},
      enter: (options) => loads.load(1, options),
      pass: () => loads.flush(),
      waiting: () => loads.waiting,
    };
  },
  singleflight: () => {
    const flights = singleflight<string, unknown>();
    const place = promisePlace((promise, options) => flights.run("key", () => promise, options));
    return { ...place, waiting: () => flights.size };
  },
  "pool.acquire": async () => {
    const things = pool({ create: () => ({}), max: 1 });
    await things.run(() => {});
    return holding(
      () => things.stats.waiting,
      () => things.tryAcquire(),
      async (options) => (await things.acquire(options)).release(),
    );
  },
  "pool.use": async () => {
    const things = pool({ create: () => ({}), max: 1 });
    await things.run(() => {});
    return holding(
      () => things.stats.waiting,
      () => things.tryAcquire(),
      (options) => things.run(() => "done", options),
    );
  },
  tokenBucket: () => limiterPlace(tokenBucket({ rate: 1, per: hour }), 1),
  leakyBucket: () => limiterPlace(leakyBucket({ rate: 1, per: hour, capacity: 10 }), 1),
  slidingWindow: () => limiterPlace(slidingWindow({ limit: 1, window: hour }), 1),
  "slidingWindow, exact": () => limiterPlace(slidingWindow({ limit: 1, window: hour, exact: true }), 1),
  fixedWindow: () => limiterPlace(fixedWindow({ limit: 1, window: hour }), 1),
  "all, byKey": () => {
    const inner = tokenBucket<string>({ rate: 1, per: hour });
    return limiterPlace(
      all(
        tokenBucket({ rate: 1, per: hour }),
        byKey(inner, () => "key"),
      ),
      1,
    );
  },
  scope: () =>
    promisePlace((promise, options) => scope((tasks) => tasks.spawn(() => select({ promise })), signalOf(options))),
  "scope with a limit": () =>
    promisePlace((promise, options) =>
      scope(
        (tasks) => {
          void tasks.spawn(() => select({ promise }));
          void tasks.spawn(() => "waits for its turn");
        },
        { ...options, limit: 1 },
      ),
    ),
  TaskScope: () =>
    promisePlace(async (promise, options) => {
      await using tasks = new TaskScope(options);
      void tasks.spawn(() => select({ promise }));
      await tasks.join();
    }),
};

/** Those that sleep on shared memory, whose waits the platform ends in a later turn. */
export const rings: Readonly<Record<string, () => Place>> = {
  "spscRing.pop": () => {
    const ring = spscRing({ bytes: 64 });
    return { block: () => {}, enter: (options) => ring.pop(options), pass: () => void ring.tryPush(Uint8Array.of(1)) };
  },
  "mpmcRing.pop": () => {
    const ring = mpmcRing({ slots: 2, slotBytes: 4 });
    return { block: () => {}, enter: (options) => ring.pop(options), pass: () => void ring.tryPush(Uint8Array.of(1)) };
  },
};

export type Work = (...args: unknown[]) => Promise<never>;

/** Each calls `work` somewhere inside of a primitive. */
export const callers: Readonly<Record<string, (work: Work, options: Options) => Promise<unknown>>> = {
  "Semaphore.run": (work, options) => new Semaphore(1).run(work, options),
  "Semaphore.run without options": (work) => new Semaphore(1, { reentry: "ignore" }).run(work),
  "Semaphore.run after a wait": async (work, options) => {
    const semaphore = new Semaphore(1);
    const permit = await semaphore.acquire();
    setImmediate(() => permit.release());
    return await semaphore.run(work, options);
  },
  limit: (work) => limit(1)(() => work(Context.current())),
  "limit.map": (work, options) => limit(2).map([1, 2], (item, _index, context) => work(context, item), options),
  "Mutex.run": (work, options) => new Mutex().run(work, options),
  "RwLock.read": (work, options) => new RwLock().read(work, options),
  "RwLock.write": (work, options) => new RwLock({ reentry: "ignore" }).write(work, options),
  "Keyed.for": (work, options) => new Keyed(() => new Mutex()).for("key").run(work, options),
  "Keyed.use": (work) => new Keyed(() => 1).use("key", () => work(Context.current())),
  "scope, its body": (work, options) => scope(({ context }) => work(context), options),
  "scope.spawn": (work, options) => scope((tasks) => tasks.spawn(work), options),
  "scope.spawn with a limit": (work, options) => scope((tasks) => tasks.spawn(work), { ...options, limit: 1 }),
  "TaskScope.spawn": async (work, options) => {
    await using tasks = new TaskScope(options);
    return await tasks.spawn(work);
  },
  "pipe.map": (work, options) => pipe([1]).map(swap(work)).run(options),
  "pipe.map, several at a time": (work, options) =>
    pipe([1, 2, 3]).map(swap(work), { concurrency: 2 }).toArray(options),
  "pipe.filter": (work, options) => pipe([1]).filter(swap(work)).run(options),
  "pipe.flatMap": (work, options) => pipe([1]).flatMap(swap(work)).run(options),
  "pipe.forEach": (work, options) => pipe([1]).forEach(swap(work), options),
  "pipe.batch": (work, options) => pipe([1]).map(swap(work)).batch({ max: 2, wait: hour }).run(options),
  "pipe.to": (work, options) => pipe([1]).map(swap(work)).to(new WritableStream(), options),
  "for await over a pipe": async (work) => {
    for await (const _ of pipe([1]).map(swap(work)));
  },
  batcher: (work, options) => batcher(swap(work)).load(1, options),
  "batcher with maxWait": (work, options) => batcher(swap(work), { maxWait: 1 }).load(1, options),
  singleflight: (work, options) => singleflight().run("key", work, options),
  "pool.run": (work, options) => pool({ create: async () => 1 }).run(swap(work), options),
  "Supervisor.start": (work) => new Supervisor({ service: { start: work } }).start(),
  "Supervisor.run": (work) => new Supervisor({ service: { start: work } }, { signals: [] }).run(),
  "Context.run": (work, { signal }) => {
    const context = Context.derive({ signal });
    return Context.run(context, () => work(context));
  },
};

/** For those who pass the context last. */
function swap(work: Work): (value: unknown, context: Context) => Promise<never> {
  return (value, context) => work(context, value);
}
