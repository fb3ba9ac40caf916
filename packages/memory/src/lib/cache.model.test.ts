// Each policy against naive models: plain loops of random operations, and short ones that fast-check makes smaller.
import type { Clock, Timer } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { LRUCache } from "lru-cache";
import { expect, test } from "vitest";
import { seeded, zipf } from "../../test/support/traces.ts";
import { Cache } from "./cache.ts";
import type { EvictionCause } from "./cache-options.ts";
import { makePolicy } from "./cache-policies.ts";
import type { EvictionPolicy, PolicyName } from "./cache-policy.ts";

const names = ["tlfu", "lru", "clock", "fifo", "lfu"] as const;

/** Lets a random slot leave. */
class RandomPolicy implements EvictionPolicy {
  readonly #slots: number[] = [];
  readonly #random = seeded(3);
  onInsert(slot: number): void {
    this.#slots.push(slot);
  }
  onHit(slot: number): void {
    if (!this.#slots.includes(slot)) throw new Error(`slot ${slot} was hit, but is not in use`);
  }
  onRemove(slot: number): void {
    if (this.#slots.splice(this.#slots.indexOf(slot), 1)[0] !== slot) throw new Error(`slot ${slot} is not in use`);
  }
  victim(): number {
    return this.#slots[Math.floor(this.#random() * this.#slots.length)] as number;
  }
  grow(): void {}
}

interface Known {
  readonly value: number;
  readonly weight: number;
  readonly expiresAt: number;
}

/** Goes on at once, with the timers that are due; no microtasks. */
class StepClock implements Clock {
  readonly #timers = new Set<{ readonly due: number; readonly call: () => void }>();
  #now = 0;

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now;
  }

  setTimeout<A>(callback: (arg: A) => void, ms: number, arg?: A): Timer {
    const timer = { due: this.#now + ms, call: () => callback(arg as A) };
    this.#timers.add(timer);
    return { clear: () => void this.#timers.delete(timer), ref() {} };
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers]) {
      if (timer.due <= this.#now && this.#timers.delete(timer)) timer.call();
    }
  }
}

/** What must be so whatever the policy: it learns from the causes what has left. */
class Model {
  readonly entries = new Map<number, Known>();
  readonly counts: Record<EvictionCause, number> = {
    size: 0,
    ttl: 0,
    pressure: 0,
    invalidate: 0,
    replace: 0,
    delete: 0,
  };
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Each removal is of an entry that was there, with its value. */
  gone(key: number, value: number, cause: EvictionCause, replacing: Known | undefined): string | undefined {
    this.counts[cause]++;
    const known = cause === "replace" ? (replacing ?? this.entries.get(key)) : this.entries.get(key);
    if (known?.value !== value) return `${cause} of ${key} with ${value}, which had ${known?.value}`;
    if (cause === "ttl" && known.expiresAt > this.#now()) return `${key} did not expire yet`;
    if (cause !== "replace") this.entries.delete(key);
    return undefined;
  }

  at(key: number): number | undefined {
    const known = this.entries.get(key);
    return known !== undefined && known.expiresAt > this.#now() ? known.value : undefined;
  }
}

interface Bounds {
  readonly max: number | undefined;
  readonly maxBytes: number | undefined;
  readonly timed: boolean;
}

/** Runs random operations; throws at the first thing that is not as it must be. */
function run(policy: PolicyName | EvictionPolicy, { max, maxBytes, timed }: Bounds, steps: number, seed: number): void {
  const random = seeded(seed);
  const below = (end: number): number => Math.floor(random() * end);
  const clock = new StepClock();
  const model = new Model(() => clock.now());
  let replacing: Known | undefined;
  let failure: string | undefined;
  const cache = new Cache<number, number>({
    max,
    maxBytes,
    policy,
    clock,
    onEvict: (key, value, cause) => {
      failure ??= model.gone(key, value, cause, replacing);
    },
  });
  const bounds = { max: max ?? Number.POSITIVE_INFINITY, maxBytes: maxBytes ?? Number.POSITIVE_INFINITY };
  let bytes = 0;

  for (let step = 0; step < steps; step++) {
    const key = below(40) ** 2 % 60; // some come more often
    const action = below(100);
    if (action < 45) {
      const weight = maxBytes === undefined ? 0 : below(random() < 0.02 ? 2 * maxBytes : maxBytes / 8);
      const ttl = timed && random() < 0.5 ? below(random() < 0.1 ? 100_000 : 300) : Number.POSITIVE_INFINITY;
      replacing = model.entries.get(key);
      const had = cache.size;
      const evicted = model.counts.size;
      // Before, as what is told of during set() sees the old value for a replacement and the new one after that.
      const isRefused = weight > bounds.maxBytes;
      cache.set(key, step, { weight, ttl });
      if (isRefused) model.entries.delete(key);
      else model.entries.set(key, { value: step, weight, expiresAt: clock.now() + ttl });
      if (!isRefused && ttl > 0 && cache.peek(key) !== step) failure ??= `${key} is not there when it was just set`;
      if (!isRefused && maxBytes === undefined && had < bounds.max && model.counts.size > evicted) {
        failure ??= "evicted although there was room";
      }
      bytes = cache.stats().bytes;
      if (
        model.counts.size > evicted &&
        maxBytes !== undefined &&
        weight <= 0.9 * maxBytes &&
        cache.size < bounds.max
      ) {
        if (bytes > 0.9 * maxBytes) failure ??= `${bytes} bytes are left after making room`;
      }
    } else if (action < 85) {
      const found = cache.get(key);
      if (found !== model.at(key)) failure ??= `get(${key}) is ${found}, not ${model.at(key)}`;
    } else if (action < 90) {
      const had = model.at(key) !== undefined;
      if (cache.has(key) !== had || cache.delete(key) !== had) failure ??= `delete(${key})`;
    } else if (action < 96) clock.advance(timed ? below(random() < 0.02 ? 200_000 : 40) : 0);
    else if (action < 98) cache.shrink(random() * 0.3);
    else if (action === 98 && random() < 0.3) {
      const expected = max === undefined ? undefined : 1 + below(2 * max);
      cache.resize({ max: expected });
      bounds.max = expected ?? bounds.max;
    } else if (action === 99 && random() < 0.02) cache.clear();
    if (cache.size !== model.entries.size) failure ??= `${cache.size} entries, not ${model.entries.size}`;
    if (cache.size > bounds.max || bytes > bounds.maxBytes) failure ??= "above its bounds";
    if (step % 1_000 === 0) failure ??= compare(cache, model);
    if (failure !== undefined) throw new Error(`step ${step} of seed ${seed}: ${failure}`);
  }
  failure = compare(cache, model);
  cache[Symbol.dispose]();
  if (failure !== undefined || model.entries.size > 0) throw new Error(`at the end of seed ${seed}: ${failure}`);
  expect(cache.stats().evicted).toEqual(model.counts);
}

function compare(cache: Cache<number, number>, model: Model): string | undefined {
  const { bytes } = cache.stats();
  const sum = [...model.entries.values()].reduce((sum, { weight }) => sum + weight, 0);
  if (bytes !== sum) return `${bytes} bytes, not ${sum}`;
  const alive = [...model.entries.keys()].filter((key) => model.at(key) !== undefined).toSorted((a, b) => a - b);
  const found = [...cache.keys()].toSorted((a, b) => a - b);
  return found.join() === alive.join() ? undefined : `has ${found.join()}, not ${alive.join()}`;
}

const bounds: readonly Bounds[] = [
  { max: 20, maxBytes: undefined, timed: false },
  { max: 1, maxBytes: undefined, timed: false },
  { max: 20, maxBytes: undefined, timed: true },
  { max: undefined, maxBytes: 1_000, timed: true },
  { max: 15, maxBytes: 2_000, timed: true },
];

for (const name of [...names, "your own"] as const) {
  test(`Cache is what it says in a million random steps, with ${name}`, () => {
    for (const [index, each] of bounds.entries()) {
      run(name === "your own" ? new RandomPolicy() : name, each, 200_000, index);
    }
  });

  test(`Cache is what it says in short runs that can be made smaller, with ${name}`, () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(300), fc.constantFrom(...bounds), (seed, steps, each) => {
        run(name === "your own" ? new RandomPolicy() : name, each, steps, seed);
      }),
      { numRuns: 200 },
    );
  });
}

