// The options of a pool of workers, checked and with their defaults.
import { availableParallelism } from "node:os";
import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import { checkCount, checkDuration, describe } from "./check.ts";
import { systemClock } from "./clock.ts";
import { doubling } from "./pool-backoff.ts";
import { mostSlots } from "./worker-memory.ts";
import type { WorkersOptions } from "./workers.ts";

export type WorkersSettings = ReturnType<typeof settle>;

const action = "create workers";

export function settle(module: URL | string, options: WorkersOptions) {
  const [min, max] = threadsOf(options.threads ?? [1, "auto"]);
  const count = (name: string, value: number | undefined, standard: number, least: number, unbounded = false) =>
    checkCount(action, name, value ?? standard, least, unbounded);
  const duration = (name: string, value: number | undefined, standard: number) =>
    checkDuration(action, name, value ?? standard);
  const concurrency = count("concurrency", options.concurrency, 1, 1);
  const inFlight = count("inFlight", options.inFlight, Math.max(64, concurrency), concurrency);
  if (inFlight > mostSlots) {
    throw new RangeError(`Cannot ${action}: inFlight must be at most ${mostSlots}, got ${inFlight}`);
  }
  const { random = Math.random } = options;
  const { restartBackoff = doubling(random) } = options;
  if (typeof restartBackoff !== "function") {
    throw new TypeError(`Cannot ${action}: restartBackoff must be a function, got ${describe(restartBackoff)}`);
  }
  return {
    module: urlOf(module),
    name: options.name ?? "workers",
    data: options.data,
    min,
    max,
    concurrency,
    inFlight,
    growAbove: count("growAbove", options.growAbove, 1, 1, true),
    maxQueue: count("maxQueue", options.maxQueue, Number.POSITIVE_INFINITY, 0, true),
    warmUp: options.warmUp ?? false,
    idle: duration("idle", options.idle, 30_000),
    grace: duration("grace", options.grace, 1_000),
    startTimeout: duration("startTimeout", options.startTimeout, 30_000),
    disposeTimeout: duration("disposeTimeout", options.disposeTimeout, 5_000),
    restartBackoff,
    resourceLimits: options.resourceLimits,
    execArgv: options.execArgv,
    clock: options.clock ?? systemClock,
  };
}

function threadsOf(threads: NonNullable<WorkersOptions["threads"]>): readonly [number, number] {
  const isRange = Array.isArray(threads);
  if (isRange && threads.length !== 2) {
    throw new TypeError(
      `Cannot ${action}: threads must be a number, "auto" or [min, max], got ${threads.length} items`,
    );
  }
  const [min, max] = (isRange ? threads : [threads, threads]) as [number, number | "auto"]; // checked below
  const most = max === "auto" ? availableParallelism() : checkCount(action, "threads", max, 1);
  const least = (min as unknown) === "auto" ? most : checkCount(action, "threads", min, isRange ? 0 : 1);
  // "auto" may be less than what was asked for at least: a small machine.
  if (least > most && max !== "auto") {
    throw new RangeError(`Cannot ${action}: threads must be [min, max] with min at most max, got [${least}, ${most}]`);
  }
  return [least, Math.max(least, most)];
}

function urlOf(module: unknown): string {
  if (module instanceof URL) return module.href;
  if (typeof module === "string") {
    if (isAbsolute(module)) return pathToFileURL(module).href;
    if (URL.canParse(module)) return module;
  }
  throw new TypeError(
    `Cannot ${action}: the module must be a URL or an absolute path, as new URL("./work.js", import.meta.url), got ${describe(module)}`,
  );
}
