// How much memory the process has and uses.
import { totalmem } from "node:os";
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";

/** What a process uses and may use, in bytes. */
export interface MemoryReading {
  /** What is in the heap, garbage included, in bytes. */
  readonly heapUsed: number;
  /** What V8 lets the heap grow to, see `--max-old-space-size`. */
  readonly heapLimit: number;
  /** All the process uses, buffers and worker threads included. Other processes of the container are not seen. */
  readonly rss: number;
  /** That of the container (cgroup v1 or v2: the lower one of `memory.max` and `memory.high`), else of the machine. */
  readonly rssLimit: number;
  /** The share of the time in which the collector stopped the thread, from 0 to 1: since the last reading, or over 250 ms. */
  readonly gcShare: number;
  /** Whole collections since the probe was made: what was let go of is gone only after one. */
  readonly collections: number;
}

/** A source of readings. Dispose of it when done. */
export interface MemoryProbe extends Disposable {
  /** What the process uses now. */
  read(): MemoryReading;
}

/** Over less than so many milliseconds, one collection would look like many. */
const shortest = 250;
const major = 4; // the kind of a mark-sweep-compact

/** Reads this process, in a worker the worker's heap. Watches the collector until it is disposed of. */
export function processProbe(): MemoryProbe {
  let gcTime = 0;
  let collections = 0;
  let gcShare = 0;
  let countedFrom = performance.now();
  const observer = new PerformanceObserver((list) => {
    for (const { duration, detail } of list.getEntries() as GcEntry[]) {
      gcTime += duration;
      if (detail?.kind === major) collections++;
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  return {
    read() {
      const { used_heap_size: heapUsed, heap_size_limit: heapLimit } = getHeapStatistics();
      const now = performance.now();
      if (now - countedFrom >= shortest) {
        gcShare = Math.min(1, gcTime / (now - countedFrom));
        gcTime = 0;
        countedFrom = now;
      }
      return { heapUsed, heapLimit, rss: process.memoryUsage.rss(), rssLimit: memoryLimit(), gcShare, collections };
    },
    [Symbol.dispose]: () => observer.disconnect(),
  };
}

interface GcEntry {
  readonly duration: number;
  readonly detail?: { readonly kind?: number };
}

/** Without a limit the platform tells 0 or a number beyond all machines. */
function memoryLimit(): number {
  const total = totalmem();
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, total) : total;
}