test("Cache with lru equals lru-cache step for step", () => {
  for (const isWeighed of [false, true]) {
    const random = seeded(isWeighed ? 5 : 6);
    const options = { max: 30, lowWatermark: 1, policy: "lru" } as const;
    const told: unknown[] = [];
    const theirs: unknown[] = [];
    const cause = { evict: "size", set: "replace", delete: "delete", expire: "ttl", fetch: "" } as const;
    const ours = new Cache<number, number>({
      ...options,
      ...(isWeighed ? { maxBytes: 300, weigh: (value) => 1 + (value % 40) } : {}),
      onEvict: (...removal) => told.push(removal),
    });
    const lru = new LRUCache<number, number>({
      max: 30,
      ...(isWeighed ? { maxSize: 300, sizeCalculation: (value) => 1 + (value % 40) } : {}),
      disposeAfter: (value, key, reason) => theirs.push([key, value, cause[reason]]),
    });
    for (let step = 0; step < 1_000_000; step++) {
      const key = Math.floor(60 * random() ** 2);
      const action = random();
      if (action < 0.45) {
        ours.set(key, step);
        lru.set(key, step);
      } else if (action < 0.9) {
        if (ours.get(key) !== lru.get(key)) throw new Error(`get(${key}) at step ${step}`);
      } else if (action < 0.95) {
        if (ours.delete(key) !== lru.delete(key)) throw new Error(`delete(${key}) at step ${step}`);
      } else if (ours.peek(key) !== lru.peek(key) || ours.has(key) !== lru.has(key)) throw new Error(`step ${step}`);
      if (ours.size !== lru.size || ours.stats().bytes !== lru.calculatedSize) throw new Error(`size at step ${step}`);
      if (step % 500 === 0) {
        expect([...ours.keys()]).toEqual([...lru.rkeys()]);
        expect([told, told.splice(0).length]).toEqual([theirs, theirs.splice(0).length]);
      }
    }
  }
});

