// Tells other processes of the writes of this one, now or when the link is back, and hears of theirs.
import type { Clock, Timer } from "@proj/concurrency";
import type { Bus, BusListener, Invalidation } from "./tier.ts";
import { bounded } from "./tiered-call.ts";

/** What an announcer needs of its cache. */
export interface AnnouncerSettings extends BusListener {
  readonly clock: Clock;
  /** The longest wait for one publication, in milliseconds. */
  readonly timeout: number;
  /** How many keys wait while the link is lost; beyond it, the others are told to drop everything. */
  readonly maxPending: number;
  onEvent(kind: "bus-failed" | "bus-lost" | "bus-restored", error?: unknown): void;
}

/** Milliseconds until a publication that failed is tried again. */
const retryAfter = 1_000;

export class Announcer {
  readonly #bus: Bus | undefined;
  readonly #settings: AnnouncerSettings;
  readonly #subscription: Disposable | undefined;
  readonly #keys = new Set<string>();
  readonly #prefixes = new Set<string>();
  readonly #tags = new Map<string, number>();
  #timer: Timer | undefined;
  #flushing: Promise<boolean> | undefined;
  #isClosed = false;
  isLost = false;
  failures = 0;

  constructor(bus: Bus | undefined, settings: AnnouncerSettings) {
    this.#bus = bus;
    this.#settings = settings;
    this.#subscription = bus?.subscribe({
      invalidated: (what) => settings.invalidated(what),
      lost: () => {
        if (this.isLost || this.#isClosed) return;
        this.isLost = true;
        settings.onEvent("bus-lost");
        settings.lost();
      },
      restored: () => {
        if (this.#isClosed) return;
        this.isLost = false;
        settings.onEvent("bus-restored");
        settings.restored(); // before anything else: what was read until now is in doubt
        void this.#flush();
      },
    });
  }

  /** Publications that wait for the link. */
  get pending(): number {
    return this.#keys.size + this.#prefixes.size + this.#tags.size;
  }

  /** Tells the others; what cannot be told now is told later. Never rejects. */
  async publish(what: Invalidation): Promise<void> {
    if (this.#bus === undefined) return;
    if (this.pending === 0 && !this.isLost) {
      if (await this.#send(what)) return;
      this.#keep(what);
      this.#wake();
    } else {
      this.#keep(what);
      if (!this.isLost) await this.#flush(); // in order
    }
  }

  async close(): Promise<void> {
    if (this.pending > 0) await this.#flush();
    this.#isClosed = true;
    this.#timer?.clear();
    this.#subscription?.[Symbol.dispose]();
  }

  #keep({ keys = [], prefix, tags = {} }: Invalidation): void {
    for (const key of keys) this.#keys.add(key);
    if (prefix !== undefined) this.#prefixes.add(prefix);
    for (const [tag, version] of Object.entries(tags)) {
      this.#tags.set(tag, Math.max(version, this.#tags.get(tag) ?? 0));
    }
    if (this.#keys.size <= this.#settings.maxPending) return;
    this.#keys.clear();
    this.#prefixes.clear();
    this.#prefixes.add("");
  }

  /** Tells what waits, one after the other. Resolves with whether nothing is left. */
  #flush(): Promise<boolean> {
    this.#flushing ??= this.#flushAll().finally(() => {
      this.#flushing = undefined;
      if (this.pending > 0) this.#wake();
    });
    return this.#flushing;
  }

  async #flushAll(): Promise<boolean> {
    while (this.#prefixes.size > 0) {
      const [prefix = ""] = this.#prefixes;
      this.#prefixes.delete(prefix);
      if (!(await this.#sendOrKeep({ prefix }))) return false;
    }
    if (this.#tags.size > 0) {
      const tags = Object.fromEntries(this.#tags);
      this.#tags.clear();
      if (!(await this.#sendOrKeep({ tags }))) return false;
    }
    if (this.#keys.size > 0) {
      const keys = [...this.#keys];
      this.#keys.clear();
      if (!(await this.#sendOrKeep({ keys }))) return false;
    }
    return true;
  }

  async #sendOrKeep(what: Invalidation): Promise<boolean> {
    const isSent = await this.#send(what);
    if (!isSent) this.#keep(what);
    return isSent;
  }

  async #send(what: Invalidation): Promise<boolean> {
    const { clock, timeout, onEvent } = this.#settings;
    try {
      await bounded(clock, timeout, "a publication", () => this.#bus?.publish(what));
      return true;
    } catch (error) {
      this.failures++;
      onEvent("bus-failed", error);
      return false;
    }
  }

  #wake(): void {
    if (this.#isClosed || this.isLost || this.#timer !== undefined) return;
    this.#timer = this.#settings.clock.setTimeout(() => {
      this.#timer = undefined;
      void this.#flush();
    }, retryAfter);
  }
}
