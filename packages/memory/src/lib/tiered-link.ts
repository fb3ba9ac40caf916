// A tier as the cache sees it: one that always answers in time, if only that it has no answer, and keeps writes in order.
import type { MaybePromise, Sealed, Tier, TierOptions } from "./tier.ts";
import type { TierState } from "./tiered-breaker.ts";
import { bounded } from "./tiered-call.ts";
import { Guard, type GuardSettings } from "./tiered-guard.ts";
import { clearLimit, Replay, type ReplaySettings } from "./tiered-replay.ts";

/** What a link needs of its cache. */
export interface LinkSettings extends GuardSettings, ReplaySettings {}

/** How a tier has done. */
export interface TierStats {
  /** As the tier calls itself. */
  readonly name: string;
  /** Whether it is asked: `"open"` means that it is left alone, `"half-open"` that it is being tried. */
  readonly state: TierState;
  /** Answered by this tier. */
  readonly hits: number;
  /** Asked, and not found here. */
  readonly misses: number;
  /** Keys that were written or deleted. */
  readonly writes: number;
  /** Calls that failed, those that took too long included. */
  readonly failures: number;
  /** Calls that were not made, as the tier was left alone. */
  readonly skipped: number;
  /** How often it began to be left alone. */
  readonly openings: number;
  /** Payloads that were damaged, or not of this cache. */
  readonly refused: number;
  /** Writes that wait until the tier is back. */
  readonly pending: number;
}

/** The write of a key that is under way, and what is to follow. `undefined` deletes. */
interface Slot {
  readonly now: Sealed | undefined;
  next: { value: Sealed | undefined; readonly done: PromiseWithResolvers<boolean> } | undefined;
  readonly ended: Promise<unknown>;
}

/** A write that was given up and may still happen. */
interface Dangling {
  isSuperseded: boolean;
}

export class TierLink {
  readonly name: string;
  readonly #settings: LinkSettings;
  readonly #guard: Guard;
  readonly #replay: Replay;
  readonly #slots = new Map<string, Slot>();
  readonly #dangling = new Map<string, Set<Dangling>>();
  /** Prefixes that are being cleared: what is there now counts as gone. */
  readonly #clearing = new Set<string>();
  #isClosed = false;

  constructor(tier: Tier, settings: LinkSettings, action: string) {
    this.name = tier.name;
    this.#settings = settings;
    this.#guard = new Guard(tier, settings, action);
    this.#replay = new Replay(this.#guard, settings, (batch, written) => {
      for (const [key, value] of batch) {
        supersede(this.#dangling.get(key));
        if (!this.#slots.has(key)) this.#occupy(key, value, written); // what is written meanwhile comes after
      }
    });
  }

  /** Whether the tier itself keeps late loads out. */
  get fences(): boolean {
    return this.#guard.tier.fences === true;
  }

  get state(): TierState {
    return this.#guard.state;
  }

  get counts(): Guard["counts"] {
    return this.#guard.counts;
  }