test("Cache with lru and a ttl equals lru-cache as to what is found", async () => {
  const clock = new TestClock({ now: 1_000 }); // lru-cache takes 0 for no time at all
  const random = seeded(8);
  const ours = new Cache<number, number>({ max: 1_000, policy: "lru", ttl: 50, jitter: 0, clock });
  const lru = new LRUCache<number, number>({ max: 1_000, ttl: 50, ttlResolution: 0, perf: clock });
  for (let step = 0; step < 2_000; step++) {
    const key = Math.floor(30 * random());
    if (random() < 0.5) {
      const ttl = 2 + Math.floor(100 * random());
      ours.set(key, step, { ttl });
      lru.set(key, step, { ttl: ttl - 1 }); // there, it may still be found when the time is over
    } else expect(ours.get(key)).toBe(lru.get(key));
    if (random() < 0.2) await clock.advance(Math.floor(20 * random()));
  }
});

/** Which of those in use leaves, in a few lines. */
const naive: Record<"fifo" | "clock" | "lfu", () => EvictionPolicy> = {
  fifo: () => {
    const queue: number[] = [];
    return {
      onInsert: (slot) => void queue.push(slot),
      onHit() {},
      onRemove: (slot) => void queue.splice(queue.indexOf(slot), 1),
      victim: () => queue[0] as number,
      grow() {},
    };
  },
  clock: () => {
    const read = new Map<number, boolean>();
    let hand = 0;
    let size = 0;
    return {
      onInsert: (slot) => void read.set(slot, false),
      onHit: (slot) => void read.set(slot, true),
      onRemove: (slot) => void read.delete(slot),
      victim() {
        for (;;) {
          const slot = hand;
          hand = (hand + 1) % size;
          if (read.get(slot) === false) return slot;
          if (read.has(slot)) read.set(slot, false);
        }
      },
      grow(capacity) {
        size = capacity;
      },
    };
  },
  lfu: () => {
    const uses = new Map<number, number>();
    return {
      onInsert: (slot) => void uses.set(slot, 0),
      onHit: (slot) => void uses.set(slot, (uses.get(slot) ?? 0) + 1),
      onRemove: (slot) => void uses.delete(slot),
      victim: () => [...uses].reduce((least, each) => (each[1] < least[1] ? each : least))[0],
      grow() {},
    };
  },
};

