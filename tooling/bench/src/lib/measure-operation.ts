// Measures one operation: calibrates how many calls fill the time, then counts their CPU time and allocations.
import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { Operation } from "./benchmark.ts";

/** The cost of one operation or request, measured once. */
export interface Sample {
  /** CPU time of the whole process, collector and compiler threads included, in nanoseconds. */
  readonly cpuNs: number;
  /** Operations per second of real time. */
  readonly rate: number;
  /** Bytes allocated on the JavaScript heap; absent where Node.js cannot tell, before version 26, and for servers. */
  readonly bytes?: number;
}

export interface MeasureOptions {
  /** Milliseconds of CPU time spent in calls before anything is counted. */
  readonly warmup: number;
  /** Milliseconds of CPU time of the counted calls, about. */
  readonly duration: number;
  readonly operationsPerCall?: number;
}

type Loop = (calls: number) => Promise<void> | void;

/** Measures the operation. Where a call returns a promise, the next call waits for it. */
export async function measureOperation(operation: Operation, options: MeasureOptions): Promise<Sample> {
  const { warmup, duration, operationsPerCall = 1 } = options;
  const loop = isThenable(operation()) ? awaitingLoop(operation) : plainLoop(operation);
  const callsPerMs = await warmUp(loop, warmup);

  // Five parts, of which the median counts: a pause of the machine spoils one part only.
  const calls = Math.max(1, Math.round((callsPerMs * duration) / 5));
  const parts: Sample[] = [];
  for (let part = 0; part < 5; part++) parts.push(await count(loop, calls, operationsPerCall));
  parts.sort((a, b) => a.cpuNs - b.cpuNs);
  return parts[2] as Sample; // there are five
}

// Keeps the compiler from dropping a call whose result nobody uses.
const sink: { last?: unknown } = {};

function plainLoop(operation: Operation): Loop {
  return (calls) => {
    for (let call = 0; call < calls; call++) sink.last = operation();
  };
}

function awaitingLoop(operation: Operation): Loop {
  return async (calls) => {
    for (let call = 0; call < calls; call++) sink.last = await operation();
  };
}

// Doubles the calls until they fill the time. CPU time, since on a busy machine the clock runs on while the compiler
// has seen but a few calls; an operation that mostly waits is stopped by the clock. Returns the calls per millisecond of
// the last, longest run.
async function warmUp(loop: Loop, warmup: number): Promise<number> {
  const start = performance.now();
  const cpuStart = process.cpuUsage();
  for (let calls = 1; ; calls *= 2) {
    const before = performance.now();
    const cpuBefore = process.cpuUsage();
    await loop(calls);
    const now = performance.now();
    if (milliseconds(process.cpuUsage(cpuStart)) >= warmup || now - start >= 10 * warmup) {
      return calls / Math.max(milliseconds(process.cpuUsage(cpuBefore)), (now - before) / 10);
    }
  }
}

function milliseconds({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1_000;
}

async function count(loop: Loop, calls: number, operationsPerCall: number): Promise<Sample> {
  globalThis.gc?.();
  const overhead = -allocated() + allocated(); // asking allocates, too
  const bytesBefore = allocated();
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  await loop(calls);
  const elapsed = performance.now() - start;
  const cpu = process.cpuUsage(cpuBefore);
  const bytes = allocated() - bytesBefore - overhead;

  const operations = calls * operationsPerCall;
  const sample = { cpuNs: (milliseconds(cpu) * 1e6) / operations, rate: operations / (elapsed / 1_000) };
  return Number.isNaN(bytes) ? sample : { ...sample, bytes: Math.max(0, bytes / operations) };
}

function allocated(): number {
  // Not in the types of the oldest Node.js that this runs on.
  return (getHeapStatistics() as { total_allocated_bytes?: number }).total_allocated_bytes ?? Number.NaN;
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}
