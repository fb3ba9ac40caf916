// Checks the options of a disk tier.
import { type Clock, systemClock } from "@proj/concurrency";
import { checkCount, checkDuration, checkRatio, describe } from "@proj/concurrency/options";
import type { SqliteTierOptions } from "./sqlite-tier-options.ts";

/** The options, complete. */
export interface SqliteTierSettings {
  readonly path: string;
  readonly maxBytes: number;
  readonly lowWatermark: number;
  readonly flushEvery: number;
  readonly flushAfter: number;
  readonly sweepEvery: number;
  readonly busyTimeout: number;
  readonly name: string;
  readonly clock: Clock;
}

const least = 256 * 1_024;

export function checkSqliteTierOptions(action: string, options: SqliteTierOptions): SqliteTierSettings {
  const { path, maxBytes, lowWatermark = 0.9, flushEvery = 50, flushAfter = 20, sweepEvery = 1_000 } = options;
  const { busyTimeout = 100, name = "sqlite", clock = systemClock } = options;
  if (typeof path !== "string" || path === "" || path.startsWith(":")) {
    throw new TypeError(`Cannot ${action}: path must be that of a file, got ${describe(path)}`);
  }
  return {
    path,
    maxBytes: checkCount(action, "maxBytes", maxBytes, least),
    lowWatermark: checkRatio(action, "lowWatermark", lowWatermark),
    flushEvery: checkCount(action, "flushEvery", flushEvery, 1),
    flushAfter: checkDuration(action, "flushAfter", flushAfter),
    sweepEvery: checkDuration(action, "sweepEvery", sweepEvery),
    busyTimeout: checkCount(action, "busyTimeout", busyTimeout, 0),
    name,
    clock,
  };
}
