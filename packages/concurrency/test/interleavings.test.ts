// Our own primitives in every order of a few programs' steps, and in many orders of more.
import {
  Condition,
  Context,
  channel,
  Mutex,
  type OwnedContext,
  pool,
  RwLock,
  Semaphore,
  singleflight,
  tokenBucket,
} from "@proj/concurrency";
import { type InterleaveOptions, interleave } from "@proj/concurrency/testing";
import { expect, test } from "vitest";

type Step = (label?: string) => Promise<void>;

const many: InterleaveOptions = { schedules: 2_000 };

/** Cancels the context that the subject carries, at whatever moment. */
const cancel = async ({ stop }: { readonly stop: OwnedContext }, step: Step): Promise<void> => {
  await step("cancels");
  stop.cancel("stopped");
};

/** What is cancelled may end early, and for no other reason. */
const orStopped = (error: unknown): void => {
  expect(error).toBe("stopped");
};

test("Semaphore: no order lets too many pass, loses a permit, or lets a light caller overtake a heavy one", async () => {
  const setup = () => ({
    semaphore: new Semaphore(2),
    stop: Context.derive(),
    inside: { weight: 0 },
    asked: [] as string[],
    served: [] as string[],
  });
  const take = (name: string, weight: number, useStop = false) => {
    return async (subject: ReturnType<typeof setup>, step: Step) => {
      const { semaphore, stop, inside, asked, served } = subject;
      asked.push(name);
      const work = async () => {
        served.push(name);
        inside.weight += weight;
        await step("holds");
        inside.weight -= weight;
      };
      await semaphore.run(work, { weight, signal: useStop ? stop : undefined }).catch(orStopped);
    };
  };
  const result = await interleave(
    {
      setup,
      programs: { light: take("light", 1), heavy: take("heavy", 2, true), other: take("other", 1), cancel },
      invariant: ({ semaphore, inside }) => {
        expect(inside.weight).toBeLessThanOrEqual(2);
        expect(semaphore.held).toBeGreaterThanOrEqual(inside.weight);
        expect(semaphore.held + semaphore.free).toBe(2);
      },
      end: ({ semaphore, asked, served }) => {
        expect([semaphore.free, semaphore.waiting]).toEqual([2, 0]);
        // Light callers fit in together, so which of them starts first means nothing.
        const overtaken = asked.indexOf("heavy") < 0 ? [] : asked.slice(asked.indexOf("heavy") + 1);
        const before = served.includes("heavy") ? served.slice(0, served.indexOf("heavy")) : [];
        expect(before.filter((name) => overtaken.includes(name))).toEqual([]);
      },
    },
    many,
  );
  expect(result.schedules).toBe(2_000);
});

test("Mutex: no order lets two in, or leaves it locked", async () => {
  const setup = (clock: Parameters<Parameters<typeof interleave>[0]["setup"]>[0]) => ({
    mutex: new Mutex({ clock }),
    stop: Context.derive(),
    inside: { count: 0 },
  });
  const enter = (timeout?: number) => async (subject: ReturnType<typeof setup>, step: Step) => {
    const { mutex, stop, inside } = subject;
    const work = async () => {
      expect(++inside.count).toBe(1);
      await step("holds");
      inside.count--;
    };
    await mutex.run(work, timeout === undefined ? { signal: stop } : { timeout }).catch((error: Error | string) => {
      if (timeout === undefined || typeof error === "string") orStopped(error);
      else expect(error.name).toBe("TimeoutError");
    });
  };
  await interleave(
    {
      setup,
      programs: { one: enter(), two: enter(10), three: enter(20), cancel },
      end: ({ mutex }, clock) => expect([mutex.locked, mutex.waiting, clock.timers]).toEqual([false, 0, 0]),
    },
    many,
  );
});

test("RwLock: no order lets a writer in beside anybody, or leaves it locked", async () => {
  const setup = () => ({ lock: new RwLock(), stop: Context.derive(), inside: { readers: 0, writers: 0 } });
  const read = async ({ lock, stop, inside }: ReturnType<typeof setup>, step: Step) => {
    const work = async () => {
      inside.readers++;
      await step("reads");
      inside.readers--;
    };
    await lock.read(work, { signal: stop }).catch(orStopped);
  };
  const write = async ({ lock, stop, inside }: ReturnType<typeof setup>, step: Step) => {
    const work = async () => {
      inside.writers++;
      await step("writes");
      inside.writers--;
    };
    await lock.write(work, { signal: stop }).catch(orStopped);
  };
  await interleave(
    {
      setup,
      programs: { reader: read, writer: write, other: read, second: write, cancel },
      invariant: ({ inside: { readers, writers } }) => {
        expect(writers).toBeLessThanOrEqual(1);
        if (writers === 1) expect(readers).toBe(0);
      },
      end: ({ lock }) => {
        expect(lock.waiting).toBe(0);
        using guard = lock.tryAcquireWrite();
        expect(guard).toBeDefined();
      },
    },
    many,
  );
});

