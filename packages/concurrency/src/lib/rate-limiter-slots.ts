// Which key has which slot of a meter, within a bound and without a timer per key.
import type { Meter } from "./rate-limiter-meter.ts";

/** Milliseconds that an idle key keeps its slot as long as there is room: it may be back soon. */
const grace = 60_000;

/**
 * Gives each key a slot and takes it back when there is need: never by time alone, so an idle key costs nothing but its
 * memory. When all slots are in use, those of keys that have been idle for a while are freed together; more slots are
 * made only when that were few. At `maxKeys` those of all idle keys are freed, and where that is not enough, the keys that
 * will be idle soonest are forgotten, about a sixteenth of them together, so that the next many keys share the cost of
 * the search. A key over its limit is thus forgotten only when no other is left to forget.
 */
export class KeySlots<K> {
  readonly #meter: Meter;
  readonly #maxKeys: number;
  readonly #slots = new Map<K, number>();
  readonly #free: number[] = [];
  #capacity = 0;

  constructor(meter: Meter, maxKeys: number) {
    this.#meter = meter;
    this.#maxKeys = maxKeys;
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#slots.size;
  }

  find(key: K): number | undefined {
    return this.#slots.get(key);
  }

  /** Gives a slot to a key that has none. */
  open(key: K, now: number): number {
    if (this.#free.length === 0) this.#makeRoom(now);
    const slot = this.#free.pop() as number; // there is room now
    this.#slots.set(key, slot);
    this.#meter.open(slot, now);
    return slot;
  }

  forget(key: K): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#free.push(slot);
  }

  #makeRoom(now: number): void {
    if (this.#capacity < this.#maxKeys) {
      this.#forgetUntil(now - grace, Number.POSITIVE_INFINITY);
      if (this.#free.length * 4 <= this.#capacity) this.#grow();
      return;
    }
    const quota = Math.ceil(this.#capacity / 16);
    this.#forgetUntil(now, Number.POSITIVE_INFINITY);
    if (this.#free.length < quota) this.#forgetUntil(this.#threshold(quota), quota);
  }

  #grow(): void {
    const before = this.#capacity;
    this.#capacity = Math.min(this.#maxKeys, Math.max(16, before * 2));
    this.#meter.resize(this.#capacity);
    for (let slot = this.#capacity - 1; slot >= before; slot--) this.#free.push(slot);
  }

  /** Forgets all keys that are idle before `time`, and of those idle exactly then so many that `quota` are free. */
  #forgetUntil(time: number, quota: number): void {
    this.#slots.forEach((slot, key) => {
      const idleAt = this.#meter.idleAt(slot);
      if (idleAt > time || (idleAt === time && this.#free.length >= quota)) return;
      this.#slots.delete(key);
      this.#free.push(slot);
    });
  }

  /** The time by which about `quota` keys will be idle, estimated from a sample where there are many. */
  #threshold(quota: number): number {
    const step = Math.max(1, Math.floor(this.#capacity / 1_024));
    const sample: number[] = [];
    for (let slot = 0; slot < this.#capacity; slot += step) sample.push(this.#meter.idleAt(slot));
    sample.sort((a, b) => a - b);
    return sample[Math.ceil(quota / step) - 1] as number; // a sixteenth of the sample at most
  }
}
