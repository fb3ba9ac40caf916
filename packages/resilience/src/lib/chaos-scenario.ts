// A story of what breaks and heals and when, told under load, and what should come of it.
import { abortable, type Clock, Context, sleep, systemClock, type WaitOptions } from "@proj/concurrency";
import { checkDuration, checkPositive } from "@proj/concurrency/options";
import type { ScenarioAction, ScenarioStage } from "./chaos-actions.ts";
import type { Expectation } from "./chaos-expectations.ts";
import { type CallLog, checkLoad, runLoad, type ScenarioCall, type ScenarioLoad } from "./chaos-scenario-load.ts";
import { type ScenarioEvent, ScenarioReport } from "./chaos-scenario-report.ts";

/** How to run a {@link Scenario}. */
export interface ScenarioRunOptions extends WaitOptions {
  /**
   * Measures everything. One that can be advanced, as the `TestClock`, is: the scenario then is a simulation that takes no
   * time, and the tasks must wait on the same clock, which is that of their context. Default: the system's.
   */
  readonly clock?: Clock | undefined;
  /** Milliseconds that are summed up in one column of the report. Default: a sixtieth of the whole, at least 1. */
  readonly bucket?: number | undefined;
}

/** A story, told anew with each `run`. Immutable: each method but `run` gives another one. */
export interface Scenario {
  /** As in reports. */
  readonly name: string;
  /** Does this at so many milliseconds after the beginning. Of several, in their order, each when the one before is done. */
  at(ms: number, ...actions: readonly ScenarioAction[]): Scenario;
  /** Calls this all the time. May be given several times. */
  load(load: ScenarioLoad): Scenario;
  /** What should be so in the end. */
  expect(...expectations: readonly Expectation[]): Scenario;
  /**
   * Before it begins, calls until that has succeeded for so many milliseconds without a failure, for 10 s at most: what is
   * loaded, compiled and connected on first use is not what the scenario is about. Default: 0.
   */
  warmUp(ms: number): Scenario;
  /**
   * Ends it early: when all is done, and calls that began after the last `heal` have succeeded for so many milliseconds
   * without a failure. So a long time can be granted for recovery, and need not be waited for. Default: never.
   */
  settle(ms: number): Scenario;
  /** How many milliseconds it takes, at most. Default: until the longest time that something is expected within has passed. */
  for(ms: number): Scenario;
  /**
   * Runs it. Resolves also if something was not as expected: see `ScenarioReport.assert`. Whatever its actions have
   * broken is undone in the end, however it ends.
   *
   * @throws what an action has thrown · the reason of the signal or context
   */
  run(options?: ScenarioRunOptions): Promise<ScenarioReport>;
}

/**
 * Tells a scenario: what is done when, under which load, and what should come of it.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { down, heal, noErrorsOtherThan, recoveredWithin, scenario, tcpProxy } from "@proj/resilience/chaos";
 *
 * const server = createServer((_, response) => response.end("ok")).listen(0, "127.0.0.1");
 * await new Promise((resolve) => server.once("listening", resolve));
 * {
 *   await using db = await tcpProxy({ upstream: (server.address() as { port: number }).port, name: "db" });
 *   const report = await scenario("db down")
 *     .load({ rate: 100, task: ({ signal }) => fetch(`http://${db.address}`, { signal }).then((r) => r.text()) })
 *     .at(200, down(db))
 *     .at(400, heal(db))
 *     .expect(recoveredWithin(400), noErrorsOtherThan(["ECONNREFUSED", "ECONNRESET", "UND_ERR_SOCKET"]))
 *     .run();
 *   console.log(report.passed); // prints: true
 * }
 * server.close();
 * ```
 */
export function scenario(name: string): Scenario {
  return new Story({ name, steps: [], loads: [], expectations: [], duration: undefined, warmUp: 0, settle: undefined });
}

interface Step {
  readonly at: number;
  readonly action: ScenarioAction;
}

interface Plot {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly loads: readonly ScenarioLoad[];
  readonly expectations: readonly Expectation[];
  readonly duration: number | undefined;
  readonly warmUp: number;
  readonly settle: number | undefined;
}

class Story implements Scenario {
  readonly #plot: Plot;

  constructor(plot: Plot) {
    this.#plot = plot;
  }

  get name(): string {
    return this.#plot.name;
  }

