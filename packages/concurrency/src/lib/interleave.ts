// Finds the order of steps in which concurrent programs go wrong, by trying many.
import { checkCount, describe } from "./check.ts";
import { InterleavingRun } from "./interleave-run.ts";
import { byChance, byPriority, type Decide, follow, seeded, shrink, Walk } from "./interleave-schedule.ts";
import { InterleavingError } from "./interleaving-error.ts";
import { TestClock } from "./test-clock.ts";

/**
 * One of several that run at the same time. It waits at its start, and wherever it awaits `step`, until it is its turn;
 * the label names the place in what {@link interleave} reports.
 */
export type InterleavingProgram<Subject> = (subject: Subject, step: (label?: string) => Promise<void>) => unknown;

/** What to interleave, and what must hold. */
export interface Interleaving<Subject> {
  /** Makes what the programs share, anew for each order. Give it the clock, and time passes between steps as well. */
  setup(clock: TestClock): Subject | PromiseLike<Subject>;
  /** By their names. They may wait for one another, for `step` and for the clock, and for nothing else. */
  readonly programs: Readonly<Record<string, InterleavingProgram<Subject>>>;
  /** Called before each step; throws if something is wrong. */
  invariant?(subject: Subject): void;
  /** Called when all programs have ended; throws if something is wrong. */
  end?(subject: Subject, clock: TestClock): unknown;
}

/** How many orders to try, and which. */
export interface InterleaveOptions {
  /** How many orders at most. Default: 5,000, which takes less than a second. */
  readonly schedules?: number | undefined;
  /**
   * How often in one order a program goes on before everything that the last step has set off has come to rest. Default: 1.
   */
  readonly preemptions?: number | undefined;
  /** The last microtask after a step at which that may happen. Default: 4. */
  readonly microtasks?: number | undefined;
  /** A number that decides on those orders that are tried by chance. Default: 1. */
  readonly seed?: number | undefined;
  /** Runs only this order: that of an {@link InterleavingError}. */
  readonly schedule?: string | undefined;
}

/** What was tried. */
export interface InterleaveResult {
  /** How many orders. */
  readonly schedules: number;
  /** Whether these are all there are, within `preemptions` and `microtasks`. */
  readonly complete: boolean;
}

/**
 * Runs programs that share a subject in many orders of their steps. First those orders one after the other that differ
 * least from taking turns; when half of `schedules` is spent before all there are have been tried, the rest is spent on
 * orders by chance, always the same ones for the same `seed`. A step ends when no microtask is left; `preemptions` lets
 * programs go on in between.
 *
 * Rejects with an {@link InterleavingError} that has the shortest order found in which a program throws, a check throws,
 * or nobody can go on. What the programs wait for must come from one another or from the clock, which goes on to its next
 * timer as one of the possible steps; a wait for real time or input is taken for one without end.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@proj/concurrency";
 * import { interleave } from "@proj/concurrency/testing";
 *
 * const worker = async (semaphore: Semaphore, step: () => Promise<void>) => {
 *   using permit = await semaphore.acquire();
 *   await step();
 * };
 * const tried = await interleave({
 *   setup: () => new Semaphore(1),
 *   programs: { ada: worker, bob: worker, eve: worker },
 *   invariant: (semaphore) => console.assert(semaphore.held <= 1),
 *   end: (semaphore) => console.assert(semaphore.free === 1),
 * });
 * console.log(tried.complete); // prints: true
 * ```
 */
export async function interleave<Subject>(
  interleaving: Interleaving<Subject>,
  options: InterleaveOptions = {},
): Promise<InterleaveResult> {
  const action = "interleave programs";
  const limits = {
    preemptions: checkCount(action, "preemptions", options.preemptions ?? 1, 0),
    microtasks: checkCount(action, "microtasks", options.microtasks ?? 4, 0),
  };
  const most = checkCount(action, "schedules", options.schedules ?? 5_000, 1);
  const random = seeded(checkCount(action, "seed", options.seed ?? 1, 0));
  const attempt = (decide: Decide): Promise<Attempt> => runOnce(interleaving, { ...limits, decide });

  if (options.schedule !== undefined) {
    const { failure, steps } = await attempt(follow(parse(action, options.schedule)));
    if (failure !== undefined) throw new InterleavingError(options.schedule, steps, failure.error);
    return { schedules: 1, complete: false };
  }
  const walk = new Walk();
  let isLeft = true;
  let steps = 0;
  let tried = 0;
  for (; tried < most && isLeft; tried++) {
    const isWalk = tried < most / 2 || steps === 0;
    const byDice = tried % 2 === 0 ? byChance(random) : byPriority(random, steps);
    const result = await attempt(isWalk ? walk.decide : byDice);
    if (result.failure !== undefined) throw await shortest(result, attempt);
    steps = result.steps.length;
    if (isWalk) isLeft = walk.next();
  }
  return { schedules: tried, complete: !isLeft };
}

interface Attempt {
  readonly decisions: readonly number[];
  readonly steps: readonly string[];
  readonly failure: { readonly error: unknown } | undefined;
}

async function runOnce<Subject>(
  { setup, programs, invariant, end }: Interleaving<Subject>,
  plan: { readonly decide: Decide; readonly preemptions: number; readonly microtasks: number },
): Promise<Attempt> {
  const clock = new TestClock();
  const subject = await setup(clock);
  const run = new InterleavingRun({ ...plan, clock, check: () => invariant?.(subject) }, programs, subject);
  try {
    await run.toEnd();
    await end?.(subject, clock);
  } catch (error) {
    return { ...run, failure: { error } };
  }
  return { ...run, failure: undefined };
}

async function shortest(failed: Attempt, attempt: (decide: Decide) => Promise<Attempt>): Promise<InterleavingError> {
  let best = failed;
  const decisions = await shrink(failed.decisions, async (candidate) => {
    const result = await attempt(follow(candidate));
    if (result.failure !== undefined) best = result;
    return result.failure !== undefined;
  });
  return new InterleavingError(decisions.join("."), best.steps, best.failure?.error);
}

function parse(action: string, schedule: string): number[] {
  if (typeof schedule === "string" && /^(\d+(\.\d+)*)?$/.test(schedule)) {
    return schedule === "" ? [] : schedule.split(".").map(Number);
  }
  throw new TypeError(`Cannot ${action}: schedule must be that of an InterleavingError, got ${describe(schedule)}`);
}
