// What breakers in many processes know of the same dependencies, put together in Redis: enough of them have to agree.
import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "@proj/concurrency";
import type { ComponentStats } from "@proj/concurrency/inspect";
import {
  checkCount,
  checkDuration,
  checkFunction,
  checkPositive,
  checkRatio,
  describe,
} from "@proj/concurrency/options";
import { checkRedisClient, type RedisCall, type RedisClient } from "@proj/concurrency/redis";
import type { BreakerHints } from "./breaker-hints.ts";
import { type HintVote, keyOf, nameOf, voteScript } from "./redis-breaker-script.ts";

/** Something worth telling about the Redis of shared hints. */
export type SharedBreakerHintsEvent =
  /** Redis failed or did not answer in time; each process goes by what it sees itself. */
  | { readonly kind: "redis-lost"; readonly error: unknown }
  /** Redis answers again. */
  | { readonly kind: "redis-back" };

/** Whose hints are shared, and how many have to agree. */
export interface SharedBreakerHintsOptions {
  /** Of the dependency: breakers of one name share their hints. */
  readonly name: string;
  /** Put before the name. Default: `"breaker:"`. */
  readonly prefix?: string | undefined;
  /** Share of the processes heard of lately that must have found a key ill before the others believe it. Default: 0.5. */
  readonly quorum?: number | undefined;
  /** And at least so many of them: with 2, none is believed alone. Default: 2. */
  readonly minimum?: number | undefined;
  /** Milliseconds between two round trips while there are calls; a circuit that opens is told at once. Default: 1,000. */
  readonly interval?: number | undefined;
  /** Milliseconds to wait for an answer. No call ever waits for one. Default: 500. */
  readonly timeout?: number | undefined;
  /** Open circuits that Redis keeps of all processes together; more are not told. Default: 10,000. */
  readonly maxVotes?: number | undefined;
  /** Told when Redis stops answering, and when it is back. What it throws is ignored. */
  readonly onEvent?: ((event: SharedBreakerHintsEvent) => void) | undefined;
  /** Default: the system's. What is kept in Redis expires by the server's. */
  readonly clock?: Clock | undefined;
}

/** Hints that processes share, made by {@link sharedBreakerHints}. For one breaker. */
export interface SharedBreakerHints extends BreakerHints {
  /** Tells and asks now; resolves when that is done, also if Redis did not answer. */
  sync(): Promise<void>;
  /** Processes heard of lately, keys they agree on, own open circuits, and whether Redis is away. */
  stats(): ComponentStats;
}

/**
 * Lets the breakers of many processes tell one another of open circuits, so that those who have not met a failure yet need
 * not. For the option `hints` of a breaker.
 *
 * **A hint, not an order**: a circuit opens by a hint only when a quorum of the processes has opened theirs, each by its own
 * experience; one process with a broken network does not take the others down with it. It then goes on as one that has
 * tripped itself: its probes decide, and if they succeed it stays closed until the others agree anew. **Without Redis**
 * each process goes by what it sees itself; nothing ever waits for Redis. **In Redis** there are two sorted sets per name,
 * bounded by `maxVotes`, which expire with the circuits.
 *
 * Nothing runs between calls: a process that makes none asks nothing and counts for nothing.
 *
 * @throws TypeError or RangeError for an option that is none
 * @example
 * <!-- check: types-only, needs a Redis -->
 * ```ts
 * import { breaker } from "@proj/resilience";
 * import { sharedBreakerHints } from "@proj/resilience/redis";
 * import { createClient } from "redis";
 *
 * const client = await createClient({ url: "redis://127.0.0.1:6379" }).on("error", console.error).connect();
 * const users = breaker({ hints: sharedBreakerHints(client, { name: "users", quorum: 0.5 }) });
 * console.log(users.state("eu-1"));
 * ```
 */
export function sharedBreakerHints(client: RedisClient, options: SharedBreakerHintsOptions): SharedBreakerHints {
  return new RedisHints(client, options);
}

/** Longest pause between two attempts to reach a server that does not answer, in milliseconds. */
const longestPause = 30_000;
/** Longest time for which one opening is remembered, whatever the breaker's backoff. */
const longestVote = 3_600_000;
/** Longer keys are not told. */
const longestKey = 1_024;

class RedisHints implements SharedBreakerHints {
  readonly #call: RedisCall;
  readonly #keys: [string, string];
  readonly #process = randomUUID();
  readonly #quorum: number;
  readonly #minimum: number;
  readonly #interval: number;
  readonly #maxVotes: number;
  readonly #onEvent: ((event: SharedBreakerHintsEvent) => void) | undefined;
  #onOpen: ((key: string | undefined) => void) | undefined;
  /** Own open circuits, by what they are called in Redis, until when on the own clock. */
  readonly #votes = new Map<string, number>();
  /** Own circuits that have closed since the last answer. */
  readonly #withdrawn = new Set<string>();
  /** What the others agreed on the last time: only what is new opens a circuit. */
  #agreed: ReadonlySet<string> = new Set();
  #processes = 0;
  /** Of the server's clock, ahead of the own one. Unknown before the first answer. */
  #offset: number | undefined;
  #nextAt = 0;
  #failures = 0;
  #syncing: Promise<void> | undefined;
  #isDue = false;