  stats(): TierStats {
    const { state, openings, counts } = this.#guard;
    return { name: this.name, state, ...counts, openings, pending: this.#replay.backlog.size };
  }

  /** What it has of these keys, in their order; `undefined` if it does not answer. */
  async read(keys: readonly string[], timeout: number, fill?: object): Promise<(Sealed | undefined)[] | undefined> {
    const own = keys.map((key) => (this.#isOurs(key) ? { value: this.#ours(key) } : undefined));
    const asked = keys.filter((_, index) => own[index] === undefined);
    let answer: readonly (Sealed | undefined)[] | undefined = [];
    if (asked.length > 0) {
      if (!this.#mayAsk()) return undefined;
      const limit = Math.min(timeout, this.#settings.timeout);
      const call = (tier: Tier, options: TierOptions | undefined): MaybePromise<readonly (Sealed | undefined)[]> =>
        asked.length === 1 ? readOne(tier, asked[0] as string, options) : tier.getMany(asked, options);
      answer = await this.#guard.tryCall({ what: "a read", timeout: limit, fill, call });
      if (answer === undefined) return undefined;
    }
    const wall = this.#settings.clock.wall();
    let place = 0;
    return keys.map((key, index) => {
      const before = own[index];
      const there = before === undefined ? answer[place++] : before.value;
      // A write of this process may have begun meanwhile: what was read is from before it.
      const value = this.#isOurs(key) ? this.#ours(key) : there;
      return value !== undefined && value.expiresAt > wall ? value : undefined;
    });
  }

  /**
   * Writes a value, or deletes the key if it is `undefined`, after all earlier writes to the key. Resolves with whether
   * the tier has it now; if not, it is kept until the tier is back, but for fills, which are not worth it.
   */
  async write(key: string, value: Sealed | undefined, fill?: object): Promise<boolean> {
    const slot = this.#slots.get(key);
    if (slot !== undefined) {
      if (fill !== undefined) return false; // what is under way is newer, or a fill as well
      slot.next ??= { value, done: Promise.withResolvers() };
      slot.next.value = value; // the one before it is as good as overwritten
      return slot.next.done.promise;
    }
    if (fill !== undefined && (this.state !== "closed" || this.#replay.backlog.covers(key))) return false;
    return this.#inSlot(key, value, fill);
  }

  /** Deletes keys, in one call for those that nothing else is done to. */
  async remove(keys: readonly string[]): Promise<boolean> {
    const free = keys.filter((key) => !this.#slots.has(key));
    const busy = keys.filter((key) => this.#slots.has(key));
    const writes = busy.map((key) => this.write(key, undefined));
    if (free.length > 0) {
      const deleting = this.#perform(free, undefined, (tier, options) => tier.delete(free, options));
      for (const key of free) this.#occupy(key, undefined, deleting);
      writes.push(deleting);
    }
    return (await Promise.all(writes)).every(Boolean);
  }

  /** Deletes all keys with a prefix; resolves with how many, `undefined` if that is left for later. */
  async clear(prefix: string): Promise<number | undefined> {
    const { backlog } = this.#replay;
    this.#clearing.add(prefix);
    backlog.forget(prefix);
    for (const [key, marks] of this.#dangling) if (key.startsWith(prefix)) supersede(marks);
    try {
      const running = [...this.#slots].filter(([key]) => key.startsWith(prefix)).map(([, slot]) => slot.ended);
      await Promise.all(running); // they began before, and must not come after
      const count = !this.#mayAsk()
        ? undefined
        : await this.#guard.tryCall({
            what: "a clear",
            timeout: clearLimit * this.#settings.timeout,
            call: (tier, options) => tier.clear(prefix, options),
          });
      if (count === undefined) {
        backlog.addClear(prefix);
        this.#replay.wake();
      }
      return count;
    } finally {
      this.#clearing.delete(prefix);
    }
  }

  /** Another process has written these keys: what waits here is older. */
  overtaken(matches: (key: string) => boolean): void {
    this.#replay.overtaken(matches);
  }

  /** Tries once more to bring the tier up to date, and lets go of it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#slots.values()].map(({ ended }) => ended));
    await this.#replay.close();
    const { clock, timeout } = this.#settings;
    await bounded(clock, timeout, `closing ${this.name}`, () => this.#guard.tier.close?.()).catch(() => {});
  }

  /** What a tier that is back is to be told first is what it has missed. */
  #mayAsk(): boolean {
    if (this.state === "closed" || this.#replay.backlog.size === 0) return true;
    this.#replay.start();
    this.#guard.counts.skipped++;
    return false;
  }

  /** Whether this process knows better than the tier what is in it. */
  #isOurs(key: string): boolean {
    if (this.#slots.has(key) || this.#replay.backlog.covers(key)) return true;
    for (const prefix of this.#clearing) if (key.startsWith(prefix)) return true;
    return false;
  }

  #ours(key: string): Sealed | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return this.#replay.backlog.get(key);
    return slot.next === undefined ? slot.now : slot.next.value;
  }

  #inSlot(key: string, value: Sealed | undefined, fill?: object): Promise<boolean> {
    const writing = this.#perform(
      [key],
      value,
      (tier, options) => (value === undefined ? tier.delete([key], options) : tier.set(key, value, options)),
      fill,
    );
    this.#occupy(key, value, writing);
    return writing;
  }

  #occupy(key: string, value: Sealed | undefined, ended: Promise<unknown>): void {
    const slot: Slot = { now: value, next: undefined, ended };
    this.#slots.set(key, slot);
    void ended.then(() => {
      this.#slots.delete(key);
      if (slot.next !== undefined) slot.next.done.resolve(this.#inSlot(key, slot.next.value));
    });
  }

  /** Makes a write; if it fails, keeps it for later. Never rejects. */
  async #perform(
    keys: readonly string[],
    value: Sealed | undefined,
    call: (tier: Tier, options: TierOptions | undefined) => MaybePromise<void>,
    fill?: object,
  ): Promise<boolean> {
    const { backlog } = this.#replay;
    for (const key of keys) {
      backlog.drop(key);
      supersede(this.#dangling.get(key));
    }
    const mark: Dangling = { isSuperseded: fill !== undefined }; // a fill that comes late is not wanted in any case
    const isDone =
      this.#mayAsk() &&
      (await this.#guard.tryCall({
        what: "a write",
        fill,
        call: async (tier, options) => {
          await call(tier, options);
          return true;
        },
        onTimeout: () => {
          for (const key of keys) this.#dangle(key, mark);
        },
        onLate: (hasHappened) => {
          for (const key of keys) this.#settle(key, mark, hasHappened);
        },
      }));
    if (isDone === true) {
      this.counts.writes += keys.length;
      if (backlog.size > 0) this.#replay.start();
      return true;
    }
    if (fill === undefined) {
      for (const key of keys) backlog.add(key, value, this.#settings.epoch());
      this.#replay.wake();
    }
    return false;
  }

  #dangle(key: string, mark: Dangling): void {
    const marks = this.#dangling.get(key);
    if (marks === undefined) this.#dangling.set(key, new Set([mark]));
    else marks.add(mark);
  }

  /** What was given up has ended. If it came after a newer write, nobody knows what is there. */
  #settle(key: string, mark: Dangling, hasHappened: boolean): void {
    const marks = this.#dangling.get(key);
    marks?.delete(mark);
    if (marks?.size === 0) this.#dangling.delete(key);
    if (!hasHappened || !mark.isSuperseded || this.#isClosed) return;
    void this.write(key, undefined).then((isDone) => isDone && this.#settings.onReplayed([key], []));
  }
}

async function readOne(
  tier: Tier,
  key: string,
  options: TierOptions | undefined,
): Promise<readonly (Sealed | undefined)[]> {
  return [await tier.get(key, options)];
}

function supersede(marks: Set<Dangling> | undefined): void {
  if (marks !== undefined) for (const mark of marks) mark.isSuperseded = true;
}
