// A bus over the messages of Redis: for clients and servers without tracking.
import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "@proj/concurrency";
import { checkDuration, describe } from "@proj/concurrency/options";
import { BusLink } from "./redis-bus-link.ts";
import { decodeMessage, encodeMessage, isEmpty } from "./redis-bus-message.ts";
import { checkRedisClient, command, type RedisClient } from "./redis-client.ts";
import type { Bus, BusListener, Invalidation, MaybePromise } from "./tier.ts";

/** A client of the `redis` package that is used for nothing but subscriptions. */
export interface NodeRedisSubscriber {
  /** Listens to a channel. */
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  /** Listens no longer. */
  unsubscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  /** Shows whether the link is alive. */
  ping(): Promise<unknown>;
  /** For the state of the link, and messages where they come as events. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Takes a listener away. */
  off(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Whether commands are answered now. */
  readonly isReady: boolean;
}

/** A client of the `ioredis` package that is used for nothing but subscriptions. */
export interface IoRedisSubscriber {
  /** Listens to a channel. */
  subscribe(channel: string): Promise<unknown>;
  /** Listens no longer. */
  unsubscribe(channel: string): Promise<unknown>;
  /** Shows whether the link is alive. */
  ping(): Promise<unknown>;
  /** For the state of the link, and messages where they come as events. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Takes a listener away. */
  off(event: string, listener: (...args: unknown[]) => void): unknown;
  /** `"ready"` while commands are answered. */
  readonly status: string;
}

/** What can be set on a {@link pubsubBus}. */
export interface PubsubBusOptions {
  /** Publishes. Of `redis` or `ioredis`, connected. It stays the caller's. */
  readonly client: RedisClient;
  /** Listens: a connection of its own, as `client.duplicate()` makes one, connected. It stays the caller's. */
  readonly subscriber: NodeRedisSubscriber | IoRedisSubscriber;
  /** Default: `"cache"`. */
  readonly channel?: string | undefined;
  /**
   * Milliseconds between signs of life. When one is missing for as long, the link counts as lost. Default: 500;
   * `Infinity` for none.
   */
  readonly heartbeat?: number | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

/**
 * A {@link Bus} over `PUBLISH` and `SUBSCRIBE`: processes tell each other what they have changed. Unlike `trackingBus` it
 * hears nothing of values that expire, are evicted or are deleted by others. When the subscriber's link breaks, or gives
 * no sign of life, listeners are told that it is `lost`, and of the return once it listens again.
 *
 * @throws TypeError for what is no client
 * @example
 * <!-- check: types-only, needs a Redis -->
 * ```ts
 * import { pubsubBus } from "@proj/memory/redis";
 * import { Redis } from "ioredis";
 *
 * const client = new Redis({ maxRetriesPerRequest: 0 });
 * const subscriber = client.duplicate({ autoResubscribe: false }); // the bus does that
 * const bus = pubsubBus({ client, subscriber, channel: "users" });
 * ```
 */
export function pubsubBus(options: PubsubBusOptions): Bus {
  const action = "create a pub/sub bus";
  const { client, subscriber, channel = "cache", heartbeat = 500, clock = systemClock } = options;
  checkRedisClient(action, "client", client);
  if (typeof subscriber?.subscribe !== "function" || (subscriber as unknown) === client) {
    throw new TypeError(`Cannot ${action}: subscriber must be a client of its own, got ${describe(subscriber)}`);
  }
  if (typeof channel !== "string") {
    throw new TypeError(`Cannot ${action}: channel must be a string, got ${describe(channel)}`);
  }
  checkDuration(action, "heartbeat", heartbeat);
  return new PubsubBus(client, subscriber, channel, heartbeat, clock);
}

class PubsubBus implements Bus {
  readonly #client: RedisClient;
  readonly #subscriber: NodeRedisSubscriber | IoRedisSubscriber;
  readonly #channel: string;
  readonly #id = randomUUID();
  readonly #link: BusLink;

  constructor(
    client: RedisClient,
    subscriber: NodeRedisSubscriber | IoRedisSubscriber,
    channel: string,
    heartbeat: number,
    clock: Clock,
  ) {
    this.#client = client;
    this.#subscriber = subscriber;
    this.#channel = channel;
    this.#link = new BusLink({
      clock,
      heartbeat,
      start: () => ("isReady" in subscriber ? this.#startNodeRedis(subscriber) : this.#startIoRedis(subscriber)),
      ping: () => subscriber.ping(),
    });
  }

  publish(what: Invalidation): MaybePromise<void> {
    if (!isEmpty(what)) return this.#publish(what);
  }

  subscribe(listener: BusListener): Disposable {
    return this.#link.subscribe(listener);
  }

  async #publish(what: Invalidation): Promise<void> {
    await command(this.#client, ["PUBLISH", this.#channel, encodeMessage(this.#id, what)]);
  }

  /** It subscribes again by itself before it says that it is ready, once it has subscribed. */
  #startNodeRedis(subscriber: NodeRedisSubscriber): () => void {
    const onMessage = (text: string): void => this.#hear(text);
    let isSubscribed = false;
    const onReady = (): void => {
      if (isSubscribed) this.#link.up();
      else {
        subscriber.subscribe(this.#channel, onMessage).then(() => {
          isSubscribed = true;
          if (subscriber.isReady) this.#link.up();
        }, this.#onDown);
      }
    };
    const onError = (): void => {
      this.#onDown();
      if (subscriber.isReady) onReady(); // it goes on with the same line, of which something is missing
    };
    const stop = this.#listen({ ready: onReady, error: onError, reconnecting: this.#onDown, end: this.#onDown });
    if (subscriber.isReady) onReady();
    return () => {
      stop();
      void subscriber.unsubscribe(this.#channel, onMessage).catch(() => {});
    };
  }

  /** It says that it is ready before it has subscribed again, and should leave that to us: what it does may fail unseen. */
  #startIoRedis(subscriber: IoRedisSubscriber): () => void {
    const onMessage = (channel: unknown, text: unknown): void => {
      if (channel === this.#channel) this.#hear(String(text));
    };
    const onReady = (): void => void subscriber.subscribe(this.#channel).then(() => this.#link.up(), this.#onDown);
    const stop = this.#listen({
      message: onMessage,
      ready: onReady,
      close: this.#onDown,
      end: this.#onDown,
    });
    if (subscriber.status === "ready") onReady();
    return () => {
      stop();
      void subscriber.unsubscribe(this.#channel).catch(() => {});
    };
  }

  #listen(listeners: Readonly<Record<string, (...args: unknown[]) => void>>): () => void {
    for (const [event, listener] of Object.entries(listeners)) this.#subscriber.on(event, listener);
    return () => {
      for (const [event, listener] of Object.entries(listeners)) this.#subscriber.off(event, listener);
    };
  }

  readonly #onDown = (): void => this.#link.down();

  #hear(text: string): void {
    const message = decodeMessage(text, this.#id);
    if (message !== undefined) this.#link.tell(message);
  }
}
