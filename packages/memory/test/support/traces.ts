// Sequences of keys as caches see them, made from a seed.

/** Keys in the order in which they are asked for, and capacities worth looking at. */
export interface Trace {
  readonly name: string;
  readonly keys: Float64Array;
  readonly capacities: readonly number[];
}

/** Numbers from 0 to below 1, the same for each seed: Marsaglia's xorshift. */
export function seeded(seed: number): () => number {
  let state = (Math.imul(seed + 1, 0x9e3779b1) | 1) >>> 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Ranks from 0 to below `count`, of which rank r comes about as often as 1 / (r + 1) ** skew. */
export function zipf(count: number, skew: number, random: () => number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) {
    sum += (rank + 1) ** -skew;
    sums[rank] = sum;
  }
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sums[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

function trace(name: string, length: number, capacities: readonly number[], next: (index: number) => number): Trace {
  return { name, keys: Float64Array.from({ length }, (_, index) => next(index)), capacities };
}

/** Those that may be looked at while the constants of a policy are chosen. */
export function knownTraces(seed = 1, length = 120_000): Trace[] {
  const random = seeded(seed);
  const wide = zipf(30_000, 0.9, random);
  const narrow = zipf(10_000, 1.1, random);
  const flat = zipf(20_000, 0.7, random);
  return [
    trace("zipf 0.9", length, [300, 1_500, 6_000], () => wide()),
    trace("zipf 1.1", length, [100, 500, 2_000], () => narrow()),
    trace("zipf 0.9 with scans", length, [500, 3_000, 9_000], (index) =>
      index % 20_000 < 5_000 ? 1e6 + index : wide(),
    ),
    trace("drift: the ranks move on", length, [300, 1_500, 5_000], (index) => flat() + Math.floor(index / 8)),
    trace(
      "shift: all is new every 20,000",
      length,
      [300, 1_500, 5_000],
      (index) => wide() + 1e6 * Math.floor(index / 20_000),
    ),
    trace("loop, a little too large", length, [900, 2_500], (index) => index % 3_000),
    trace("loop and zipf", length, [500, 2_000, 4_000], (index) =>
      index % 3 === 0 ? 1e6 + ((index / 3) % 4_000) : wide(),
    ),
    trace("stream: each key thrice in a row", length, [100, 1_000], (index) => Math.floor(index / 3)),
    trace("stream: each key again soon, then never", length, [300, 2_000], (index) =>
      index % 2 === 0 ? index : Math.max(0, index - 1 - 2 * Math.floor(random() * 100)),
    ),
  ];
}

/** Those that were not looked at when the constants were chosen: other kinds, and other seeds. */
export function heldOutTraces(seed = 77, length = 120_000): Trace[] {
  const random = seeded(seed);
  const pages = zipf(50_000, 0.8, random);
  const steep = zipf(5_000, 1.3, random);
  const files = zipf(400, 0.6, random);
  return [
    trace("zipf 0.8, one in ten never again", length, [500, 2_500, 10_000], (index) =>
      random() < 0.1 ? 1e6 + index : pages(),
    ),
    trace("sessions", length, [200, 1_000, 4_000], sessions(random, pages)),
    trace("recency: the depth in the stack is what is drawn", length, [100, 500, 2_000], byDepth(random, 4_000)),
    trace("day and night", length, [500, 2_000, 8_000], (index) =>
      Math.floor(index / 15_000) % 2 === 0 ? pages() : 1e6 + pages(),
    ),
    trace("files read from start to end", length, [500, 3_000, 10_000], filesRead(files)),
    trace("zigzag", length, [1_000, 3_000], (index) =>
      index % 8_000 < 4_000 ? index % 4_000 : 3_999 - (index % 4_000),
    ),
    trace("few hot keys, bursts of new ones", length, [100, 500, 2_000], (index) =>
      index % 1_000 < 300 ? 1e6 + Math.floor(index / 2) : steep(),
    ),
    trace("queue: written, read once somewhat later, never again", length, [500, 2_000, 5_000], (index) =>
      index % 2 === 0 ? index : Math.max(0, index - 1 - 2 * Math.floor(1_000 * random() ** 2)),
    ),
  ];
}

/** 200 users at a time, each with keys of their own that they come back to, between pages for all. */
function sessions(random: () => number, pages: () => number): () => number {
  const users = Array.from({ length: 200 }, (_, user) => ({ id: user, left: Math.floor(random() * 60) }));
  let next = 200;
  return () => {
    const user = users[Math.floor(random() * users.length)] as { id: number; left: number };
    if (user.left-- <= 0) {
      user.id = next++;
      user.left = Math.floor(random() * 60);
    }
    return random() < 0.5 ? pages() : 1e6 + user.id * 8 + Math.floor(random() * 8);
  };
}

/** Takes a key from a random depth of those used last, near the top more often. */
function byDepth(random: () => number, depth: number): () => number {
  const stack: number[] = [];
  let next = 0;
  return () => {
    const at = Math.floor(depth * random() ** 3 * 1.3);
    const key = at < stack.length ? (stack.splice(stack.length - 1 - at, 1)[0] as number) : next++;
    stack.push(key);
    if (stack.length > depth) stack.shift();
    return key;
  };
}

/** One of 400 files of 10 to 200 blocks each time, all of its blocks. */
function filesRead(files: () => number): () => number {
  let file = 0;
  let block = 0;
  let blocks = 0;
  return () => {
    if (block === blocks) {
      file = files();
      block = 0;
      blocks = 10 + ((file * 37) % 191);
    }
    return file * 1_000 + block++;
  };
}
