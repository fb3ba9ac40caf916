import fc from "fast-check";
import { expect, test } from "vitest";
import { Event, Semaphore } from "../index.ts";
import { InterleavingError, interleave } from "../testing.ts";
import { shrink } from "./interleave-schedule.ts";

type Step = (label?: string) => Promise<void>;

async function failureOf(running: Promise<unknown>): Promise<InterleavingError> {
  const error = await running.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(InterleavingError);
  return error as InterleavingError; // as was just checked
}

async function increment(counter: { value: number }, step: Step): Promise<void> {
  const { value } = counter;
  await step("has read");
  counter.value = value + 1;
}

/** Wakes a waiter without keeping the place free for it until it comes. */
class CarelessLock {
  holders = 0;
  readonly #waiting: (() => void)[] = [];

  async acquire(): Promise<void> {
    if (this.holders > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.holders++;
  }

  release(): void {
    this.holders--;
    this.#waiting.shift()?.();
  }
}

const careless = {
  setup: () => new CarelessLock(),
  programs: {
    first: async (lock: CarelessLock, step: Step) => {
      await lock.acquire();
      await step("holds");
      lock.release();
    },
    second: async (lock: CarelessLock, step: Step) => {
      await lock.acquire();
      await step("holds");
      lock.release();
    },
    third: async (lock: CarelessLock, step: Step) => {
      await lock.acquire();
      await step("holds");
      lock.release();
    },
  },
  invariant: (lock: CarelessLock) => expect(lock.holders).toBeLessThanOrEqual(1),
};

test("interleave() tries every order of the steps, each once", async () => {
  const orders: string[] = [];
  const program = (name: string) => async (log: string[], step: Step) => {
    log.push(name);
    await step();
    log.push(name);
  };
  const result = await interleave<string[]>(
    {
      setup: () => [],
      programs: { a: program("a"), b: program("b") },
      end: (log) => void orders.push(log.join("")),
    },
    { preemptions: 0 },
  );
  expect(result).toEqual({ schedules: 6, complete: true });
  expect(orders.toSorted()).toEqual(["aabb", "abab", "abba", "baab", "baba", "bbaa"]);
});

test("interleave() tells the order in which an update is lost, and runs it again", async () => {
  const counter = {
    setup: () => ({ value: 0 }),
    programs: { a: increment, b: increment, c: async (_: unknown, step: Step) => await step() },
    end: ({ value }: { value: number }) => expect(value, "an update is lost").toBe(2),
  };
  const error = await failureOf(interleave(counter));
  expect(error.message).toContain("The programs fail in this order: an update is lost");
  expect(error.message).toContain(`Run it again with { schedule: "${error.schedule}" }`);
  expect(error.code).toBe("ERR_INTERLEAVING");
  expect(error.cause).toHaveProperty("name", "AssertionError");
  const again = await failureOf(interleave(counter, { schedule: error.schedule }));
  expect([again.schedule, again.steps]).toEqual([error.schedule, error.steps]);
});

test("interleave() lets a program go on between two microtasks, and finds what only fails there", async () => {
  expect(await interleave(careless, { preemptions: 0 })).toMatchObject({ complete: true });
  const error = await failureOf(interleave(careless));
  expect(error.steps.at(-1)).toContain("(at once)");
  expect(error.steps.length).toBeLessThanOrEqual(6);
  await failureOf(interleave(careless, { schedule: error.schedule }));
});

test("interleave() finds by chance what lies too deep to be walked to, shows it short, and again for the same seed", async () => {
  const programs = {
    ahead: async (state: { ahead: number; behind: number }, step: Step) => {
      for (; state.ahead < 6; state.ahead++) await step();
    },
    behind: async (state: { ahead: number; behind: number }, step: Step) => {
      for (; state.behind < 6; state.behind++) await step();
    },
    idle: async (_: unknown, step: Step) => {
      for (let left = 6; left > 0; left--) await step();
    },
  };
  const far = {
    setup: () => ({ ahead: 0, behind: 0 }),
    programs,
    invariant: ({ ahead, behind }: { ahead: number; behind: number }) => expect(behind - ahead).toBeLessThan(4),
  };
  const error = await failureOf(interleave(far, { schedules: 400, preemptions: 0, seed: 7 }));
  expect(error.steps.filter((step) => step.startsWith("behind")).length).toBeGreaterThanOrEqual(5);
  expect(error.steps.length).toBeLessThanOrEqual(12); // of 21
  const again = await failureOf(interleave(far, { schedules: 400, preemptions: 0, seed: 7 }));
  expect(again.schedule).toBe(error.schedule);
});

test("interleave() tells who waits for whom when nobody can go on", async () => {
  const error = await failureOf(
    interleave({
      setup: () => [new Semaphore(1, { reentry: "ignore" }), new Semaphore(1, { reentry: "ignore" })] as const,
      programs: {
        ada: async ([left, right], step) => {
          using _left = await left.acquire();
          await step("has left");
          using _right = await right.acquire();
        },
        bob: async ([left, right], step) => {
          using _right = await right.acquire();
          await step("has right");
          using _left = await left.acquire();
        },
      },
    }),
  );
  expect(error.message).toContain('Nobody can go on: ada waits after "has left", bob waits after "has right"');
});

test("interleave() lets time pass as one of the steps", async () => {
  const outcomes = new Set<string>();
  const { complete } = await interleave({
    setup: (clock) => new Event({ clock }),
    programs: {
      waiting: async (event) => {
        outcomes.add(
          await event.wait({ timeout: 100 }).then(
            () => "told",
            (error: Error) => error.name,
          ),
        );
      },
      telling: (event) => event.set(),
    },
    end: (event, clock) => expect([event.waiting, clock.timers]).toEqual([0, 0]),
  });
  expect([complete, [...outcomes].sort()]).toEqual([true, ["TimeoutError", "told"]]);
});

test("interleave() rejects with what a program throws, what is thrown in the end, and what does not end", async () => {
  const failure = new Error("thrown by a program");
  const thrown = await failureOf(interleave({ setup: () => 1, programs: { a: () => Promise.reject(failure) } }));
  expect(thrown.cause).toBe(failure);
  const late = interleave({ setup: () => 1, programs: { a: () => {} }, end: () => Promise.reject(failure) });
  expect((await failureOf(late)).cause).toBe(failure);
  const endless = interleave({
    setup: () => 1,
    programs: {
      a: async (_, step) => {
        for (;;) await step();
      },
    },
  });
  expect((await failureOf(endless)).message).toContain("The programs have not ended after 1000 steps");
  const twice = interleave({ setup: () => 1, programs: { a: (_, step) => Promise.all([step("one"), step("two")]) } });
  expect((await failureOf(twice)).message).toContain('Cannot wait at "two": a already waits at "one"');
});

test("interleave() refuses what is no option", async () => {
  const nothing = { setup: () => 1, programs: {} };
  await expect(interleave(nothing)).resolves.toEqual({ schedules: 1, complete: true });
  await expect(interleave(nothing, { schedules: 0 })).rejects.toThrow(
    "Cannot interleave programs: schedules must be an integer of at least 1, got 0",
  );
  await expect(interleave(nothing, { schedule: "1-2" })).rejects.toThrow(
    'Cannot interleave programs: schedule must be that of an InterleavingError, got "1-2"',
  );
});

test("a list of decisions that fails is made no longer, and still fails", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 30 }), fc.nat(5), fc.nat(5), async (decisions, high, many) => {
      const fails = async (list: readonly number[]): Promise<boolean> =>
        list.filter((decision) => decision >= high).length >= many;
      if (!(await fails(decisions))) return;
      const short = await shrink(decisions, fails);
      expect(high === 0 || (await fails(short))).toBe(true); // plain ones at the end count when everything does
      expect(short.length).toBeLessThanOrEqual(decisions.length);
      if (high > 0) expect(short).toEqual(Array(many).fill(high));
    }),
    { numRuns: 300 },
  );
});
