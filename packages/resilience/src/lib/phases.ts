// How long each phase of an attempt may take, where its task tells when one ends and the next begins.
import { Context, ContextKey } from "@proj/concurrency";
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkDuration, describe } from "@proj/concurrency/options";
import type { Call } from "./call.ts";
import { CallRecord } from "./call-record.ts";
import { CallTimeoutError } from "./call-timeout-error.ts";
import type { Driver, Next } from "./policy.ts";

/** Milliseconds for each phase, by name. The first one begins with the attempt. */
export type PhaseLimits = Readonly<Record<string, number>>;

/** A policy made by {@link phases}. */
export interface PhasePolicy extends Driver {
  /** Decides its place in a stack. */
  readonly kind: "attempt-timeout";
}

/**
 * Makes a policy that limits each phase of an attempt. The first phase begins with the attempt; the task tells with
 * {@link beginPhase} when the next one does. A phase that is not named here takes as long as it likes.
 *
 * When the time of a phase is up the caller gets a {@link CallTimeoutError} with its name, as with any other timeout.
 *
 * @throws TypeError or RangeError for what is no number of milliseconds
 * @example
 * ```ts
 * import { sleep } from "@proj/concurrency";
 * import { beginPhase, compose, phases } from "@proj/resilience";
 *
 * const download = compose(phases({ headers: 1_000, body: 10 }));
 * const error = await download(async (context) => {
 *   await sleep(1); // until the headers are there
 *   beginPhase("body", context);
 *   await sleep(60_000);
 * }).catch((error: unknown) => error);
 * console.log((error as { phase: string }).phase); // prints: body
 * ```
 */
export function phases(limits: PhaseLimits): PhasePolicy {
  if (typeof limits !== "object" || limits === null) {
    throw new TypeError(`Cannot limit phases: limits must be an object, got ${describe(limits)}`);
  }
  return new PhaseLimit(limits);
}

/**
 * Ends the present phase of an attempt and begins another one. Without {@link phases} around the attempt, or after its end,
 * nothing happens. In callbacks of sockets and requests, whose current context may be another one, pass that of the task.
 *
 * @example
 * ```ts
 * import { beginPhase, compose, phases } from "@proj/resilience";
 *
 * const download = compose(phases({ headers: 1_000, body: 5_000 }));
 * const read = async (name: string): Promise<string> => name;
 * const text = await download(async (context) => {
 *   const headers = await read("headers");
 *   beginPhase("body", context);
 *   return `${headers}, ${await read("body")}`;
 * });
 * console.log(text); // prints: headers, body
 * ```
 */
export function beginPhase(name: string, context: Context = Context.current()): void {
  context.get(currentPhase)?.begin(name);
}

const currentPhase = new ContextKey<PhaseTimer>("phase");

class PhaseLimit implements PhasePolicy {
  readonly kind = "attempt-timeout";
  readonly #limits: ReadonlyMap<string, number>;
  readonly #timedOut: Record<string, number> = {};

  constructor(limits: PhaseLimits) {
    this.#limits = new Map(
      Object.entries(limits).map(([name, ms]) => [name, checkDuration("limit phases", name, ms)] as const),
    );
  }

  async run<T>(call: Call, next: Next<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = new PhaseTimer(call, this.#limits, (error) => {
      this.#timedOut[error.phase] = (this.#timedOut[error.phase] ?? 0) + 1;
      reject(error);
      context.cancel(error);
    });
    const context = Context.derive({ parent: call.context, values: [currentPhase.of(timer)] });
    for (const first of this.#limits.keys()) {
      timer.begin(first);
      break;
    }
    try {
      const value = await Promise.race([next(inContext(call, context)), promise]);
      context.release();
      return value;
    } catch (error) {
      context.cancel(error);
      throw error;
    } finally {
      timer.end();
    }
  }

  stats(): ComponentStats {
    return { limits: Object.fromEntries(this.#limits), timedOut: { ...this.#timedOut } };
  }
}

class PhaseTimer {
  readonly #call: Call;
  readonly #limits: ReadonlyMap<string, number>;
  readonly #onTimeout: (error: CallTimeoutError) => void;
  #timer: { clear(): void } | undefined;
  #hasEnded = false;

  constructor(call: Call, limits: ReadonlyMap<string, number>, onTimeout: (error: CallTimeoutError) => void) {
    this.#call = call;
    this.#limits = limits;
    this.#onTimeout = onTimeout;
  }

  begin(name: string): void {
    if (this.#hasEnded) return;
    this.#timer?.clear();
    const limit = this.#limits.get(name);
    if (limit === undefined) return;
    const { clock } = this.#call;
    const startedAt = clock.now();
    this.#timer = clock.setTimeout(() => {
      this.end();
      this.#onTimeout(new CallTimeoutError(this.#call.name, name, limit, clock.now() - startedAt));
    }, limit);
  }

  end(): void {
    this.#hasEnded = true;
    this.#timer?.clear();
  }
}

function inContext(call: Call, context: Context): CallRecord {
  const { name, key, idempotent, priority, attempt, clock, startedAt, endpoint } = call;
  return new CallRecord(name, context, key, idempotent, priority, attempt, clock, startedAt, endpoint);
}
