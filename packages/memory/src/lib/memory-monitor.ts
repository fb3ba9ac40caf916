// Watches the memory of the process and makes caches smaller before it runs out.
import { setFlagsFromString, setHeapSnapshotNearHeapLimit } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Clock, systemClock, type Timer } from "@proj/concurrency";
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkDuration, checkFunction, checkRatio } from "@proj/concurrency/options";
import { listening, tell } from "./events.ts";
import { type MemoryProbe, type MemoryReading, processProbe } from "./memory-reading.ts";

/** How little memory is left: `"soft"` and `"hard"` as the options say. */
export type PressureLevel = "normal" | "soft" | "hard";

/** Whatever can let go of a share of what it holds: each cache and pool of this package. */
export interface Shrinkable {
  /** Lets go of about this share, from 0 to 1, of what is wanted least. */
  shrink(fraction: number): number;
}

/** How something is made smaller. */
export interface ShrinkOptions {
  /** For events. Default: `"cache"`. */
  readonly name?: string | undefined;
  /** Higher is made smaller later: below `"hard"`, only the lowest priority there is. Default: 0. */
  readonly priority?: number | undefined;
}

/** Told as it happens, also on the diagnostics channel `proj:memory:event`. */
export type PressureEvent =
  | {
      readonly kind: "pressure-changed";
      readonly from: PressureLevel;
      readonly to: PressureLevel;
      readonly ratio: number;
    }
  | { readonly kind: "cache-shrunk"; readonly name: string; readonly fraction: number; readonly freed: number }
  | { readonly kind: "shrink-failed"; readonly name: string; readonly error: unknown };

/** What can be set on a {@link memoryMonitor}. */
export interface MemoryMonitorOptions {
  /** Milliseconds between two looks, above 0; `Infinity` to look only at {@link MemoryMonitor.check}. Default: 500. */
  readonly every?: number | undefined;
  /** The share of the heap's limit, or of the process's, at which caches are made a tenth smaller. Default: 0.8. */
  readonly soft?: number | undefined;
  /** The share at which they are made half as large, at each look. Default: 0.9. */
  readonly hard?: number | undefined;
  /**
   * The share of the time in the collector at which memory is short as at `soft`, once the heap is at `calm`: then it
   * runs often and frees little. Default: 0.3; 1 for never.
   */
  readonly gcShare?: number | undefined;
  /** The share below which the pressure is over. Default: 0.1 below `soft`. */
  readonly calm?: number | undefined;
  /** Lets V8 write so many heap snapshots before the heap's limit is reached, for later study. Default: none. */
  readonly heapSnapshotNearLimit?: number | undefined;
  /** Told of changes, and of what was made smaller. */
  readonly onEvent?: ((event: PressureEvent) => void) | undefined;
  /** With a name it is listed by `components()` of `@proj/concurrency/inspect`. */
  readonly name?: string | undefined;
  /** Where the numbers come from; it is disposed of with the monitor. Default: this process, in a worker the worker's heap. */
  readonly probe?: MemoryProbe | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** What {@link MemoryMonitor.collect} may do. */
export interface CollectOptions {
  /** Also runs the garbage collector, which stops the process meanwhile. Default: `false`. */
  readonly allowGc?: boolean | undefined;
  /** The share to let go of. Default: 0.5. */
  readonly fraction?: number | undefined;
}

/** Watches until it is disposed of. Made by {@link memoryMonitor}. */
export interface MemoryMonitor extends Disposable {
  /** As it was at the last look. */
  readonly level: PressureLevel;
  /** The last reading. */
  readonly reading: MemoryReading;
  /** The larger of the two shares: of the heap's limit, and of the process's. */
  readonly ratio: number;
  /** Makes something smaller from now on when memory runs short. Held until the result is disposed of. */
  register(target: Shrinkable, options?: ShrinkOptions): Disposable;
  /** Looks now, and acts as at any other look. */
  check(): PressureLevel;
  /** For batch jobs, between two pieces of work: makes everything smaller at once, and collects if that is allowed. */
  collect(options?: CollectOptions): void;
}

/**
 * Watches the heap and the resident memory of the process, and makes what is registered smaller before they run out:
 * the lowest priority first, and all at `hard`. Below that, it does not act again before the collector has run (or ten
 * looks later), so one rise costs one cut. Its timer does not keep the process alive, and it never calls the collector by
 * itself. Each thread needs a monitor of its own for its heap; the resident memory is that of all of them.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { memoryMonitor, WeakCache } from "@proj/memory";
 *
 * const images = new WeakCache<string, Uint8Array>({ strong: 1_000 });
 * using monitor = memoryMonitor({ soft: 0.8, hard: 0.9 });
 * using registration = monitor.register(images, { name: "images" });
 * console.log(monitor.check(), monitor.reading.heapLimit > 0); // prints: normal true
 * ```
 */
export function memoryMonitor(options: MemoryMonitorOptions = {}): MemoryMonitor {
  const monitor = new Monitor(options);
  if (options.name !== undefined) {
    register("memory-monitor", options.name, monitor, ({ level, ratio, reading }) => ({ level, ratio, ...reading }));
  }
  return monitor;
}

interface Registration {
  readonly target: Shrinkable;
  readonly name: string;
  readonly priority: number;
}

/** Looks after which a cut is taken to have had no effect, if the collector has not run. */
const patience = 10;

class Monitor implements MemoryMonitor {
  readonly #soft: number;
  readonly #hard: number;
  readonly #calm: number;
  readonly #gcShare: number;
  readonly #every: number;
  readonly #onEvent: ((event: PressureEvent) => void) | undefined;
  readonly #probe: MemoryProbe;
  readonly #clock: Clock;
  readonly #registrations = new Set<Registration>();
  #timer: Timer | undefined;
  #reading: MemoryReading;
  #level: PressureLevel = "normal";
  #lastCut: { readonly collections: number; looks: number } | undefined;

