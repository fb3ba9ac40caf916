// Stacks of random policies against a naive model of nested functions: the same results, at the same times, with the same
// news for every gate. And the same again with drivers in between, so that nothing shares a frame.
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Call,
  compose,
  constant,
  type Driver,
  type Gate,
  type OrderTrap,
  type Policy,
  retry,
  timeout,
} from "../index.ts";

type Part =
  | { readonly kind: "gate"; readonly rejects: readonly number[] }
  | { readonly kind: "retry"; readonly attempts: number; readonly pause: number }
  | { readonly kind: "timeout"; readonly ms: number };

/** What the task does each time it is called. */
interface Turn {
  readonly ms: number;
  readonly end: "ok" | "fail" | "ignore" | "never";
}

const part: fc.Arbitrary<Part> = fc.oneof(
  fc.record({ kind: fc.constant("gate" as const), rejects: fc.array(fc.nat(4), { maxLength: 2 }) }),
  fc.record({ kind: fc.constant("retry" as const), attempts: fc.integer({ min: 1, max: 3 }), pause: fc.nat(30) }),
  fc.record({ kind: fc.constant("timeout" as const), ms: fc.integer({ min: 1, max: 100 }) }),
);
const turn: fc.Arbitrary<Turn> = fc.record({
  ms: fc.nat(60),
  end: fc.constantFrom("ok", "fail", "fail", "fail", "ignore", "never"),
});

const allow: readonly OrderTrap[] = ["two-retries", "attempt-timeout-too-long"];
const rejection = Object.assign(new Error("full"), { code: "ERR_OVERLOADED" });

class Script {
  readonly clock = new TestClock();
  readonly log: string[] = [];
  readonly turns: readonly Turn[];
  #calls = 0;

  constructor(turns: readonly Turn[]) {
    this.turns = turns;
  }

  /** The work itself. */
  readonly task = (): Promise<string> => {
    const number = this.#calls++;
    const { ms, end } = this.turns[number] ?? { ms: 0, end: "ok" };
    this.log.push(`task ${number} at ${this.clock.now()}`);
    return new Promise((resolve, reject) => {
      if (end === "never") return;
      const settle = (): void => {
        if (end === "ok") resolve(`value ${number}`);
        else
          reject(end === "fail" ? new Error(`failure ${number}`) : Object.assign(new Error("none"), { status: 404 }));
      };
      this.clock.setTimeout(settle, ms);
    });
  };
}

function gateFor({ rejects }: Extract<Part, { kind: "gate" }>, index: number, clock: TestClock, log: string[]): Gate {
  let entered = 0;
  return {
    kind: "custom",
    enter: () => {
      const number = entered++;
      if (rejects.includes(number)) throw rejection;
      log.push(`gate ${index} enter ${number} at ${clock.now()}`);
      return number;
    },
    exit: ({ outcome }, number) => void log.push(`gate ${index} exit ${number} ${outcome} at ${clock.now()}`),
  };
}

const passing = (): Driver => ({ kind: "custom", run: (call, next) => next(call) });

/** No two timers end at the same time: which of them would be first is not what this is about. */
function timeOf({ ms }: { readonly ms: number }, index: number): number {
  return ms + 4 ** -(index + 1);
}

function policiesFor(parts: readonly Part[], clock: TestClock, log: string[], apart: boolean): Policy[] {
  return parts.flatMap((part, index) => {
    let policy: Policy;
    if (part.kind === "gate") policy = gateFor(part, index, clock, log);
    else if (part.kind === "timeout") policy = timeout(timeOf(part, index));
    else policy = retry({ attempts: part.attempts, backoff: constant(part.pause), minAttempt: 0 });
    return apart ? [passing(), policy, passing()] : [policy];
  });
}

/** What goes down through the nested functions. */
interface Surroundings {
  readonly deadline: number;
  readonly ended: Promise<never>;
  readonly isRepetition: boolean;
}

type Nested = (around: Surroundings) => Promise<string>;

function naive(parts: readonly Part[], script: Script): Nested {
  const { clock, log } = script;
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => clock.setTimeout(resolve, ms));
  const task: Nested = ({ ended }) => Promise.race([script.task(), ended]);
  return parts.reduceRight<Nested>((inner, part, index) => {
    if (part.kind === "gate") {
      const gate = gateFor(part, index, clock, log);
      return async (around) => {
        const call = { outcome: "ok" };
        const token = gate.enter(call as Call);
        try {
          return await inner(around);
        } catch (error) {
          call.outcome = outcomeOf(error);
          throw error;
        } finally {
          gate.exit(call as Call, token);
        }
      };
    }
    if (part.kind === "timeout") {
      return async (around) => {
        const time = Promise.withResolvers<never>();
        time.promise.catch(() => {});
        around.ended.catch(time.reject);
        const deadline = clock.now() + timeOf(part, index);
        const timer = clock.setTimeout(
          () => time.reject(new DOMException("late", "TimeoutError")),
          timeOf(part, index),
        );
        try {
          return await inner({ ...around, deadline: Math.min(deadline, around.deadline), ended: time.promise });
        } finally {
          timer.clear();
        }
      };
    }
    return async (around) => {
      for (let made = 1; ; made++) {
        try {
          return await inner(made === 1 ? around : { ...around, isRepetition: true });
        } catch (error) {
          const outcome = outcomeOf(error);
          if (outcome === "ignore" || made >= part.attempts || around.isRepetition) throw error;
          if (clock.now() + part.pause >= around.deadline) throw error;
          if (part.pause > 0) await Promise.race([sleep(part.pause), around.ended]);
        }
      }
    };
  }, task);
}

function outcomeOf(error: unknown): "fail" | "timeout" | "ignore" {
  if ((error as Error).name === "TimeoutError") return "timeout";
  return error === rejection || (error as { status?: number }).status === 404 ? "ignore" : "fail";
}

async function record(
  turns: readonly Turn[],
  make: (script: Script) => () => Promise<string>,
): Promise<{ readonly log: readonly string[]; readonly end: string }> {
  const script = new Script(turns);
  const { clock } = script;
  const call = make(script);
  const end = call().then(
    (value) => `${value} at ${clock.now()}`,
    (error: Error) => `${error.name === "TimeoutError" ? error.name : error.message} at ${clock.now()}`,
  );
  await clock.advance(2_000);
  // What happens at the same time may be told in any order: frames are woken from the outside in, functions the other way.
  return { log: script.log.toSorted(), end: await Promise.race([end, Promise.resolve("nothing yet")]) };
}

test("a stack does what nested functions do, in whatever frames its policies run", async () => {
  const runs = Number(process.env["PROPERTY_RUNS"] ?? 600);
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 6 }), fc.array(turn, { maxLength: 8 }), async (parts, turns) => {
      const endless: Surroundings = {
        deadline: Number.POSITIVE_INFINITY,
        ended: new Promise(() => {}),
        isRepetition: false,
      };
      const expected = await record(turns, (script) => () => naive(parts, script)(endless));
      for (const apart of [false, true]) {
        const actual = await record(turns, (script) => {
          const policies = policiesFor(parts, script.clock, script.log, apart);
          const stack = compose({ clock: script.clock, idempotent: true, allow }, ...policies);
          return () => stack(script.task);
        });
        expect(actual).toEqual(expected);
      }
    }),
    { numRuns: runs },
  );
});
