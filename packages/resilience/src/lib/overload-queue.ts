// A short queue that stays useful when more comes than goes: then the newest are served, while their callers still wait,
// and those who have waited too long are turned away.

/** Somebody in an {@link OverloadQueue}. */
export interface QueuedCall {
  readonly priority: number;
  readonly since: number;
  older: QueuedCall | undefined;
  newer: QueuedCall | undefined;
  /** In line; else served, turned away or gone. */
  isQueued: boolean;
}

/** Those of one priority. */
interface Line {
  readonly priority: number;
  oldest: QueuedCall | undefined;
  newest: QueuedCall | undefined;
}

export interface OverloadQueueOptions {
  readonly max: number;
  /** Milliseconds that a call may wait, and after which a queue that was not empty for so long is one of overload. */
  readonly maxWait: number;
  /** Milliseconds that it may wait then. */
  readonly overloadWait: number;
}

/**
 * Adaptive LIFO with controlled delay: in order of arrival while it gets empty now and then; once it has not been empty
 * for `maxWait`, or only because somebody was turned away, newest first. As in Facebook's "Fail at Scale".
 */
export class OverloadQueue<W extends QueuedCall> {
  size = 0;
  readonly #options: OverloadQueueOptions;
  readonly #onStale: (waiter: W) => void;
  /** Highest priority first; none is empty. */
  readonly #lines: Line[] = [];
  #busySince = 0;
  #lastDrop = Number.NEGATIVE_INFINITY;

  /** `onStale` is called for those who are turned away because they have waited too long, or for somebody else. */
  constructor(options: OverloadQueueOptions, onStale: (waiter: W) => void) {
    this.#options = options;
    this.#onStale = onStale;
  }

  /** Whether it has not been empty for too long. */
  isOverloaded(now: number): boolean {
    return this.size > 0 && now - this.#busySince >= this.#options.maxWait;
  }

  /** When the oldest has waited too long; `Infinity` if nobody waits. */
  get nextStale(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const line of this.#lines) oldest = Math.min(oldest, line.oldest?.since ?? oldest);
    return oldest + this.#options.maxWait;
  }

  /** Lines up, if need be in place of somebody of less use. Returns whether there was room. */
  push(waiter: W, now: number): boolean {
    if (this.size >= this.#options.max && !this.#makeRoom(waiter.priority, now)) return false;
    // That it got empty says little when somebody had to be turned away for it.
    if (this.size++ === 0 && now - this.#lastDrop >= this.#options.maxWait) this.#busySince = now;
    const line = this.#lineOf(waiter.priority);
    waiter.isQueued = true;
    waiter.older = line.newest;
    if (line.newest === undefined) line.oldest = waiter;
    else line.newest.newer = waiter;
    line.newest = waiter;
    return true;
  }

  /** Takes out who is to be served now, if there is room for that one. */
  shift(now: number, hasRoom: (waiter: W) => boolean = () => true): W | undefined {
    this.dropStale(now);
    const [line] = this.#lines;
    const waiter = (this.isOverloaded(now) ? line?.newest : line?.oldest) as W | undefined; // only such were pushed
    if (waiter === undefined || !hasRoom(waiter)) return undefined;
    this.remove(waiter);
    return waiter;
  }

  /** Turns away who has waited too long. */
  dropStale(now: number): void {
    const { maxWait, overloadWait } = this.#options;
    const patience = this.isOverloaded(now) ? overloadWait : maxWait;
    for (const line of this.#lines.slice()) {
      for (let oldest = line.oldest; oldest !== undefined && now - oldest.since >= patience; oldest = line.oldest) {
        this.#drop(oldest, now);
      }
    }
  }

  remove(waiter: W): void {
    if (!waiter.isQueued) return;
    waiter.isQueued = false;
    const line = this.#lineOf(waiter.priority);
    if (waiter.older === undefined) line.oldest = waiter.newer;
    else waiter.older.newer = waiter.newer;
    if (waiter.newer === undefined) line.newest = waiter.older;
    else waiter.newer.older = waiter.older;
    waiter.older = undefined;
    waiter.newer = undefined;
    if (line.oldest === undefined) this.#lines.splice(this.#lines.indexOf(line), 1);
    this.size--;
  }

  /** The oldest of the least important goes, if the newcomer is worth more. */
  #makeRoom(priority: number, now: number): boolean {
    const least = this.#lines.at(-1);
    if (least?.oldest === undefined) return false; // there is no room at all
    const isWorthMore = priority > least.priority || (priority === least.priority && this.isOverloaded(now));
    if (isWorthMore) this.#drop(least.oldest, now);
    return isWorthMore;
  }

  #drop(waiter: QueuedCall, now: number): void {
    this.#lastDrop = now;
    this.remove(waiter as W); // only such were pushed
    this.#onStale(waiter as W);
  }

  #lineOf(priority: number): Line {
    let index = 0;
    for (; index < this.#lines.length; index++) {
      const line = this.#lines[index] as Line; // the index is within the list
      if (line.priority === priority) return line;
      if (line.priority < priority) break;
    }
    const line: Line = { priority, oldest: undefined, newest: undefined };
    this.#lines.splice(index, 0, line);
    return line;
  }
}
