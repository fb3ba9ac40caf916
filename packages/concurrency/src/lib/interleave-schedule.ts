// Which orders of steps to try: all, one after the other, or some by chance, and how to make a bad one short.

/**
 * Decides between `count` ways to go on, of which 0 is the plain one. `names` says who could go on; without them it is
 * about when to interrupt.
 */
export type Decide = (count: number, names?: readonly string[]) => number;

/** Walks through the tree of all decisions, depth first. */
export class Walk {
  readonly #path: { chosen: number; readonly count: number }[] = [];
  #depth = 0;

  readonly decide: Decide = (count) => {
    const place = this.#path[this.#depth] ?? { chosen: 0, count };
    this.#path[this.#depth++] = place;
    return Math.min(place.chosen, count - 1);
  };

  /** Makes the next run another one. Returns whether there is one left. */
  next(): boolean {
    this.#depth = 0;
    for (let last = this.#path.at(-1); last !== undefined; last = this.#path.at(-1)) {
      if (++last.chosen < last.count) return true;
      this.#path.pop();
    }
    return false;
  }
}

/** Takes the decisions of a list, and the plain one at each point beyond its end. */
export function follow(decisions: readonly number[]): Decide {
  let index = 0;
  return (count) => Math.min(decisions[index++] ?? 0, count - 1);
}

/** Every way is as likely as any other, but that most steps are not interrupted. */
export function byChance(random: () => number): Decide {
  return (count, names) => {
    if (names === undefined && random() < 3 / 4) return 0;
    return Math.floor(random() * count);
  };
}

/**
 * Whoever has the highest priority goes on, and now and then loses it: finds what needs one program to be far ahead of
 * another. After Burckhardt et al., A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs (2010).
 */
export function byPriority(random: () => number, steps: number): Decide {
  const priorities = new Map<string, number>();
  const uniformly = byChance(random);
  return (count, names) => {
    if (names === undefined) return uniformly(count);
    for (const name of names) if (!priorities.has(name)) priorities.set(name, random());
    const priorityOf = (name: string): number => priorities.get(name) ?? 0;
    const highest = (): string => names.reduce((best, name) => (priorityOf(name) > priorityOf(best) ? name : best));
    if (random() < 2 / Math.max(2, steps)) priorities.set(highest(), -random());
    return names.indexOf(highest());
  };
}

/** Makes a list of decisions that fails shorter and plainer, as long as it still fails, in a bounded number of tries. */
export async function shrink(
  decisions: readonly number[],
  fails: (decisions: readonly number[]) => Promise<boolean>,
): Promise<readonly number[]> {
  let best = plain(decisions);
  let tries = 300;
  const improve = async (candidate: readonly number[]): Promise<boolean> => {
    if (tries-- <= 0 || !(await fails(candidate))) return false;
    best = plain(candidate);
    return true;
  };
  for (let cut = best.length >> 1; cut > 0; cut >>= 1) {
    while (best.length >= cut && (await improve(best.slice(0, best.length - cut))));
  }
  for (let isBetter = true; isBetter && tries > 0; ) {
    isBetter = false;
    for (let index = best.length - 1; index >= 0; index--) {
      const value = best[index] ?? 0;
      const candidates = value > 0 ? [best.toSpliced(index, 1, 0), best.toSpliced(index, 1, value - 1)] : [];
      for (const candidate of [best.toSpliced(index, 1), ...candidates]) {
        if (!isShorter(candidate, best) || !(await improve(candidate))) continue;
        isBetter = true;
        break;
      }
    }
  }
  return best;
}

/** Numbers from 0 to 1 that depend on nothing but the seed. */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Without plain decisions at the end, which need not be said. */
function plain(decisions: readonly number[]): readonly number[] {
  return decisions.slice(0, decisions.findLastIndex((decision) => decision > 0) + 1);
}

function isShorter(a: readonly number[], b: readonly number[]): boolean {
  const sum = (list: readonly number[]): number => list.reduce((total, value) => total + value, 0);
  return plain(a).length + sum(a) < b.length + sum(b);
}