  at(ms: number, ...actions: readonly ScenarioAction[]): Scenario {
    checkDuration("plan a scenario", "ms", ms);
    const steps = [...this.#plot.steps, ...actions.map((action) => ({ at: ms, action }))];
    return new Story({ ...this.#plot, steps: steps.toSorted((a, b) => a.at - b.at) });
  }

  load(load: ScenarioLoad): Scenario {
    return new Story({ ...this.#plot, loads: [...this.#plot.loads, checkLoad(load)] });
  }

  expect(...expectations: readonly Expectation[]): Scenario {
    return new Story({ ...this.#plot, expectations: [...this.#plot.expectations, ...expectations] });
  }

  warmUp(ms: number): Scenario {
    return new Story({ ...this.#plot, warmUp: checkDuration("plan a scenario", "ms", ms) });
  }

  settle(ms: number): Scenario {
    return new Story({ ...this.#plot, settle: checkDuration("plan a scenario", "ms", ms) });
  }

  for(ms: number): Scenario {
    return new Story({ ...this.#plot, duration: checkPositive("plan a scenario", "ms", ms) });
  }

  async run(options: ScenarioRunOptions = {}): Promise<ScenarioReport> {
    const { clock = systemClock, signal } = options;
    const duration = this.#plot.duration ?? durationOf(this.#plot);
    if (options.bucket !== undefined) checkPositive("run a scenario", "bucket", options.bucket);
    using context = Context.derive({ clock, ...(signal === undefined ? {} : { signal }) });
    context.throwIfCancelled();

    const performance = new Performance(this.#plot, clock, duration, context);
    let isOver = false;
    const done = performance.run().finally(() => {
      isOver = true;
    });
    done.catch(() => {}); // awaited below
    if ("advance" in clock && typeof clock.advance === "function") while (!isOver) await clock.advance(duration);
    await done;

    const report = new ScenarioReport({
      name: this.#plot.name,
      durationMs: performance.tookMs,
      bucketMs: options.bucket ?? Math.max(1, performance.tookMs / 60),
      events: performance.events,
      ...performance.log,
      calls: performance.log.calls.toSorted((a, b) => a.endedAt - b.endedAt),
    });
    report.verdicts = this.#plot.expectations.map((expectation) => ({
      name: expectation.name,
      ...expectation.check(report),
    }));
    return report;
  }
}

/** Milliseconds after which a scenario begins, even if calls have not succeeded. */
const maxWarmUp = 10_000;

/** Milliseconds that a scenario goes on after its last action when nobody said how long. */
const epilogue = 1_000;

function durationOf({ steps, expectations }: Plot): number {
  const last = Math.max(0, ...steps.map(({ at }) => at));
  return last + Math.max(epilogue, ...expectations.map(({ horizon = 0 }) => horizon));
}

/** One run of a scenario. */
class Performance implements ScenarioStage {
  readonly events: ScenarioEvent[] = [];
  tookMs = 0;
  readonly log: CallLog = { calls: [], skipped: 0, unfinished: 0, endless: [] };
  readonly #plot: Plot;
  readonly #clock: Clock;
  readonly #duration: number;
  readonly #context: Context;
  #undo = new AsyncDisposableStack();
  #undone: Promise<unknown> = Promise.resolve();
  #isOver = false;

  constructor(plot: Plot, clock: Clock, duration: number, context: Context) {
    this.#plot = plot;
    this.#clock = clock;
    this.#duration = duration;
    this.#context = context;
  }

  async run(): Promise<void> {
    if (this.#plot.warmUp > 0) await this.#warmUp(this.#plot.warmUp);
    const start = this.#clock.now();
    using show = Context.derive({ parent: this.#context });
    const loads = this.#load(show, this.log);
    try {
      for (const step of this.#plot.steps) {
        if (step.at > this.#duration) break;
        await this.#sleepUntil(start + step.at);
        await this.#perform(step, start);
      }
      await this.#sleepUntil(start + this.#duration, () => this.#isSettled(start));
    } finally {
      this.tookMs = this.#clock.now() - start;
      this.#isOver = true;
      show.cancel();
      await loads;
      await this.undoAll();
    }
  }

  async #warmUp(ms: number): Promise<void> {
    const start = this.#clock.now();
    const log: CallLog = { calls: [], skipped: 0, unfinished: 0, endless: [] };
    using rehearsal = Context.derive({ parent: this.#context });
    const loads = this.#load(rehearsal, log);
    try {
      await this.#sleepUntil(start + maxWarmUp, () => hasSucceeded(log, 0, ms, this.#clock.now() - start));
    } finally {
      rehearsal.cancel();
      await loads;
    }
  }

  async #load(context: Context, log: CallLog): Promise<void> {
    await Promise.all(this.#plot.loads.map((load) => runLoad(load, this.#clock, context, log)));
  }

  #isSettled(start: number): boolean {
    const { settle } = this.#plot;
    const last = this.events.findLast(({ kind }) => kind !== "note");
    if (settle === undefined || last?.kind !== "heal") return false;
    return hasSucceeded(this.log, last.at + last.tookMs, settle, this.#clock.now() - start);
  }

  /** All of it, even if some of it fails. */
  async undoAll(): Promise<void> {
    const undo = this.#undo;
    this.#undo = new AsyncDisposableStack();
    this.#undone = Promise.allSettled([this.#undone]).then(() => undo.disposeAsync()); // after a `heal` that was given up
    await this.#undone;
  }

  async #perform({ action }: Step, start: number): Promise<void> {
    const at = this.#clock.now() - start;
    const acting = Promise.try(() => action.run(this)).then((undo) => this.#remember(undo));
    await abortable(acting, { signal: this.#context });
    this.events.push({ at, tookMs: this.#clock.now() - start - at, kind: action.kind, label: action.label });
  }

  async #remember(undo: unknown): Promise<void> {
    if (!isDisposable(undo)) return;
    this.#undo.use(undo);
    if (this.#isOver) await this.undoAll(); // the scenario was given up while this broke something
  }

  /** Or until something holds, which is looked at every 10 ms. */
  async #sleepUntil(end: number, isEnough?: () => boolean): Promise<void> {
    for (let left = end - this.#clock.now(); left > 0 && !isEnough?.(); left = end - this.#clock.now()) {
      const pause = isEnough === undefined ? left : Math.min(left, 10);
      await sleep(pause, { signal: this.#context, clock: this.#clock });
    }
    this.#context.throwIfCancelled();
  }
}

/** Whether, of the calls that began at `from` or later, several have succeeded and none has failed in the last `ms`. */
function hasSucceeded({ calls }: CallLog, from: number, ms: number, now: number): boolean {
  if (now - from < ms) return false;
  let good = 0;
  for (let i = calls.length - 1; i >= 0; i--) {
    const { startedAt, endedAt, error } = calls[i] as ScenarioCall; // within its length; in the order of their ends
    if (endedAt < now - ms) break;
    if (startedAt < from) continue;
    if (error !== undefined) return false;
    good++;
  }
  return good >= 3;
}

function isDisposable(value: unknown): value is Disposable | AsyncDisposable {
  return typeof value === "object" && value !== null && (Symbol.asyncDispose in value || Symbol.dispose in value);
}
