// A tier in memory that can be made to fail and to dawdle: for tests, and to see what a conformance suite expects.
import { type Clock, systemClock } from "@proj/concurrency";
import type { MaybePromise, Sealed, Tier } from "./tier.ts";

/** What is asked of a {@link MemoryTier}. */
export type TierOperation = "get" | "set" | "delete" | "clear";

/** What can be set on a {@link MemoryTier}. */
export interface MemoryTierOptions {
  /** Default: `"memory"`. */
  readonly name?: string | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

/**
 * A {@link Tier} that keeps everything in memory, without a bound. Make it sick with `fault`.
 *
 * @example
 * ```ts
 * import { tiered } from "@proj/memory";
 * import { MemoryTier } from "@proj/memory/testing";
 *
 * const tier = new MemoryTier();
 * tier.fault = () => Promise.reject(new Error("down"));
 * await using users = tiered<string>({ tiers: [tier], fresh: 60_000 });
 * console.log(await users.getOrLoad("ada", async () => "Ada")); // prints: Ada
 * console.log(tier.calls); // prints: 2
 * ```
 */
export class MemoryTier implements Tier {
  readonly name: string;
  /** How often it was asked for something. */
  calls = 0;
  /** Called before each operation is done, which waits for it, and fails as it does. */
  fault: ((operation: TierOperation, keys: readonly string[]) => MaybePromise<unknown>) | undefined;
  readonly #clock: Clock;
  readonly #values = new Map<string, Sealed>();

  constructor({ name = "memory", clock = systemClock }: MemoryTierOptions = {}) {
    this.name = name;
    this.#clock = clock;
  }

  /** The keys it has, those that have expired included. */
  get keys(): string[] {
    return [...this.#values.keys()];
  }

  /** What is kept under the key; `undefined` if nothing is, or nothing any more. */
  get(key: string): MaybePromise<Sealed | undefined> {
    return this.#do("get", [key], () => this.#find(key));
  }

  getMany(keys: readonly string[]): MaybePromise<readonly (Sealed | undefined)[]> {
    return this.#do("get", keys, () => keys.map((key) => this.#find(key)));
  }

  /** Keeps a value instead of what the key had. */
  set(key: string, value: Sealed): MaybePromise<void> {
    const copy = copyOf(value);
    return this.#do("set", [key], () => void this.#values.set(key, copy));
  }

  /** Forgets these keys. */
  delete(keys: readonly string[]): MaybePromise<void> {
    return this.#do("delete", keys, () => {
      for (const key of keys) this.#values.delete(key);
    });
  }

  clear(prefix: string): MaybePromise<number> {
    return this.#do("clear", [prefix], () => {
      const keys = this.keys.filter((key) => key.startsWith(prefix));
      for (const key of keys) this.#values.delete(key);
      return keys.length;
    });
  }

  #find(key: string): Sealed | undefined {
    const found = this.#values.get(key);
    return found !== undefined && found.expiresAt > this.#clock.wall() ? copyOf(found) : undefined;
  }

  #do<T>(operation: TierOperation, keys: readonly string[], action: () => T): MaybePromise<T> {
    this.calls++;
    const wait = this.fault?.(operation, keys);
    return isPromiseLike(wait) ? wait.then(action) : action();
  }
}

function copyOf({ bytes, expiresAt }: Sealed): Sealed {
  return { bytes: Uint8Array.from(bytes), expiresAt };
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === "function";
}
