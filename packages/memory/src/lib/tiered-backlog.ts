// What a tier has missed while it was away: the newest write of each key.
import type { Sealed } from "./tier.ts";

interface Missed {
  /** `undefined` deletes. */
  readonly value: Sealed | undefined;
  /** Of the messages of other processes: with another one, some may have been lost since. */
  readonly epoch: number;
}

export class Backlog {
  readonly #most: number;
  readonly #entries = new Map<string, Missed>();
  readonly #clears = new Set<string>();

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#entries.size + this.#clears.size;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Whether the tier is wrong about this key. */
  covers(key: string): boolean {
    if (this.#entries.has(key)) return true;
    for (const prefix of this.#clears) if (key.startsWith(prefix)) return true;
    return false;
  }

  get(key: string): Sealed | undefined {
    return this.#entries.get(key)?.value;
  }

  add(key: string, value: Sealed | undefined, epoch: number): void {
    this.#entries.set(key, { value, epoch });
    if (this.#entries.size <= this.#most) return;
    // Too many to remember: an empty tier is right about all of them.
    this.#entries.clear();
    this.addClear("");
  }

  addClear(prefix: string): void {
    this.forget(prefix);
    const isTooMany = this.#clears.size >= this.#most;
    if (isTooMany) this.#clears.clear();
    this.#clears.add(isTooMany ? "" : prefix);
  }

  drop(key: string): void {
    this.#entries.delete(key);
  }

  forget(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }

  /** Others have written these keys: nothing of here may come after that, but what is there may be older still. */
  deleteInstead(matches: (key: string) => boolean): void {
    for (const [key, { value, epoch }] of this.#entries) {
      if (value !== undefined && matches(key)) this.#entries.set(key, { value: undefined, epoch });
    }
  }

  clears(): string[] {
    return [...this.#clears];
  }

  cleared(prefix: string): void {
    this.#clears.delete(prefix);
  }

  /** Takes some out. What was written before messages may have been lost is only good for a deletion. */
  take(most: number, epoch: number): Map<string, Sealed | undefined> {
    const taken = new Map<string, Sealed | undefined>();
    for (const [key, missed] of this.#entries) {
      if (taken.size === most) break;
      taken.set(key, missed.epoch === epoch ? missed.value : undefined);
      this.#entries.delete(key);
    }
    return taken;
  }

  /** They did not get through; what was written since is newer. */
  giveBack(taken: ReadonlyMap<string, Sealed | undefined>, epoch: number): void {
    for (const [key, value] of taken) if (!this.#entries.has(key)) this.#entries.set(key, { value, epoch });
  }
}
