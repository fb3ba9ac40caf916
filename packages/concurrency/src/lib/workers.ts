// Functions of a module, run in threads: the public face of the pool.
import type { ResourceLimits, Transferable } from "node:worker_threads";
import type { Clock } from "./clock.ts";
import { register } from "./registry.ts";
import type { WaitOptions } from "./wait-options.ts";
import { WorkerPool } from "./workers-pool.ts";
import { threadOpener } from "./workers-port.ts";
import { settle } from "./workers-settings.ts";

type AnyFunction = (...args: never) => unknown;

/** The functions that a worker's module exports, by name. `init` and `dispose` are not called by hand. */
export type WorkerFunctions<Module> = {
  readonly [Name in keyof Module as Name extends "init" | "dispose"
    ? never
    : Module[Name] extends AnyFunction
      ? Name
      : never]: Extract<Module[Name], AnyFunction>;
};

/** What a function takes. Not the platform's `Parameters`, which finds nothing where a rest parameter is read-only. */
export type WorkerArguments<Call> = Call extends (...args: infer List extends readonly unknown[]) => unknown
  ? List
  : never;

/** The same functions as the caller sees them: each gives a promise. */
export type WorkerCalls<Module> = {
  readonly [Name in keyof WorkerFunctions<Module>]: (
    ...args: WorkerArguments<WorkerFunctions<Module>[Name]>
  ) => Promise<Awaited<ReturnType<WorkerFunctions<Module>[Name]>>>;
};

/** What the module's `init` takes, as an option: needed if `init` needs it. */
export type WorkerDataOption<Module> = Module extends { readonly init: (data: infer Data, ...rest: never) => unknown }
  ? undefined extends Data
    ? { readonly data?: Data }
    : { readonly data: Data }
  : { readonly data?: undefined };

/** How many threads there are, and when they come and go. */
export interface WorkersOptions<Data = unknown> {
  /** Used in error messages, and for the threads, where debuggers show it. Default: `"workers"`. */
  readonly name?: string | undefined;
  /**
   * How many threads: a number, or the least and the most. `"auto"` is as many as the machine runs at a time. None is
   * started before it is needed. Default: `[1, "auto"]`.
   */
  readonly threads?: number | "auto" | readonly [min: number, max: number | "auto"] | undefined;
  /** Unfinished calls per thread above which one more thread is started. Default: 1. */
  readonly growAbove?: number | undefined;
  /** Tasks that a thread runs at a time; more than one makes sense for those that wait. Default: 1. */
  readonly concurrency?: number | undefined;
  /**
   * Tasks that are handed to a thread at a time, those that it runs included: more of them make messages larger and
   * fewer. What it has not begun with, another thread can still take over. From `concurrency` to 256; default: 64.
   */
  readonly inFlight?: number | undefined;
  /** Calls that may wait when every thread has its `inFlight`; one more gets a `QueueFullError`. Default: `Infinity`. */
  readonly maxQueue?: number | undefined;
  /** Whether to start the least number of threads at once. Default: false. */
  readonly warmUp?: boolean | undefined;
  /** Copied to each thread, for the module's `init`. */
  readonly data?: Data;
  /** Milliseconds without work after which a thread ends while there are more than the least; up to twice that. Default: 30,000. */
  readonly idle?: number | undefined;
  /**
   * Milliseconds that a task may go on after it was cancelled. Then its thread is terminated and replaced: other tasks
   * that had begun there fail with a `WorkerLostError`, the rest goes to other threads. Default: 1,000.
   */
  readonly grace?: number | undefined;
  /** Milliseconds that a thread may take to load the module and to run its `init`. Default: 30,000. */
  readonly startTimeout?: number | undefined;
  /** Milliseconds that `dispose` may take before its thread is terminated. Default: 5,000. */
  readonly disposeTimeout?: number | undefined;
  /**
   * How many milliseconds no thread is started after `attempt` of them in a row have crashed or could not start, 1 for
   * the first or for one that had been well for 10,000 ms. Default: 100 ms, doubled each time, at most 10,000 ms, and between half and the whole of that at random.
   */
  readonly restartBackoff?: ((attempt: number) => number) | undefined;
  /** Limits of memory for each thread, as the platform takes them. Default: the platform's. */
  readonly resourceLimits?: ResourceLimits | undefined;
  /** Flags of Node.js for the threads. Default: those of this process. */
  readonly execArgv?: readonly string[] | undefined;
  /** Measures all the times above. Default: the system's. */
  readonly clock?: Clock | undefined;
  /** Gives numbers from 0 up to 1, for the default of `restartBackoff`. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** What belongs to one call. */
export interface CallOptions extends WaitOptions {
  /** Milliseconds that the call may take at most, in the queue and in the thread, before a `TimeoutError`. Default: no limit. */
  readonly timeout?: number | undefined;
  /** What is moved to the thread instead of copied, as `postMessage` takes it. Unusable here from then on. Default: nothing. */
  readonly transfer?: readonly Transferable[] | undefined;
}

/** What a pool does, in numbers. */
export interface WorkersStats {
  /** Threads that can run something. */
  readonly threads: number;
  /** Threads that load the module. */
  readonly starting: number;
  /** Threads that hold no task. */
  readonly idle: number;
  /** Calls that somebody waits for. */
  readonly outstanding: number;
  /** Those of them that no thread has been given. */
  readonly queued: number;
  /** Tasks that threads have begun with since the start, and handed back. */
  readonly completed: number;
  /** Tasks that a thread without work has taken over from another. */
  readonly stolen: number;
  /** Threads that could not start, or ended without having been told to. */
  readonly crashes: number;
  /** How long a task runs: an average in which older ones count less and less. */
  readonly runtimeMs: number;
  /** Share of their life in which the threads were busy, from 0 to 1. */
  readonly utilization: number;
}

/** Runs functions in threads, made by {@link workers}. */
export interface Workers<Module> extends AsyncDisposable {
  /** As the options say. */
  readonly name: string;
  /**
   * The functions of the module. Arguments and results are copied as `structuredClone` does it; arguments when the task
   * is handed over, so leave them alone until the call has settled.
   *
   * A call belongs to the current context: when that ends, the promise rejects in the same turn, and the task's own
   * `Context.current()` is cancelled; its deadline is known there as well.
   *
   * @throws what the function threw, as the same built-in class, with name, message, code, cause, other fields and the
   * stacks of both sides · WorkerLostError · WorkerStartError · QueueFullError · ClosedError · the reason of the context ·
   * a `DataCloneError` for what cannot be copied
   */
  readonly run: WorkerCalls<Module>;
  /** What a thread crashed with last, or failed with to start, to end in time or in its `dispose`. */
  readonly lastError: unknown;
  /** A snapshot. */
  readonly stats: WorkersStats;

