// Random numbers that come again with the same seed.

/** From 0 up to 1. */
export type Random = () => number;

/** Mulberry32: small, fast, and good enough for arrivals and service times. */
export function randomFrom(seed: number): Random {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Times between events that do not know of one another. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random()) * mean;
}

/** Around a mean, as the sum of four exponential times: a quarter of their variance. */
export function erlang(random: Random, mean: number): number {
  let sum = 0;
  for (let part = 0; part < 4; part++) sum += exponential(random, mean / 4);
  return sum;
}