test("channel: no order loses an item, doubles one, or changes the order of one sender", async () => {
  const setup = () => ({
    items: channel<string>(1),
    stop: Context.derive(),
    sent: [] as string[],
    got: [] as string[],
  });
  const send = (name: string) => async (subject: ReturnType<typeof setup>, step: Step) => {
    for (const item of [`${name}1`, `${name}2`]) {
      await step("sends");
      await subject.items.send(item, { signal: subject.stop }).then(() => subject.sent.push(item), orStopped);
    }
  };
  const receive = async ({ items, stop, got }: ReturnType<typeof setup>, step: Step) => {
    for (let count = 0; count < 2; count++) {
      await step("receives");
      await items.recv({ signal: stop }).then((received) => received.done || got.push(received.value), orStopped);
    }
  };
  await interleave(
    {
      setup,
      programs: { a: send("a"), b: send("b"), one: receive, two: receive, cancel },
      end: ({ items, sent, got }) => {
        expect([items.waitingSenders, items.waitingReceivers]).toEqual([0, 0]);
        for (let left = items.tryRecv(); left !== undefined && !left.done; left = items.tryRecv()) got.push(left.value);
        expect(got.toSorted()).toEqual(sent.toSorted());
        for (const name of ["a", "b"]) {
          const own = got.filter((item) => item.startsWith(name));
          expect(own).toEqual(own.toSorted());
        }
      },
    },
    many,
  );
});

test("pool: no order makes too many, lends one twice, or keeps one for ever", async () => {
  const setup = () => {
    let made = 0;
    const things = pool({ create: async () => ({ id: ++made, users: 0 }), max: 1 });
    return { things, stop: Context.derive() };
  };
  const use = async ({ things, stop }: ReturnType<typeof setup>, step: Step) => {
    await step("asks");
    const lease = await things.acquire({ signal: stop }).catch(orStopped);
    if (lease === undefined) return;
    expect(++lease.resource.users).toBe(1);
    await step("uses");
    lease.resource.users--;
    lease.release();
  };
  await interleave(
    {
      setup,
      programs: { one: use, two: use, three: use, cancel },
      invariant: ({ things }) => expect(things.stats.size).toBeLessThanOrEqual(1),
      end: async ({ things }) => {
        expect([things.stats.waiting, things.stats.size - things.stats.idle]).toEqual([0, 0]);
        await things.close();
      },
    },
    many,
  );
});

test("singleflight: no order runs two of a key at a time, or takes a result from who did not give up", async () => {
  const setup = () => ({
    flights: singleflight<string, number>(),
    stop: Context.derive(),
    running: new Set<Context>(),
  });
  const join =
    (useStop: boolean) =>
    async ({ flights, stop, running }: ReturnType<typeof setup>, step: Step) => {
      await step("joins");
      const load = async (context: Context) => {
        for (const other of running) expect(other.cancelled).toBe(true); // the last of its callers has left it
        running.add(context);
        await step("loads");
        running.delete(context);
        context.throwIfCancelled();
        return 42;
      };
      const joined = flights.run("key", load, useStop ? { signal: stop } : undefined);
      if (useStop) await joined.then((value) => expect(value).toBe(42), orStopped);
      else expect(await joined).toBe(42);
    };
  await interleave(
    {
      setup,
      programs: { one: join(true), two: join(false), three: join(false), cancel },
      end: ({ flights }) => expect(flights.size).toBe(0),
    },
    many,
  );
});

test("RateLimiter.take: no order admits too many, out of turn, or charges who gave up", async () => {
  const setup = (clock: Parameters<Parameters<typeof interleave>[0]["setup"]>[0]) => ({
    limiter: tokenBucket({ rate: 1, per: 100, burst: 1, clock }),
    stop: Context.derive(),
    asked: [] as string[],
    taken: [] as { readonly name: string; readonly at: number }[],
    clock,
  });
  const take = (name: string, useStop: boolean) => async (subject: ReturnType<typeof setup>, step: Step) => {
    await step("takes");
    subject.asked.push(name);
    const taking = subject.limiter.take(undefined, 1, useStop ? { signal: subject.stop } : undefined);
    await taking.then(() => subject.taken.push({ name, at: subject.clock.now() }), orStopped);
  };
  await interleave(
    {
      setup,
      programs: { one: take("one", false), two: take("two", true), three: take("three", false), cancel },
      end: ({ asked, taken, clock }) => {
        expect(taken.map(({ name }) => name)).toEqual(asked.filter((name) => taken.some((take) => take.name === name)));
        expect(taken.map(({ at }) => at)).toEqual(taken.map((_, index) => index * 100));
        expect([taken.length >= 2, clock.timers]).toEqual([true, 0]);
      },
    },
    many,
  );
});

test("Condition: no order loses a notification, or leaves the mutex locked", async () => {
  const setup = () => {
    const mutex = new Mutex();
    return { mutex, filled: new Condition(mutex), stop: Context.derive(), items: [] as number[], got: [] as number[] };
  };
  const take = (useStop: boolean) => async (subject: ReturnType<typeof setup>, step: Step) => {
    const { mutex, filled, stop, items, got } = subject;
    await step("comes");
    const taking = mutex.run(async () => {
      while (items.length === 0) await filled.wait(useStop ? { signal: stop } : undefined);
      got.push(items.shift() as number); // there is one
    });
    await (useStop ? taking.catch(orStopped) : taking);
  };
  const put = async ({ mutex, filled, items }: ReturnType<typeof setup>, step: Step) => {
    for (const item of [1, 2]) {
      await mutex.run(async () => {
        items.push(item);
        await step("notifies");
        filled.notify();
      });
    }
  };
  await interleave(
    {
      setup,
      programs: { patient: take(false), hasty: take(true), put, cancel },
      end: ({ mutex, filled, items, got }) => {
        expect([mutex.locked, mutex.waiting, filled.waiting]).toEqual([false, 0, 0]);
        expect([...got, ...items].toSorted()).toEqual([1, 2]);
      },
    },
    many,
  );
});
