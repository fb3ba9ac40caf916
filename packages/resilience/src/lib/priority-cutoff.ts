// Which priorities to turn away when only a share of the calls can be done.

interface Level {
  readonly priority: number;
  /** Calls of this interval. */
  fresh: number;
  /** Calls of the intervals before, the older ones for less. */
  recent: number;
  /** Which part of the places is open to it, when places are kept for what is more important. */
  part: number;
}

/** More priorities than this are not told apart: nobody means them. */
const mostLevels = 64;
const half = 0.5;
/** The part of the places that the least important leave to the others, at most. */
const kept = 0.25;

/**
 * Counts the calls of each priority, and knows for the share to be shed which ones these are: all below a cut-off level,
 * and at that level as many, at random, as are still too many.
 */
export class PriorityCutoff {
  /** Of the calls that come, how many are to be turned away: 0 to 1. */
  share = 0;
  readonly #levels = new Map<number, Level>();
  /** Lowest priority first. */
  #sorted: Level[] = [];
  #cut = Number.NEGATIVE_INFINITY;
  #cutProbability = 0;

  /** Whether calls differ in priority at all. */
  get isNeeded(): boolean {
    return this.#sorted.length > 1;
  }

  count(priority: number): void {
    const level = this.#levels.get(priority);
    if (level !== undefined) level.fresh++;
    else this.#add(priority);
  }

  /** Whether a call of this priority is one of those to be turned away. */
  sheds(priority: number, random: () => number): boolean {
    if (priority > this.#cut) return false;
    return priority < this.#cut || random() < this.#cutProbability;
  }

  /** Whether nothing is more important, as far as is known. */
  isTop(priority: number): boolean {
    const top = this.#sorted.at(-1);
    return top === undefined || priority >= top.priority;
  }

  /** Which part of the places is open to calls of this priority: all of them to the most important. */
  partOf(priority: number): number {
    return this.#levels.get(priority)?.part ?? 1;
  }

  /** Takes the calls of this interval and `share` into account. */
  update(): void {
    let total = 0;
    for (const level of this.#sorted) {
      level.recent = half * level.recent + level.fresh;
      level.fresh = 0;
      total += level.recent;
      if (level.recent < 0.01) this.#levels.delete(level.priority);
    }
    if (this.#levels.size < this.#sorted.length) this.#sorted = this.#sorted.filter(({ recent }) => recent >= 0.01);
    this.#cut = Number.NEGATIVE_INFINITY;
    this.#cutProbability = 0;
    const top = total - (this.#sorted.at(-1)?.recent ?? 0) / 2;
    let below = 0;
    for (const level of this.#sorted) {
      const end = below + level.recent;
      if (this.share * total >= below && this.share > 0) {
        this.#cut = level.priority;
        this.#cutProbability = Math.min(1, (this.share * total - below) / level.recent);
      }
      level.part = 1 - kept * (1 - (below + level.recent / 2) / top);
      below = end;
    }
  }

  #add(priority: number): void {
    if (this.#levels.size >= mostLevels) return;
    const level: Level = { priority, fresh: 1, recent: 0, part: 1 };
    this.#levels.set(priority, level);
    const index = this.#sorted.findIndex((other) => other.priority > priority);
    this.#sorted.splice(index < 0 ? this.#sorted.length : index, 0, level);
  }
}
