// What a cache in tiers needs of a tier below its memory, of what tells processes of each other's writes, and of a lock.

/** A value, or a promise of one where the store is not in this process. */
export type MaybePromise<T> = T | PromiseLike<T>;

/** A value as a tier keeps it: bytes that it does not look into, and when to forget them. */
export interface Sealed {
  /** The value with its metadata, as the codec and the cache have written it. */
  readonly bytes: Uint8Array;
  /** Milliseconds since the Unix epoch; `Infinity` for never. A tier must not return a value after that. */
  readonly expiresAt: number;
}

/**
 * A store below the memory of a process: a disk, a Redis. Its methods may answer at once or later, and may reject: the
 * cache goes on without it. A signal ends the wait; what is under way may still happen.
 */
export interface Tier {
  /** For statistics and messages. */
  readonly name: string;
  /** Whether it leaves out a `set` with a `fill` as told there. Default: `false`. */
  readonly fences?: boolean | undefined;
  /** What is kept under the key; `undefined` if nothing is, or nothing any more. */
  get(key: string, options?: TierOptions): MaybePromise<Sealed | undefined>;
  /** In one round trip, in the order of the keys. */
  getMany(keys: readonly string[], options?: TierOptions): MaybePromise<readonly (Sealed | undefined)[]>;
  /** Keeps a value instead of what the key had. */
  set(key: string, value: Sealed, options?: TierOptions): MaybePromise<void>;
  /** Forgets these keys; those that are not there do no harm. */
  delete(keys: readonly string[], options?: TierOptions): MaybePromise<void>;
  /** Deletes all keys that begin with `prefix`, in slices that block nobody, and tells how many they were. */
  clear(prefix: string, options?: TierOptions): MaybePromise<number>;
  /** Finishes what is under way and lets go of what the tier itself has opened. */
  close?(): Promise<void>;
}

/** How a tier is called. */
export interface TierOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Stands for one load: the same object for the `get` that found nothing good enough and for the `set` of what was
   * loaded instead. A tier that other processes write to leaves out such a `set` if somebody has written or deleted the
   * key in between, as what was loaded may be older than that. A `set` without it always replaces.
   */
  readonly fill?: object | undefined;
}

/** What one process tells the others of: these keys, or all keys with this prefix, are no longer what they were. */
export interface Invalidation {
  /** The keys themselves. Default: none. */
  readonly keys?: readonly string[] | undefined;
  /** All keys that begin with this. Default: none. */
  readonly prefix?: string | undefined;
  /** Tags and their new versions. */
  readonly tags?: Readonly<Record<string, number>> | undefined;
}

/** Who is told by a {@link Bus}. */
export interface BusListener {
  /** Another process, or the store itself, has changed something. */
  invalidated(what: Invalidation): void;
  /** The link is lost: whatever happens from now on is not told. */
  lost(): void;
  /** The link is back: everything that was read before is in doubt. */
  restored(): void;
}

/** Tells the processes that share a store of each other's writes. */
export interface Bus {
  /** Whether listeners are also told when another process has merely put a value there that it has loaded. Default: `false`. */
  readonly echoes?: boolean | undefined;
  /** Resolves when the others can know. */
  publish(what: Invalidation): MaybePromise<void>;
  /** Not told of its own publications. Dispose the result to stop. */
  subscribe(listener: BusListener): Disposable;
}

/** Lets one process of several load a value. */
export interface LoadLease {
  /**
   * Takes the lease of a key for `ttl` milliseconds, or returns `undefined` if another has it. Release it when the value
   * is stored; it ends by itself when its holder is killed.
   */
  tryAcquire(key: string, ttl: number): Promise<{ release(): Promise<void> } | undefined>;
}

/** Turns values into bytes and back. */
export interface Codec<Value> {
  /** Written in front of the bytes, so that they are not read with another codec. */
  readonly id: number;
  /** Throws for a value that it cannot write. */
  encode(value: Value): Uint8Array;
  /** Throws for bytes that it has not written: they count as nothing found. */
  decode(bytes: Uint8Array): Value;
}
