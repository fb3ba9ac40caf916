// Tokens of everything that is about to put a value somewhere: an invalidation in the meantime takes them away.
import type { Clock } from "@proj/concurrency";

/** Who takes tokens away: a write of this process, one of another, or somebody who only wants memory to forget. */
export type Canceller = "us" | "others" | "memory";

/** Held from before a value is read or loaded until all tiers have it. */
export interface Fill {
  readonly key: string;
  /** What had happened when it began. */
  readonly seq: number;
  /** Milliseconds since the Unix epoch when it began. */
  readonly wall: number;
  /** When it was taken away; 0 while it is good. */
  cancelledAt: number;
  /** Whether another process did: then what was written meanwhile may have come after what that process wrote. */
  isRemote: boolean;
  /** Whether this process did. */
  isLocal: boolean;
  next: Fill | undefined;
}

/**
 * How long after a fill has reached the tiers an invalidation from another process is still taken for one that it may
 * have overwritten, in milliseconds. The message travels while the value is written: it arrives within moments.
 */
const grace = 2_000;

export class Fills {
  /** Grows with each invalidation. */
  seq = 0;
  readonly #clock: Clock;
  readonly #active = new Map<string, Fill>();
  readonly #recent = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many hold a token. */
  get size(): number {
    return this.#active.size;
  }

  /** {@link Fill.seq} of the one that began first; the current one if there is none. */
  get oldest(): number {
    let oldest = this.seq;
    for (const head of this.#active.values()) {
      for (let fill: Fill | undefined = head; fill !== undefined; fill = fill.next) oldest = Math.min(oldest, fill.seq);
    }
    return oldest;
  }

  begin(key: string): Fill {
    const next = this.#active.get(key);
    const fill = {
      key,
      seq: this.seq,
      wall: this.#clock.wall(),
      cancelledAt: 0,
      isRemote: false,
      isLocal: false,
      next,
    };
    this.#active.set(key, fill);
    return fill;
  }

  /** The value is where it belongs, or goes nowhere. */
  end(fill: Fill, hasReachedTiers = false): void {
    let at = this.#active.get(fill.key);
    if (at === fill) {
      if (fill.next === undefined) this.#active.delete(fill.key);
      else this.#active.set(fill.key, fill.next);
    } else {
      while (at !== undefined && at.next !== fill) at = at.next;
      if (at !== undefined) at.next = fill.next;
    }
    if (hasReachedTiers) this.#remember(fill.key);
  }

  /** Takes the tokens of a key. Returns whether tiers may have got a value of it that nobody wants any longer. */
  cancel(key: string, by: Canceller): boolean {
    const seq = ++this.seq;
    for (let fill = this.#active.get(key); fill !== undefined; fill = fill.next) {
      if (fill.cancelledAt === 0) fill.cancelledAt = seq;
      if (by === "others") fill.isRemote = true;
      if (by === "us") fill.isLocal = true;
    }
    return by !== "memory" && this.#recent.delete(key) && by === "others";
  }

  /** The same for all keys for which `matches` says so; returns those that tiers may have got. */
  cancelWhere(matches: (key: string) => boolean, by: Canceller): string[] {
    this.seq++;
    const doubtful = [...this.#recent.keys()].filter(matches);
    for (const key of this.#active.keys()) if (matches(key)) this.cancel(key, by);
    if (by !== "memory") for (const key of doubtful) this.#recent.delete(key);
    return by === "others" ? doubtful : [];
  }

  /** Keys of which tiers have got a value a moment ago. */
  get recent(): Iterable<string> {
    return this.#recent.keys();
  }

  #remember(key: string): void {
    const now = this.#clock.now();
    for (const [old, at] of this.#recent) {
      if (at + grace > now) break;
      this.#recent.delete(old);
    }
    this.#recent.delete(key); // to the end of the line
    this.#recent.set(key, now);
  }
}
