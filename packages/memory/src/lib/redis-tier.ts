// A tier that several machines share: a Redis.
import { abortable, type Clock, systemClock } from "@proj/concurrency";
import { checkDuration, describe } from "@proj/concurrency/options";
import { checkRedisClient, command, type RedisClient } from "./redis-client.ts";
import { grave, headerOf, unwrap, wrap } from "./redis-wire.ts";
import type { Sealed, Tier, TierOptions } from "./tier.ts";
import { isStorable, storablePrefix } from "./tier-key.ts";

/** What can be set on a {@link redisTier}. */
export interface RedisTierOptions {
  /** Of `redis` or `ioredis`, connected. It stays the caller's. */
  readonly client: RedisClient;
  /** In front of all keys. Default: `"cache:"`. */
  readonly prefix?: string | undefined;
  /**
   * Milliseconds for which Redis remembers that a key was deleted, so that a load that began before does not put the
   * old value back. What takes longer to load is not stored if a `fill` is given. Default: 30,000.
   */
  readonly fence?: number | undefined;
  /** Default: `"redis"`. */
  readonly name?: string | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** Keys that one command reads, deletes or looks at: more would hold up the server. */
const slice = 500;

/**
 * A {@link Tier} in Redis. Many keys are read by one `MGET`, values end by `PX`, and `clear` goes through the keys with
 * `SCAN` and `UNLINK`, a few at a time, never with `KEYS`.
 *
 * **Deleting** leaves some 20 bytes under the key for `fence` milliseconds: others are told even if nothing was there,
 * and a `set` with a `fill` that is based on an older state is left out. `clear` leaves nothing. **Offline**, calls
 * reject at once: a write that a client keeps until it is connected again could overwrite a newer one. For the same
 * reason make a client of ioredis with `maxRetriesPerRequest: 0`.
 *
 * @throws TypeError for what is no client, and for one of a cluster · RangeError for a `fence` that is none
 * @example
 * <!-- check: types-only, needs a Redis -->
 * ```ts
 * import { tiered } from "@proj/memory";
 * import { redisTier, trackingBus } from "@proj/memory/redis";
 * import { createClient } from "redis";
 *
 * const client = createClient({ RESP: 3, emitInvalidate: true });
 * client.on("error", console.error);
 * await client.connect();
 * const users = tiered<string>({
 *   tiers: [redisTier({ client, prefix: "users:" })],
 *   bus: trackingBus({ client, prefix: "users:" }),
 *   fresh: 60_000,
 * });
 * ```
 */
export function redisTier(options: RedisTierOptions): Tier {
  const action = "create a Redis tier";
  const { prefix = "cache:", fence = 30_000, name = "redis", clock = systemClock } = options;
  checkRedisClient(action, "client", options.client);
  if (typeof prefix !== "string") {
    throw new TypeError(`Cannot ${action}: prefix must be a string, got ${describe(prefix)}`);
  }
  return new RedisTier(options.client, prefix, checkDuration(action, "fence", fence), name, clock);
}

/** What a load has found under a key when it last looked. */
interface Seen {
  readonly header: string;
  readonly at: number;
}

class RedisTier implements Tier {
  readonly name: string;
  readonly fences: boolean;
  readonly #client: RedisClient;
  readonly #prefix: string;
  readonly #fence: number;
  readonly #clock: Clock;
  readonly #seen = new WeakMap<object, Map<string, Seen>>();

  constructor(client: RedisClient, prefix: string, fence: number, name: string, clock: Clock) {
    this.name = name;
    this.fences = fence > 0;
    this.#client = client;
    this.#prefix = prefix;
    this.#fence = fence;
    this.#clock = clock;
  }