  constructor(options: MemoryMonitorOptions) {
    const action = "monitor memory";
    const { every = 500, soft = 0.8, hard = 0.9, calm = soft - 0.1, onEvent, clock = systemClock } = options;
    this.#every = checkDuration(action, "every", every);
    if (every === 0) throw new RangeError(`Cannot ${action}: every must be above 0 ms, got 0`);
    this.#soft = checkRatio(action, "soft", soft);
    this.#hard = checkRatio(action, "hard", hard);
    this.#calm = checkRatio(action, "calm", calm);
    this.#gcShare = checkRatio(action, "gcShare", options.gcShare ?? 0.3);
    if (!(calm <= soft && soft <= hard)) {
      throw new RangeError(
        `Cannot ${action}: calm must be at most soft, and soft at most hard, got ${calm}, ${soft} and ${hard}`,
      );
    }
    this.#onEvent = onEvent && checkFunction(action, "onEvent", onEvent);
    if (options.heapSnapshotNearLimit !== undefined) {
      setHeapSnapshotNearHeapLimit(checkCount(action, "heapSnapshotNearLimit", options.heapSnapshotNearLimit, 1));
    }
    this.#clock = clock;
    this.#probe = options.probe ?? processProbe();
    this.#reading = this.#probe.read();
    this.#wait();
  }

  get level(): PressureLevel {
    return this.#level;
  }

  get reading(): MemoryReading {
    return this.#reading;
  }

  get ratio(): number {
    const { heapUsed, heapLimit, rss, rssLimit } = this.#reading;
    return Math.max(heapUsed / heapLimit, rss / rssLimit);
  }

  register(target: Shrinkable, options: ShrinkOptions = {}): Disposable {
    checkFunction("register with a memory monitor", "target.shrink", target.shrink);
    const registration = { target, name: options.name ?? "cache", priority: options.priority ?? 0 };
    this.#registrations.add(registration);
    return { [Symbol.dispose]: () => void this.#registrations.delete(registration) };
  }

  check(): PressureLevel {
    this.#reading = this.#probe.read();
    const isShort = this.ratio >= this.#soft || this.#collectsInVain();
    this.#enter(this.#levelOf(this.ratio, isShort));
    if (this.#level === "hard") this.#cut(0.5, [...this.#registrations]);
    else if (isShort && !this.#waitsForCollector()) this.#cut(0.1, this.#lowest());
    return this.#level;
  }

  collect(options: CollectOptions = {}): void {
    const { allowGc = false, fraction = 0.5 } = options;
    checkRatio("collect", "fraction", fraction);
    this.#cut(fraction, [...this.#registrations]);
    if (allowGc) collectGarbage();
    this.#reading = this.#probe.read();
  }

  [Symbol.dispose](): void {
    this.#timer?.clear();
    this.#timer = undefined;
    this.#registrations.clear();
    this.#probe[Symbol.dispose]();
  }

  #wait(): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#wait();
      this.check();
    }, this.#every);
  }

  #collectsInVain(): boolean {
    const { heapUsed, heapLimit, gcShare } = this.#reading;
    return this.#gcShare < 1 && gcShare >= this.#gcShare && heapUsed >= heapLimit * this.#calm;
  }

  /** Once under pressure, it is over only below `calm`. */
  #levelOf(ratio: number, isShort: boolean): PressureLevel {
    if (ratio >= this.#hard) return "hard";
    if (isShort) return "soft";
    return this.#level === "normal" || ratio < this.#calm ? "normal" : "soft";
  }

  #enter(level: PressureLevel): void {
    const from = this.#level;
    if (from === level) return;
    this.#level = level;
    this.#lastCut = undefined;
    this.#tell({ kind: "pressure-changed", from, to: level, ratio: this.ratio });
  }

  /** What was let go of counts as used until then: cutting again would empty the caches for nothing. */
  #waitsForCollector(): boolean {
    const cut = this.#lastCut;
    return cut !== undefined && cut.collections === this.#reading.collections && ++cut.looks < patience;
  }

  #lowest(): Registration[] {
    const lowest = Math.min(...Array.from(this.#registrations, ({ priority }) => priority));
    return [...this.#registrations].filter(({ priority }) => priority === lowest);
  }

  #cut(fraction: number, registrations: readonly Registration[]): void {
    this.#lastCut = { collections: this.#reading.collections, looks: 0 };
    for (const { target, name } of registrations) {
      try {
        this.#tell({ kind: "cache-shrunk", name, fraction, freed: target.shrink(fraction) });
      } catch (error) {
        this.#tell({ kind: "shrink-failed", name, error }); // the others must become smaller all the same
      }
    }
  }

  #tell(event: PressureEvent): void {
    if (listening()) tell(event);
    try {
      this.#onEvent?.(event);
    } catch (error) {
      process.nextTick(() => {
        throw error; // an observer's failure is its own
      });
    }
  }
}

let gc: (() => void) | undefined;

/** The flag can be set while the process runs, and gives the function to contexts made after that. */
function collectGarbage(): void {
  if (gc === undefined) {
    setFlagsFromString("--expose-gc");
    gc = runInNewContext("gc") as () => void; // what the flag exposes
    setFlagsFromString("--no-expose-gc");
  }
  gc();
}
