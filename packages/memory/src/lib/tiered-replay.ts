// Brings a tier that was away up to date with what this process has written meanwhile.
import type { Clock, Timer } from "@proj/concurrency";
import type { Sealed } from "./tier.ts";
import { Backlog } from "./tiered-backlog.ts";
import type { Guard } from "./tiered-guard.ts";
import { readWire } from "./tiered-wire.ts";

/** What a replay needs of its link. */
export interface ReplaySettings {
  readonly clock: Clock;
  /** The longest wait for one call, in milliseconds. */
  readonly timeout: number;
  /** How many writes wait for a tier that is away. */
  readonly maxPending: number;
  /** Changes when messages of other processes may have been lost. */
  epoch(): number;
  /** The tier has them now: others may have read what was there before. */
  onReplayed(keys: readonly string[], prefixes: readonly string[]): void;
}

/** A clear goes on in slices: how many times longer than another call it may take. */
export const clearLimit = 60;
/** Milliseconds between tries to bring a tier up to date that is not left alone otherwise. */
const retryEvery = 250;
const atOnce = 100;

export class Replay {
  readonly backlog: Backlog;
  readonly #guard: Guard;
  readonly #settings: ReplaySettings;
  /** Told of keys that are about to be written, until it has happened. */
  readonly #occupy: (batch: ReadonlyMap<string, Sealed | undefined>, written: Promise<unknown>) => void;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  /** Being written, and those of them that others have written meanwhile. */
  #batch: ReadonlyMap<string, Sealed | undefined> = new Map();
  readonly #overtaken = new Set<string>();
  #isClosed = false;

  constructor(
    guard: Guard,
    settings: ReplaySettings,
    occupy: (batch: ReadonlyMap<string, Sealed | undefined>, written: Promise<unknown>) => void,
  ) {
    this.#guard = guard;
    this.#settings = settings;
    this.#occupy = occupy;
    this.backlog = new Backlog(settings.maxPending);
  }

  /** Starts it if there is something to do and the tier may be tried; otherwise sees to it that it is tried later. */
  start(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    if (this.#running !== undefined || this.#isClosed || this.backlog.size === 0) return;
    if (this.#guard.enter()) this.#run();
    else this.wake();
  }

  /** Sees to it that it is tried even if nobody asks for anything. */
  wake(): void {
    if (this.#isClosed || this.#timer !== undefined || this.#running !== undefined || this.backlog.size === 0) return;
    this.#timer = this.#settings.clock.setTimeout(() => this.start(), Math.max(retryEvery, this.#guard.waitMs));
  }

  /** Others have written these keys: what waits here is older. */
  overtaken(matches: (key: string) => boolean): void {
    this.backlog.deleteInstead(matches);
    for (const key of this.#batch.keys()) if (matches(key)) this.#overtaken.add(key);
  }

  /** Tries once more, if the tier may be tried. */
  async close(): Promise<void> {
    await this.#running;
    if (this.backlog.size > 0 && this.#guard.enter()) this.#run();
    await this.#running;
    this.#isClosed = true;
    this.#timer?.clear();
  }

  #run(): void {
    this.#running = this.#replay().finally(() => {
      this.#running = undefined;
      this.wake();
    });
  }

  async #replay(): Promise<void> {
    try {
      for (const prefix of this.backlog.clears()) await this.#clear(prefix);
      for (;;) {
        const batch = this.backlog.take(atOnce, this.#settings.epoch());
        if (batch.size === 0) return;
        await this.#write(batch);
      }
    } catch {
      // The guard has told, and it is tried again.
    }
  }

  async #clear(prefix: string): Promise<void> {
    const timeout = clearLimit * this.#settings.timeout;
    await this.#guard.call({ what: "a clear", timeout, call: (tier, options) => tier.clear(prefix, options) });
    this.backlog.cleared(prefix);
    this.#settings.onReplayed([], [prefix]);
  }

  async #write(batch: ReadonlyMap<string, Sealed | undefined>): Promise<void> {
    this.#batch = batch;
    const writing = this.#writeBatch(batch);
    this.#occupy(
      batch,
      writing.catch(() => {}),
    );
    try {
      await writing;
    } catch (error) {
      this.backlog.giveBack(batch, this.#settings.epoch());
      throw error;
    } finally {
      for (const key of this.#overtaken) this.backlog.add(key, undefined, this.#settings.epoch());
      this.#overtaken.clear();
      this.#batch = new Map();
    }
    this.#settings.onReplayed([...batch.keys()], []);
  }

  async #writeBatch(batch: ReadonlyMap<string, Sealed | undefined>): Promise<void> {
    const guard = this.#guard;
    const values = [...batch].filter((entry): entry is [string, Sealed] => entry[1] !== undefined);
    const gone = [...batch.keys()].filter((key) => batch.get(key) === undefined);
    if (gone.length > 0) await guard.call({ what: "a deletion", call: (tier, options) => tier.delete(gone, options) });
    if (values.length === 0) return;
    const keys = values.map(([key]) => key);
    const there = await guard.call({ what: "a read", call: (tier, options) => tier.getMany(keys, options) });
    for (const [index, [key, value]] of values.entries()) {
      if (stampOf(there[index]) > stampOf(value)) continue; // another process has written it since
      await guard.call({ what: "a write", call: (tier, options) => tier.set(key, value, options) });
    }
  }
}

function stampOf(value: Sealed | undefined): number {
  return value === undefined ? 0 : (readWire(value.bytes)?.stamp ?? 0);
}