  /** The same as `run[name](...args)`, with options for this call. */
  call<Name extends keyof WorkerFunctions<Module>>(
    name: Name,
    args: WorkerArguments<WorkerFunctions<Module>[Name]>,
    options?: CallOptions,
  ): Promise<Awaited<ReturnType<WorkerFunctions<Module>[Name]>>>;

  /**
   * Refuses new calls with a `ClosedError`, waits for all that are unfinished, ends each thread after its `dispose`, and
   * resolves when none is left. When `timeout` milliseconds (default: `Infinity`) are over, unfinished calls reject with
   * a `ClosedError` and their threads are terminated.
   */
  close(options?: { readonly timeout?: number | undefined }): Promise<void>;
}

/**
 * Runs the exported functions of a module in threads, asynchronous ones too. The module may export `init(data)`, run in
 * each thread before anything else, and `dispose()`, run before a thread ends (but not one that is terminated).
 *
 * **Order**: tasks begin in the order of the calls. Each goes to the thread with the fewest, and those that a busy thread
 * has not begun with go to one that has nothing to do. **Cancelling** is soft: the task is told through its context, and
 * `Context.current().cancelled` is true at once even in a loop that never awaits; only one that does not end within
 * `grace` costs its thread. **Crashes** fail the tasks that had begun in the lost thread, once; the others go elsewhere.
 * **Speed**: calls of one turn share a message, as do results; a call of up to seven numbers and a result that is a
 * number, a boolean, null or undefined travel through shared memory, without a message. **End**: threads keep the process
 * alive only while somebody waits for them.
 *
 * @example
 * ```ts
 * import { workers } from "@proj/concurrency/workers";
 *
 * // A module of its own in a real program: workers<typeof import("./work.ts")>(new URL("./work.ts", import.meta.url))
 * const work = new URL(`data:text/javascript,
 *   export const fibonacci = (n) => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2));
 *   export async function shout(text) { return text.toUpperCase(); }
 * `);
 * await using pool = workers<{ fibonacci(n: number): number; shout(text: string): Promise<string> }>(work);
 *
 * console.log(await Promise.all([pool.run.fibonacci(20), pool.run.shout("done")])); // [ 6765, 'DONE' ]
 * console.log(await pool.call("fibonacci", [10], { timeout: 5_000 })); // 55
 * ```
 *
 * @throws TypeError, RangeError for options out of range, and a module that is no URL.
 */
export function workers<Module extends object>(
  module: URL | string,
  ...[options]: Record<never, never> extends WorkerDataOption<Module>
    ? [options?: WorkersOptions & WorkerDataOption<Module>]
    : [options: WorkersOptions & WorkerDataOption<Module>]
): Workers<Module> {
  const settings = settle(module, options ?? {});
  const pool = new WorkerPool(settings, threadOpener(settings));
  const name = options?.name;
  if (name !== undefined) register("workers", name, pool, ({ stats }) => ({ ...stats }));
  // The pool knows names; the types of the module know what belongs to them.
  return Object.assign(pool, { run: callsOf(pool) }) as unknown as Workers<Module>;
}

/** Any name is a call: what the module exports is not known before a thread has loaded it. Each is made once. */
function callsOf(pool: WorkerPool): object {
  const maker = new Proxy(Object.create(null) as object, {
    get(_target, name, calls: object) {
      if (typeof name !== "string" || name === "then") return undefined; // `then` would make it look like a promise
      const value = (...args: unknown[]) => pool.call(name, args);
      Object.defineProperty(calls, name, { value });
      return value;
    },
  });
  return Object.create(maker) as object;
}