  get(key: string, options?: TierOptions): Promise<Sealed | undefined> {
    return within(this.#get(key, options), options);
  }

  getMany(keys: readonly string[], options?: TierOptions): Promise<readonly (Sealed | undefined)[]> {
    return within(this.#getMany(keys, options), options);
  }

  set(key: string, value: Sealed, options?: TierOptions): Promise<void> {
    return within(this.#set(key, value, options?.fill), options);
  }

  delete(keys: readonly string[], options?: TierOptions): Promise<void> {
    return within(this.#delete(keys), options);
  }

  clear(prefix: string, options?: TierOptions): Promise<number> {
    return within(this.#clear(storablePrefix(prefix)), options);
  }

  async #get(key: string, options: TierOptions | undefined): Promise<Sealed | undefined> {
    if (!isStorable(key)) return undefined;
    const wire = await command(this.#client, ["GET", this.#prefix + key]);
    return this.#open(key, wire, options?.fill);
  }

  async #getMany(keys: readonly string[], options: TierOptions | undefined): Promise<(Sealed | undefined)[]> {
    const replies = await Promise.all(
      slices(keys).map((some) => command(this.#client, ["MGET", ...some.map((key) => this.#prefix + key)])),
    );
    const wires = (replies as unknown[][]).flat();
    return keys.map((key, index) => (isStorable(key) ? this.#open(key, wires[index], options?.fill) : undefined));
  }

  #open(key: string, wire: unknown, fill: object | undefined): Sealed | undefined {
    if (fill !== undefined) this.#note(fill, key, headerOf(wire));
    const value = unwrap(wire);
    return value !== undefined && value.expiresAt > this.#clock.wall() ? value : undefined;
  }

  async #set(key: string, value: Sealed, fill: object | undefined): Promise<void> {
    if (!isStorable(key)) return;
    const px = pxOf(value.expiresAt - this.#clock.wall());
    if (px === undefined) return fill === undefined ? this.#delete([key]) : undefined;
    const set = ["SET", this.#prefix + key, wrap(value), ...px];
    if (fill === undefined || !this.fences) await command(this.#client, set);
    else await this.#fill(key, set, fill);
  }

  /*
   * Stores what was loaded if the key is as it was before. A script could look and write in one step, but Redis tells a
   * client of the changes that its own scripts make; so where there was something, what is overwritten is looked at
   * afterwards, and if it is newer than the load, both go.
   */
  async #fill(key: string, set: (string | Buffer)[], fill: object): Promise<void> {
    const seen = this.#seen.get(fill)?.get(key);
    if (seen === undefined || this.#clock.now() - seen.at >= this.#fence) return;
    const before = seen.header;
    if (before === "") {
      await command(this.#client, [...set, "NX"]);
      return;
    }
    const there = await command(this.#client, ["GETRANGE", this.#prefix + key, "0", "16"]);
    if (headerOf(there) !== before) return;
    const overwritten = await command(this.#client, [...set, "GET"]);
    if (headerOf(overwritten) !== before) await this.#delete([key]);
  }

  async #delete(keys: readonly string[]): Promise<void> {
    const known = keys.filter(isStorable).map((key) => this.#prefix + key);
    if (this.#fence === 0) {
      await Promise.all(slices(known).map((some) => command(this.#client, ["UNLINK", ...some])));
      return;
    }
    const fence = String(Math.ceil(this.#fence));
    // No script, of whose changes this client would be told.
    for (const some of slices(known)) {
      await Promise.all(some.map((key) => command(this.#client, ["SET", key, grave(), "PX", fence])));
    }
  }

  async #clear(prefix: string): Promise<number> {
    const match = `${escapeGlob(this.#prefix + prefix)}*`;
    let cleared = 0;
    let cursor = "0";
    do {
      const scan = ["SCAN", cursor, "MATCH", match, "COUNT", String(slice)];
      const [next, keys] = (await command(this.#client, scan)) as [Buffer | string, Buffer[]];
      cursor = String(next);
      if (keys.length > 0) cleared += Number(await command(this.#client, ["UNLINK", ...keys]));
    } while (cursor !== "0");
    return cleared;
  }

  #note(fill: object, key: string, header: string): void {
    let seen = this.#seen.get(fill);
    if (seen === undefined) {
      seen = new Map();
      this.#seen.set(fill, seen);
    }
    seen.set(key, { header, at: this.#clock.now() });
  }
}

function within<T>(result: Promise<T>, options: TierOptions | undefined): Promise<T> {
  const signal = options?.signal;
  return signal === undefined ? result : abortable(result, { signal });
}

/** How long Redis is to keep a value: no longer than forever, and not at all if its time is over. */
function pxOf(left: number): readonly string[] | undefined {
  if (left === Number.POSITIVE_INFINITY) return [];
  return left > 0 ? ["PX", String(Math.min(Math.ceil(left), 2 ** 52))] : undefined;
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, "\\$&");
}

function slices<T>(all: readonly T[]): readonly (readonly T[])[] {
  if (all.length <= slice) return all.length === 0 ? [] : [all];
  const some: (readonly T[])[] = [];
  for (let at = 0; at < all.length; at += slice) some.push(all.slice(at, at + slice));
  return some;
}
