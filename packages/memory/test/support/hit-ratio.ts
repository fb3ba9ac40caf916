// How many of a trace's keys a cache has when it is asked for them.
import { Cache, type PolicyName } from "../../src/index.ts";

/** The share of hits of a policy. */
export function hitRatio(policy: PolicyName, capacity: number, keys: Float64Array): number {
  const cache = new Cache<number, true>({ max: capacity, policy });
  for (const key of keys) if (cache.get(key) === undefined) cache.set(key, true);
  return cache.stats().hitRatio;
}

/** That of a cache which knows what comes and lets go of what comes last: Belady's optimum (1966). */
export function optimum(capacity: number, keys: Float64Array): number {
  const next = new Float64Array(keys.length);
  const lastAt = new Map<number, number>();
  for (let at = keys.length - 1; at >= 0; at--) {
    const key = keys[at] as number;
    next[at] = lastAt.get(key) ?? Number.POSITIVE_INFINITY;
    lastAt.set(key, at);
  }
  const due = new Map<number, number>(); // when a key that is there comes next
  const heap = new LatestFirst();
  let hits = 0;
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as number;
    if (due.has(key)) hits++;
    else if (due.size === capacity) {
      let latest = heap.pop();
      while (due.get(latest.key) !== latest.at) latest = heap.pop(); // it came meanwhile
      due.delete(latest.key);
    }
    due.set(key, next[at] as number);
    heap.push({ key, at: next[at] as number });
  }
  return hits / keys.length;
}

interface Coming {
  readonly key: number;
  readonly at: number;
}

class LatestFirst {
  readonly #items: Coming[] = [];

  push(item: Coming): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((items[parent] as Coming).at >= item.at) break;
      items[at] = items[parent] as Coming;
      at = parent;
    }
    items[at] = item;
  }

  pop(): Coming {
    const items = this.#items;
    const top = items[0] as Coming;
    const last = items.pop() as Coming;
    if (items.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && (items[child + 1] as Coming).at > (items[child] as Coming).at) child++;
      if ((items[child] as Coming).at <= last.at) break;
      items[at] = items[child] as Coming;
      at = child;
    }
    items[at] = last;
    return top;
  }
}
