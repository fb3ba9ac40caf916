// The little statistics that a comparison needs: it trusts medians and ranges, not averages.

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
}

/** Summarizes at least one number. */
export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
  };
}

/** The quantile of ascending numbers, linear between neighbours. */
export function quantile(sorted: readonly number[], fraction: number): number {
  const position = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) throw new RangeError("Cannot take a quantile of no numbers");
  return below + (above - below) * (position - Math.floor(position));
}

/**
 * Summarizes how many times of ours the peer costs. Each round gives one ratio of two measurements that were made one
 * shortly after the other: what slows the machine for a while slows both and leaves their ratio alone.
 */
export function summarizeRatios(peer: readonly number[], ours: readonly number[]): Summary {
  return summarize(peer.map((cost, round) => cost / (ours[round] ?? Number.NaN)));
}

/** The order of the cases in a round: each round starts one further, so that none is always first. */
export function orderOfRound<T>(cases: readonly T[], round: number): T[] {
  const start = round % cases.length;
  return [...cases.slice(start), ...cases.slice(0, start)];
}
