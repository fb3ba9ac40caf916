// Where and when something was measured; a number without it says nothing.
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";

export interface Machine {
  readonly node: string;
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly date: string;
  /** Load average over one minute when the measurement began: far above 0 means that others were at work. */
  readonly load: number;
}

export function describeMachine(): Machine {
  return {
    node: process.versions.node,
    system: `${type()} ${release()} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    date: new Date().toISOString(),
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}
