// Turns calls away while this process has more to do than it can.
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkDuration, checkFunction, checkPositive, checkRatio, describe } from "@proj/concurrency/options";
import type { Call } from "./call.ts";
import { checkObject } from "./check-object.ts";
import { type LoadMeter, type LoadReading, systemLoadMeter } from "./load-meter.ts";
import { overloaded, type Rejecting, spread } from "./overloaded-error.ts";
import type { Gate } from "./policy.ts";
import { PriorityCutoff } from "./priority-cutoff.ts";

/** What can be set on {@link shedWhen}: at least one of the first three. */
export interface ShedWhenOptions {
  /** Mean milliseconds by which the event loop may be late. Default: does not matter. */
  readonly eventLoopDelay?: number | undefined;
  /** The share of time in which the event loop may be busy, above 0 to 1. Default: does not matter. */
  readonly eventLoopUtilization?: number | undefined;
  /** The share of all processors that the process may use, above 0 to 1. Default: does not matter. */
  readonly cpu?: number | undefined;
  /** Milliseconds between two readings. Default: 250. */
  readonly interval?: number | undefined;
  /** Where the readings come from. Default: `systemLoadMeter()`. */
  readonly meter?: LoadMeter | undefined;
  /** Milliseconds for which rejections ask to be left alone, give or take a half at random. Default: 1,000. */
  readonly retryAfter?: number | undefined;
  /** From 0 to 1. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** In messages and events. Default: that of the policies. */
  readonly name?: string | undefined;
  /** Whether its rejections have a stack, which makes them slow. Default: `false`. */
  readonly stack?: boolean | undefined;
}

/** What {@link shedWhen} tells about itself. */
export interface ShedWhenStats extends ComponentStats {
  /** The share of calls that is turned away, from 0 to 1. */
  readonly shedding: number;
  /** The highest reading, as a share of what is allowed: above 1 there is too much to do. */
  readonly load: number;
  /** Calls that were turned away so far. */
  readonly rejected: number;
}

/** Made by {@link shedWhen}. */
export interface LoadShedder extends Gate {
  /** Decides its place in a stack. */
  readonly kind: "shed";
  /** How much of what is allowed is used, from 0 to 1: for those upstream who could send less. */
  readonly pressure: number;
  /** What it does now. */
  stats(): ShedWhenStats;
}

/** Some calls always pass. */
const most = 0.95;
/** Of what is not shed yet, so much more is shed at each reading above what is allowed; for one just above it, less. */
const increase = 0.5;
/** So much less of all is shed at each reading below. */
const relief = 0.05;

/**
 * Makes a gate that turns calls away while a reading of the process is above what is allowed: each time that it is, more
 * of them, and fewer again when it is not; low priorities first, and 95% at most. It has no timer: calls make it look, at
 * most once per `interval`. Rejections are `OverloadedError`s of the reason `"load"`.
 *
 * @throws TypeError or RangeError for an option that is none, or if nothing is to be watched
 * @example
 * ```ts
 * import { compose, shedWhen } from "@proj/resilience";
 *
 * const shed = shedWhen({ eventLoopDelay: 100, cpu: 0.9 });
 * const handle = compose(shed);
 * console.log(await handle(() => "done"), shed.stats().shedding); // prints: done 0
 * ```
 */
export function shedWhen(options: ShedWhenOptions): LoadShedder {
  return new ReadingShedder(options);
}

const readings = ["eventLoopDelay", "eventLoopUtilization", "cpu"] as const satisfies readonly (keyof LoadReading)[];

class ReadingShedder implements LoadShedder, Rejecting {
  readonly kind = "shed";
  readonly name: string | undefined;
  readonly stack: boolean;
  readonly #allowed: readonly (readonly [reading: keyof LoadReading, allowed: number])[];
  readonly #interval: number;
  readonly #meter: LoadMeter;
  readonly #retryAfter: number;
  readonly #random: () => number;
  readonly #priorities = new PriorityCutoff();
  #nextReading = Number.NEGATIVE_INFINITY;
  #load = 0;
  #rejected = 0;

  constructor(options: ShedWhenOptions) {
    const action = "make a load shedder";
    checkObject(action, "options", options);
    const { interval = 250, meter = systemLoadMeter(), retryAfter = 1_000, random = Math.random } = options;
    this.#allowed = readings.flatMap((reading) => {
      const allowed = options[reading];
      if (allowed === undefined) return [];
      checkPositive(action, reading, allowed);
      return [[reading, reading === "eventLoopDelay" ? allowed : checkRatio(action, reading, allowed)] as const];
    });
    if (this.#allowed.length === 0) {
      throw new TypeError(
        `Cannot ${action}: options must have one of ${readings.join(", ")}, got ${describe(options)}`,
      );
    }
    this.#interval = checkPositive(action, "interval", interval);
    checkFunction(action, "meter.read", meter?.read);
    this.#meter = meter;
    this.#retryAfter = checkDuration(action, "retryAfter", retryAfter);
    this.#random = checkFunction(action, "random", random);
    this.name = options.name;
    this.stack = options.stack ?? false;
  }

  get pressure(): number {
    return Math.min(1, this.#load);
  }

  enter(call: Call): number {
    if (call.startedAt >= this.#nextReading) this.#read(call.startedAt);
    this.#priorities.count(call.priority);
    if (this.#priorities.share > 0 && this.#priorities.sheds(call.priority, this.#random)) {
      this.#rejected++;
      throw overloaded(this, call, "load", spread(this.#retryAfter, this.#random));
    }
    return 0;
  }

  exit(): void {}

  stats(): ShedWhenStats {
    return { shedding: this.#priorities.share, load: this.#load, rejected: this.#rejected };
  }

  #read(now: number): void {
    this.#nextReading = now + this.#interval;
    const reading = this.#meter.read();
    this.#load = Math.max(...this.#allowed.map(([name, allowed]) => reading[name] / allowed));
    const priorities = this.#priorities;
    if (this.#load > 1) {
      const excess = Math.min(1, Math.max(0.1, this.#load - 1));
      priorities.share = Math.min(most, priorities.share + increase * excess * (1 - priorities.share));
    } else {
      priorities.share = Math.max(0, priorities.share - relief);
    }
    priorities.update();
  }
}
