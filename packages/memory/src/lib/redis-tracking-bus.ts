// A bus that Redis runs itself: it tells of each change to a key, whoever or whatever made it.
import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "@proj/concurrency";
import { checkDuration, describe } from "@proj/concurrency/options";
import { BusLink } from "./redis-bus-link.ts";
import { decodeMessage, encodeMessage, isEmpty } from "./redis-bus-message.ts";
import type { Bus, BusListener, Invalidation, MaybePromise } from "./tier.ts";

/** A client of the `redis` package, version 6 or later, made with `{ RESP: 3, emitInvalidate: true }`; no pool. */
export interface TrackingClient {
  /** Sends one command as it is. */
  sendCommand(args: string[]): Promise<unknown>;
  /** For invalidations and the state of the link. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Takes a listener away. */
  off(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Whether commands are answered now. */
  readonly isReady: boolean;
  /** As it was made: tracking needs RESP 3. */
  readonly options?: object | undefined;
}

/** What can be set on a {@link trackingBus}. */
export interface TrackingBusOptions {
  /** The one that the `redisTier` writes with: Redis does not tell a connection of its own changes. */
  readonly client: TrackingClient;
  /** The same as that of the `redisTier`. Default: `"cache:"`. */
  readonly prefix?: string | undefined;
  /** Whether keys are published, too: for values that are not in a `redisTier` with this prefix. Default: `false`. */
  readonly publishKeys?: boolean | undefined;
  /**
   * Milliseconds between signs of life. When one is missing for as long, the link counts as lost. Default: 500;
   * `Infinity` for none.
   */
  readonly heartbeat?: number | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

/**
 * A {@link Bus} over client tracking of Redis (`CLIENT TRACKING ON BCAST`, RESP3): every process hears of each key that
 * is set, deleted, evicted or expires, and of `FLUSHALL`, whoever did it. What is published besides, prefixes and tags,
 * takes the same way, and so arrives in order with the changes.
 *
 * **One line**: changes come over the connection over which values are read, so none can be overtaken by an answer. When
 * it breaks, or gives no sign of life, listeners are told that it is `lost`, and of the return once tracking is on again.
 * For ioredis, and for servers before Redis 6, there is `pubsubBus`.
 *
 * @throws TypeError for a client that does not tell of invalidations
 * @example
 * <!-- check: types-only, needs a Redis -->
 * ```ts
 * import { trackingBus } from "@proj/memory/redis";
 * import { createClient } from "redis";
 *
 * const client = createClient({ RESP: 3, emitInvalidate: true });
 * client.on("error", console.error);
 * await client.connect();
 * const bus = trackingBus({ client, prefix: "users:" });
 * using subscription = bus.subscribe({
 *   invalidated: ({ keys = [] }) => console.log(`changed: ${keys}`),
 *   lost: () => console.log("whatever happens now is not told"),
 *   restored: () => console.log("what was read before is in doubt"),
 * });
 * ```
 */
export function trackingBus(options: TrackingBusOptions): Bus {
  const action = "create a tracking bus";
  const { client, prefix = "cache:", publishKeys = false, heartbeat = 500, clock = systemClock } = options;
  if (typeof client?.sendCommand !== "function" || (client.options as Options)?.emitInvalidate !== true) {
    throw new TypeError(`Cannot ${action}: client must be one of redis, made with { RESP: 3, emitInvalidate: true }`);
  }
  if (typeof prefix !== "string") {
    throw new TypeError(`Cannot ${action}: prefix must be a string, got ${describe(prefix)}`);
  }
  checkDuration(action, "heartbeat", heartbeat);
  return new TrackingBus(client, prefix, publishKeys, heartbeat, clock);
}

type Options = { readonly emitInvalidate?: unknown } | undefined;

class TrackingBus implements Bus {
  /** Redis tells of all writes, those of loads included. */
  readonly echoes = true;
  readonly #client: TrackingClient;
  readonly #prefix: string;
  /** In front of the keys that are messages: they are set and deleted in one step, and their name says it all. */
  readonly #messages: string;
  readonly #publishKeys: boolean;
  readonly #id = randomUUID();
  readonly #link: BusLink;
  #published = 0;

  constructor(client: TrackingClient, prefix: string, publishKeys: boolean, heartbeat: number, clock: Clock) {
    this.#client = client;
    this.#prefix = prefix;
    this.#messages = `${prefix}\0bus:`;
    this.#publishKeys = publishKeys;
    this.#link = new BusLink({
      clock,
      heartbeat,
      start: () => this.#start(),
      ping: () => client.sendCommand(["PING"]),
    });
  }

  publish(what: Invalidation): MaybePromise<void> {
    const message = this.#publishKeys ? what : { ...what, keys: undefined };
    if (!isEmpty(message)) return this.#publish(message);
  }

  subscribe(listener: BusListener): Disposable {
    return this.#link.subscribe(listener);
  }

  async #publish(what: Invalidation): Promise<void> {
    if (!this.#client.isReady) throw new Error("Cannot publish: the client is not connected to Redis");
    const name = `${this.#messages}${++this.#published}:${encodeMessage(this.#id, what)}`;
    // One step, so that the others are told once.
    await this.#client.sendCommand(["EVAL", setAndUnlink, "1", name]);
  }

  #start(): () => void {
    const client = this.#client;
    const onInvalidate = (key: unknown): void => this.#hear(key);
    const onDown = (): void => this.#link.down();
    const onReady = (): void => void this.#track();
    const onError = (): void => {
      onDown();
      if (client.isReady) onReady(); // it goes on with the same line, of which something is missing
    };
    const listeners = { invalidate: onInvalidate, error: onError, reconnecting: onDown, end: onDown, ready: onReady };
    for (const [event, listener] of Object.entries(listeners)) client.on(event, listener);
    if (client.isReady) onReady();
    return () => {
      for (const [event, listener] of Object.entries(listeners)) client.off(event, listener);
      if (client.isReady) void client.sendCommand(["CLIENT", "TRACKING", "OFF"]).catch(() => {});
    };
  }

  async #track(): Promise<void> {
    const prefixes = this.#prefix === "" ? [] : ["PREFIX", this.#prefix];
    try {
      // The client has switched on another kind of tracking, which must be off before this one can be on.
      await Promise.all([
        this.#client.sendCommand(["CLIENT", "TRACKING", "OFF"]),
        this.#client.sendCommand(["CLIENT", "TRACKING", "ON", "BCAST", ...prefixes, "NOLOOP"]),
      ]);
      this.#link.up();
    } catch {
      this.#link.down(); // the line broke again, which makes a new one; a server that refuses stays lost
    }
  }

  #hear(changed: unknown): void {
    if (changed === null) {
      this.#link.tell({ prefix: "" }); // everything was deleted
      return;
    }
    const name = String(changed); // it may be a buffer
    if (!name.startsWith(this.#messages)) {
      if (name.startsWith(this.#prefix)) this.#link.tell({ keys: [name.slice(this.#prefix.length)] });
      return;
    }
    const start = name.indexOf(":", this.#messages.length) + 1;
    const message = decodeMessage(name.slice(start), this.#id);
    if (message !== undefined) this.#link.tell(message);
  }
}

const setAndUnlink = `redis.call("SET", KEYS[1], "") return redis.call("UNLINK", KEYS[1])`;
