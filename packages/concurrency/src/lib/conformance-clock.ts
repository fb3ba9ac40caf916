// What everything here expects of a clock.
import { deepEqual, equal, ok } from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock, Timer } from "./clock.ts";
import { type ConformanceCase, conformanceCase } from "./conformance.ts";

/** A clock to check, and how its time goes on. Disposed of after each check if it is `Disposable`. */
export interface ClockUnderTest extends Partial<Disposable>, Partial<AsyncDisposable> {
  /** What is checked. */
  readonly clock: Clock;
  /** Lets so many milliseconds pass: virtual ones, or real ones. Resolves when all that fell due has been called. */
  advance(ms: number): unknown;
}

/** What can be set on a {@link clockConformance}. */
export interface ClockConformanceOptions {
  /**
   * Whether callbacks run in the `AsyncLocalStorage` frame of their `setTimeout`, as on the platform. Most fake timers
   * call all of them in the frame of who lets time pass. Default: true.
   */
  readonly keepsFrames?: boolean | undefined;
}

/** How early a timer may be by this clock: some platforms count timers from the start of a turn. */
const tolerance = 2;

/**
 * Checks a {@link Clock}: your own, or the system's under the fake timers of your test runner. Works in virtual and in
 * real time, of which it needs less than half a second.
 *
 * @example
 * ```ts
 * import { clockConformance, TestClock } from "@proj/concurrency/testing";
 *
 * const suite = clockConformance(() => {
 *   const clock = new TestClock();
 *   return { clock, advance: (ms) => clock.advance(ms) };
 * });
 * for (const { run } of suite) await run(); // or: for (const { name, run } of suite) test(name, run);
 * ```
 */
export function clockConformance(
  make: () => ClockUnderTest | PromiseLike<ClockUnderTest>,
  options: ClockConformanceOptions = {},
): readonly ConformanceCase[] {
  const { keepsFrames = true } = options;
  const check = (name: string, body: (under: ClockUnderTest) => unknown): ConformanceCase =>
    conformanceCase(name, make, body);
  const suite = [
    check("now() and wall() go on with time, and now() never goes back", async ({ clock, advance }) => {
      const [now, wall] = [clock.now(), clock.wall()];
      ok(Number.isFinite(wall), "wall() is no number");
      ok(clock.now() >= now, "now() has gone back");
      await advance(20);
      ok(clock.now() - now >= 20 - tolerance, `now() has gone on by ${clock.now() - now} ms of 20`);
      ok(clock.wall() - wall >= 20 - tolerance, `wall() has gone on by ${clock.wall() - wall} ms of 20`);
    }),
    check("a timer calls back once, with its argument, and not before its time", async ({ clock, advance }) => {
      const start = clock.now();
      const calls: [string, number][] = [];
      clock.setTimeout((argument: string) => calls.push([argument, clock.now() - start]), 20, "argument");
      deepEqual(calls, []);
      await advance(25);
      await advance(25);
      equal(calls.length, 1);
      equal(calls[0]?.[0], "argument");
      ok((calls[0]?.[1] ?? 0) >= 20 - tolerance, `called after ${calls[0]?.[1]} ms of 20`);
    }),
    check("a timer of 0 ms, or of a fraction, never calls back within setTimeout()", async ({ clock, advance }) => {
      const calls: number[] = [];
      clock.setTimeout(() => calls.push(0), 0);
      clock.setTimeout(() => calls.push(0.5), 0.5);
      deepEqual(calls, []);
      await advance(20);
      deepEqual(calls.toSorted(), [0, 0.5]);
    }),
    check("timers call back by their time, and by arrival among equals", async ({ clock, advance }) => {
      const calls: string[] = [];
      for (const [name, ms] of [
        ["c", 30],
        ["a", 10],
        ["b", 20],
        ["a2", 10],
        ["b2", 20],
      ] as const) {
        clock.setTimeout(() => calls.push(name), ms);
      }
      await advance(40);
      deepEqual(calls, ["a", "a2", "b", "b2", "c"]);
    }),
    check("a timer that is cleared never calls back; clearing again does nothing", async ({ clock, advance }) => {
      const calls: string[] = [];
      const cleared = clock.setTimeout(() => calls.push("cleared"), 10);
      const done = clock.setTimeout(() => calls.push("done"), 10);
      cleared.clear();
      cleared.clear();
      await advance(20);
      done.clear();
      deepEqual(calls, ["done"]);
    }),
    check("a callback can set timers and clear others", async ({ clock, advance }) => {
      const calls: string[] = [];
      const other: { timer?: Timer } = {};
      clock.setTimeout(() => {
        other.timer?.clear();
        clock.setTimeout(() => calls.push("set by a callback"), 10);
      }, 10);
      other.timer = clock.setTimeout(() => calls.push("cleared by a callback"), 20);
      await advance(15);
      await advance(25);
      deepEqual(calls, ["set by a callback"]);
    }),
    check("delays of any length are kept, beyond 2^31 ms and Infinity as well", async ({ clock, advance }) => {
      const calls: number[] = [];
      const delays = [2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY];
      const timers = delays.map((ms) => clock.setTimeout(() => calls.push(ms), ms));
      await advance(20);
      deepEqual(calls, []);
      for (const timer of timers) timer.clear();
    }),
    check("ref() does no harm, before the time and after it", async ({ clock, advance }) => {
      const calls: string[] = [];
      const timer = clock.setTimeout(() => calls.push("done"), 10);
      timer.ref();
      await advance(20);
      timer.ref();
      deepEqual(calls, ["done"]);
    }),
  ];
  const frames = check(
    "a callback runs in the AsyncLocalStorage frame of its setTimeout()",
    async ({ clock, advance }) => {
      const frames = new AsyncLocalStorage<string>();
      const seen: (string | undefined)[] = [];
      for (const name of ["a", "b"]) frames.run(name, () => clock.setTimeout(() => seen.push(frames.getStore()), 10));
      await frames.run("of who lets time pass", async () => await advance(20));
      deepEqual(seen, ["a", "b"]);
    },
  );
  return keepsFrames ? [...suite, frames] : suite;
}
