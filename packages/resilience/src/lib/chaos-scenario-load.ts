// Calls a task again and again, and remembers how each call went.
import { abortable, type Clock, Context, sleep } from "@proj/concurrency";
import { checkCount, checkDuration, checkFunction, checkPositive, describe } from "@proj/concurrency/options";

/** What a scenario does all the time, and looks at. */
export interface ScenarioLoad {
  /** One call. It gets its context, with the `timeout`, and its number from 0. Throwing is a failure. */
  readonly task: (context: Context, number: number) => unknown;
  /** Calls per second, whether or not earlier ones have answered, as from many users. Default: see `concurrency`. */
  readonly rate?: number | undefined;
  /** Callers who call again when they have their answer. Default: 1, if there is no `rate`. */
  readonly concurrency?: number | undefined;
  /** Milliseconds that such a caller waits between two calls. Default: 10. */
  readonly pause?: number | undefined;
  /** Milliseconds after which a call counts as failed. Default: no limit; what never answers then never fails either. */
  readonly timeout?: number | undefined;
  /** Calls at a time at most; with a `rate`, more are skipped. Default: 1,000. */
  readonly maxInFlight?: number | undefined;
}

/** One call of a scenario. Times are milliseconds since the scenario began. */
export interface ScenarioCall {
  /** When it began. */
  readonly startedAt: number;
  /** When it ended. */
  readonly endedAt: number;
  /** The code, else the name, of what it failed with; `undefined` if it did not. */
  readonly error: string | undefined;
}

/** Calls so far. */
export interface CallLog {
  readonly calls: ScenarioCall[];
  /** Not begun, as too many were under way. */
  skipped: number;
  /** Under way when the scenario ended. */
  unfinished: number;
  /** When those of them began that had no timeout. */
  readonly endless: number[];
}

export function checkLoad(load: ScenarioLoad): ScenarioLoad {
  const action = "put a scenario under load";
  checkFunction(action, "task", load.task);
  if (load.rate !== undefined) checkPositive(action, "rate", load.rate);
  if (load.concurrency !== undefined) checkCount(action, "concurrency", load.concurrency, 1);
  if (load.rate !== undefined && load.concurrency !== undefined) {
    throw new TypeError(`Cannot ${action}: it has a rate or a concurrency, not both`);
  }
  if (load.pause !== undefined) checkDuration(action, "pause", load.pause);
  if (load.timeout !== undefined) checkDuration(action, "timeout", load.timeout);
  if (load.maxInFlight !== undefined) checkCount(action, "maxInFlight", load.maxInFlight, 1);
  return load;
}

/** Resolves once the context has ended and all calls with it. */
export async function runLoad(load: ScenarioLoad, clock: Clock, context: Context, log: CallLog): Promise<void> {
  const { rate, concurrency = 1, pause = 10, maxInFlight = 1_000 } = load;
  const start = clock.now();
  const pending = new Set<Promise<void>>();
  let count = 0;
  const call = (): Promise<void> => callOnce(load, clock, start, context, log, count++);

  const ask = async (): Promise<void> => {
    while (!context.cancelled) {
      await call();
      await sleep(pause, { signal: context, clock });
    }
  };
  const arrive = async (every: number): Promise<void> => {
    for (let due = 0; !context.cancelled; due += every) {
      const wait = start + due - clock.now();
      if (wait > 0) await sleep(wait, { signal: context, clock });
      if (pending.size >= maxInFlight) {
        log.skipped++;
        continue;
      }
      const done = call().finally(() => pending.delete(done));
      pending.add(done);
    }
  };
  const callers = rate === undefined ? Array.from({ length: concurrency }, ask) : [arrive(1_000 / rate)];
  await Promise.allSettled(callers); // they end by the end of the context
  await Promise.all(pending);
}

async function callOnce(
  load: ScenarioLoad,
  clock: Clock,
  start: number,
  parent: Context,
  log: CallLog,
  number: number,
): Promise<void> {
  using context = Context.derive({ parent, clock, ...(load.timeout === undefined ? {} : { timeout: load.timeout }) });
  const startedAt = clock.now() - start;
  let error: string | undefined;
  try {
    // A task that does not look at its context must not hold up the scenario.
    await abortable(
      Context.run(context, async () => await load.task(context, number)),
      { signal: context },
    );
  } catch (reason) {
    error = codeOf(reason);
  }
  if (parent.cancelled) {
    log.unfinished++;
    if (load.timeout === undefined) log.endless.push(startedAt);
  } else log.calls.push({ startedAt, endedAt: clock.now() - start, error });
}

/** What people call an error: its code, also that of its cause, as `fetch` hides it; else its name. */
function codeOf(reason: unknown): string {
  let name: string | undefined;
  for (let error = reason, depth = 0; error instanceof Error && depth < 8; error = error.cause, depth++) {
    const { code } = error as { readonly code?: unknown };
    if (typeof code === "string" && code !== "") return code;
    name ??= error.name;
  }
  return name ?? (typeof reason === "string" ? reason : describe(reason)).slice(0, 60);
}
