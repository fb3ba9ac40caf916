// How busy this process is.
import { availableParallelism } from "node:os";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";

/** How busy a process was since it was last asked. */
export interface LoadReading {
  /** Mean milliseconds by which the event loop was late. */
  readonly eventLoopDelay: number;
  /** The share of time in which the event loop was busy, from 0 to 1. */
  readonly eventLoopUtilization: number;
  /** The share of all processors that the process used, its threads included, from 0 to 1. */
  readonly cpu: number;
}

/** Tells how busy a process is. */
export interface LoadMeter {
  /** What has been since the last call. */
  read(): LoadReading;
}

/** Milliseconds between looks at the event loop. */
const resolution = 10;

/**
 * Measures this process. Costs a look at the event loop each 10 ms from the first reading on, and does not keep the process
 * alive.
 *
 * @example
 * ```ts
 * import { systemLoadMeter } from "@proj/resilience";
 *
 * const { cpu, eventLoopUtilization } = systemLoadMeter().read();
 * console.log(cpu <= 1, eventLoopUtilization <= 1); // prints: true true
 * ```
 */
export function systemLoadMeter(): LoadMeter {
  return new SystemLoadMeter();
}

class SystemLoadMeter implements LoadMeter {
  #delay: ReturnType<typeof monitorEventLoopDelay> | undefined;
  #utilization = performance.eventLoopUtilization();
  #cpu = process.cpuUsage();
  #readAt = performance.now();

  read(): LoadReading {
    const delay = this.#delay ?? monitorEventLoopDelay({ resolution });
    if (this.#delay === undefined) delay.enable();
    this.#delay = delay;
    const now = performance.now();
    const elapsed = now - this.#readAt;
    // What it counts are the times between looks.
    const late = delay.count === 0 ? 0 : Math.max(0, delay.mean / 1e6 - resolution);
    delay.reset();
    const utilization = performance.eventLoopUtilization();
    const share = performance.eventLoopUtilization(utilization, this.#utilization).utilization;
    const cpu = process.cpuUsage();
    const used = (cpu.user - this.#cpu.user + cpu.system - this.#cpu.system) / 1_000;
    this.#utilization = utilization;
    this.#cpu = cpu;
    this.#readAt = now;
    return {
      eventLoopDelay: late,
      eventLoopUtilization: Number.isNaN(share) ? 0 : Math.min(1, share),
      cpu: elapsed > 0 ? Math.min(1, used / (elapsed * availableParallelism())) : 0,
    };
  }
}