  constructor(client: RedisClient, options: SharedBreakerHintsOptions) {
    const action = "share the hints of a breaker";
    checkRedisClient(action, client);
    const { name, prefix = "breaker:", quorum = 0.5, minimum = 2, interval = 1_000, timeout = 500 } = options ?? {};
    const { maxVotes = 10_000, onEvent, clock = systemClock } = options ?? {};
    if (typeof name !== "string" || name === "") {
      throw new TypeError(`Cannot ${action}: name must be a text, got ${describe(name)}`);
    }
    if (typeof prefix !== "string") {
      throw new TypeError(`Cannot ${action}: prefix must be a text, got ${describe(prefix)}`);
    }
    this.#keys = [`{${prefix}${name}}:processes`, `{${prefix}${name}}:open`]; // one slot of a cluster
    this.#quorum = checkRatio(action, "quorum", quorum);
    this.#minimum = checkCount(action, "minimum", minimum, 1);
    this.#interval = checkPositive(action, "interval", interval);
    this.#maxVotes = checkCount(action, "maxVotes", maxVotes, 1);
    this.#call = { client, clock, timeout: checkDuration(action, "timeout", timeout) };
    this.#onEvent = onEvent === undefined ? undefined : checkFunction(action, "onEvent", onEvent);
  }

  connect(onOpen: (key: string | undefined) => void): void {
    if (this.#onOpen !== undefined) throw new TypeError("Cannot share hints: they belong to another breaker already");
    this.#onOpen = onOpen;
  }

  opened(key: string | undefined, openMs: number): void {
    if (key !== undefined && key.length > longestKey) return;
    const name = nameOf(key);
    this.#withdrawn.delete(name);
    this.#votes.set(name, this.#now() + Math.min(openMs, longestVote) + this.#interval);
    this.#hurry();
  }

  closed(key: string | undefined): void {
    const name = nameOf(key);
    if (!this.#votes.delete(name)) return;
    this.#withdrawn.add(name);
    this.#hurry();
  }

  touch(): void {
    if (this.#now() >= this.#nextAt) void this.sync();
  }

  sync(): Promise<void> {
    this.#nextAt = this.#now() + this.#interval;
    this.#syncing ??= this.#syncAll().finally(() => {
      this.#syncing = undefined;
    });
    return this.#syncing;
  }

  stats(): ComponentStats {
    const open = this.#votes.size;
    return { processes: this.#processes, agreed: this.#agreed.size, open, away: this.#failures > 0 };
  }

  /** There is something to tell, but nobody to tell it to while Redis is away. */
  #hurry(): void {
    this.#isDue = true;
    if (this.#failures === 0 && this.#syncing === undefined) void this.sync();
  }

  /** Until there is nothing left to tell. */
  async #syncAll(): Promise<void> {
    do {
      this.#isDue = this.#offset === undefined && this.#votes.size > 0; // without the server's time nothing can be told
      await this.#syncOnce();
    } while (this.#isDue && this.#failures === 0);
  }

  async #syncOnce(): Promise<void> {
    const now = this.#now();
    const told = [...this.#withdrawn];
    try {
      const answer = await voteScript.strings(this.#call, this.#keys, this.#argumentsAt(now, told));
      for (const name of told) this.#withdrawn.delete(name);
      this.#learn(answer, now);
    } catch (error) {
      this.#lose(error);
    }
  }

  #argumentsAt(now: number, withdrawn: readonly string[]): (string | number)[] {
    const votes: HintVote[] = [];
    for (const [name, until] of this.#votes) {
      if (until <= now) this.#votes.delete(name);
      else if (this.#offset !== undefined) votes.push([name, Math.ceil(until + this.#offset)]);
    }
    const ttl = Math.ceil(this.#interval * 5);
    const fixed = [this.#process, ttl, this.#quorum, this.#minimum, this.#maxVotes];
    return [...fixed, withdrawn.length, ...withdrawn, ...votes.flat()];
  }

  #learn([serverNow, processes, ...names]: string[], sentAt: number): void {
    this.#offset = Number(serverNow) - sentAt;
    this.#processes = Number(processes);
    if (this.#failures > 0) {
      this.#failures = 0;
      this.#tell({ kind: "redis-back" });
    }
    const before = this.#agreed;
    this.#agreed = new Set(names);
    for (const name of names) if (!before.has(name)) this.#onOpen?.(keyOf(name));
  }

  #lose(error: unknown): void {
    this.#failures++;
    this.#nextAt = this.#now() + Math.min(longestPause, this.#interval * 2 ** Math.min(this.#failures - 1, 20));
    if (this.#failures === 1) this.#tell({ kind: "redis-lost", error });
  }

  #tell(event: SharedBreakerHintsEvent): void {
    try {
      this.#onEvent?.(event);
    } catch {} // whoever watches must not disturb
  }

  #now(): number {
    return this.#call.clock.now();
  }
}
