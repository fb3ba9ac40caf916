// What `policy: "lru"` is built on: lru-cache keeps the slots of keys in the order of their use.
import { LRUCache } from "lru-cache";
import { grown } from "./cache-lists.ts";
import { type MarkedPolicy, stepTable } from "./cache-policy.ts";

/**
 * Finds slots by key, as a `Map` does, and knows which was used least recently. Bounded by the cache around it, not by
 * itself, so it takes no memory for entries that are not there.
 */
export class LruIndex<K> implements MarkedPolicy {
  readonly step = stepTable((mark) => mark);
  marks = new Uint8Array(0);
  readonly #cache = new LRUCache<K & {}, number>({ maxSize: Number.MAX_SAFE_INTEGER });
  readonly #undefined = {}; // lru-cache takes an undefined key for an empty place

  get size(): number {
    return this.#cache.size;
  }

  /** Finds a slot and makes it the most recently used one. */
  use(key: K): number | undefined {
    // The same options each time: without any, lru-cache allocates some for each call.
    const slot = this.#cache.get(this.#known(key), getOptions);
    forget(getOptions);
    return slot;
  }

  /** Finds a slot. */
  get(key: K): number | undefined {
    const slot = this.#cache.peek(this.#known(key), peekOptions);
    forget(peekOptions);
    return slot;
  }

  set(key: K, slot: number): void {
    this.#cache.set(this.#known(key), slot, setOptions);
    forget(setOptions);
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
    this.#cache.clear();
    this.marks.fill(0);
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
  }

  #known(key: K): K & {} {
    return (key === undefined ? this.#undefined : key) as K & {}; // null is as good a key as any
  }
}

// Made once. lru-cache sets `status`, which its types want to be absent, when somebody listens to its channels.
const getOptions: object = { status: undefined };
const peekOptions: object = { status: undefined };
const setOptions: object = { size: 1, status: undefined };

function forget(options: { status?: unknown }): void {
  options.status = undefined;
}
