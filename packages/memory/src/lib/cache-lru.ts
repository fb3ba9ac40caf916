// What `policy: "lru"` is built on: lru-cache keeps the slots of keys in the order of their use.
import { LRUCache } from "lru-cache";
import { grown } from "./cache-lists.ts";
import { type MarkedPolicy, stepTable } from "./cache-policy.ts";

/**
 * Finds slots by key, as a `Map` does, and knows which was used least recently. The cache around it makes room. An
 * `LRUCache` takes all of its memory at once, so a larger one replaces it as entries come.
 */
export class LruIndex<K> implements MarkedPolicy {
  readonly step = stepTable((mark) => mark);
  readonly usesFingerprints = false;
  marks = new Uint8Array(0);
  #cache = new LRUCache<K & {}, number>({ max: 1 });
  readonly #undefined = {}; // lru-cache takes an undefined key for an empty place

  get size(): number {
    return this.#cache.size;
  }

  /** Finds a slot and makes it the most recently used one. */
  use(key: K): number | undefined {
    // The same options each time: without any, lru-cache allocates some for each call.
    const slot = this.#cache.get(this.#known(key), options);
    forget(options);
    return slot;
  }

  /** Finds a slot. */
  get(key: K): number | undefined {
    const slot = this.#cache.peek(this.#known(key), options);
    forget(options);
    return slot;
  }

  set(key: K, slot: number): void {
    this.#cache.set(this.#known(key), slot, options);
    forget(options);
  }

  delete(key: K): boolean {
    return this.#cache.delete(this.#known(key));
  }

  /** The keys, least recently used first. */
  *keys(): IterableIterator<K> {
    // Taken at once: what is deleted meanwhile would end the iteration of lru-cache.
    for (const key of [...this.#cache.rkeys()]) yield key === this.#undefined ? (undefined as K) : key;
  }

  clear(): void {
    this.#cache = new LRUCache({ max: 1 });
    this.marks = new Uint8Array(0);
  }

  /** Takes the least recently used one out. */
  victim(): number {
    return this.#cache.pop() as number; // asked for only when there is one
  }

  onInsert(slot: number): void {
    this.marks[slot] = 0;
  }

  onRemove(): void {}

  grow(capacity: number): void {
    this.marks = grown(this.marks, capacity);
    const larger = new LRUCache<K & {}, number>({ max: capacity });
    for (const key of this.#cache.rkeys()) larger.set(key, this.#cache.peek(key) as number);
    this.#cache = larger;
  }

  #known(key: K): K & {} {
    return (key === undefined ? this.#undefined : key) as K & {}; // null is as good a key as any
  }
}

// Made once. lru-cache sets `status`, which its types want to be absent, when somebody listens to its channels.
const options: object = { status: undefined };

function forget(options: { status?: unknown }): void {
  options.status = undefined;
}