test.for(["fifo", "clock", "lfu"] as const)("%s lets the same leave as a naive one", (name) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(9), fc.nat(15)), { maxLength: 300 }), (steps) => {
      const ours = makePolicy(name);
      const model = naive[name]();
      for (const policy of [ours, model]) policy.grow(16);
      const inUse = new Set<number>();
      const uses = new Map<number, number>();
      for (const [action, slot] of steps) {
        if (inUse.size > 0 && action === 0) {
          const leaving = ours.victim();
          const expected = model.victim();
          // Of those used least, whichever was looked at first: the count is what must be right.
          if (name === "lfu") expect(uses.get(leaving)).toBe(uses.get(expected));
          else expect(leaving).toBe(expected);
          inUse.delete(leaving);
          for (const policy of [ours, model]) policy.onRemove(leaving);
        } else if (!inUse.has(slot)) {
          inUse.add(slot);
          uses.set(slot, 0);
          for (const policy of [ours, model]) policy.onInsert(slot, 1);
        } else if (action < 8) {
          uses.set(slot, (uses.get(slot) ?? 0) + 1);
          ours.marks[slot] = ours.step[ours.marks[slot] as number] as number;
          model.onHit(slot);
        } else {
          inUse.delete(slot);
          for (const policy of [ours, model]) policy.onRemove(slot);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test.for(["tlfu", "lfu"] as const)("%s forgets what was wanted long ago", (policy) => {
  const [then, now] = [new Cache<number, true>({ max: 100, policy }), new Cache<number, true>({ max: 100, policy })];
  for (let step = 0; step < 20_000; step++) then.get(-(step % 100)) ?? then.set(-(step % 100), true);
  const key = zipf(1_000, 1, seeded(4));
  const hits = [then, now].map(() => 0);
  for (let step = 0; step < 20_000; step++) {
    const wanted = key();
    for (const [index, cache] of [then, now].entries()) {
      if (cache.get(wanted) === undefined) cache.set(wanted, true);
      else if (step > 10_000) hits[index] = (hits[index] as number) + 1;
    }
  }
  expect(hits[0]).toBeGreaterThan(0.95 * (hits[1] as number));
});

test("tlfu goes on with what it has counted when it is resized", () => {
  const random = seeded(9);
  const key = zipf(20_000, 0.9, random);
  const [resized, steady] = [1, 2].map(() => new Cache<number, true>({ max: 1_000 })) as [
    Cache<number, true>,
    Cache<number, true>,
  ];
  for (let step = 0; step < 60_000; step++) {
    if (step === 30_000) resized.resize({ max: 2_000 });
    if (step === 32_000) resized.resize({ max: 1_000 });
    const wanted = key();
    for (const cache of [resized, steady]) if (cache.get(wanted) === undefined) cache.set(wanted, true);
  }
  expect(resized.stats().hitRatio).toBeGreaterThan(steady.stats().hitRatio - 0.01);
});
