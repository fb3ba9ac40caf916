// A Lua script: sent by its hash, by its text where the server does not know it yet, and never waited for too long.
import { createHash } from "node:crypto";
import { describe } from "./check.ts";
import type { Clock } from "./clock.ts";
import { evalSha, evalText, type RedisClient } from "./redis-client.ts";
import { TimeoutError } from "./timeout-error.ts";

/** Whom to ask, and how long to wait for the answer. */
export interface RedisCall {
  /** Connected. */
  readonly client: RedisClient;
  /** Measures `timeout`. */
  readonly clock: Clock;
  /** Milliseconds. */
  readonly timeout: number;
}

/**
 * A Lua script that runs on a Redis server: one atomic step. It goes by its hash, and by its text where the server does
 * not know it (any more). What keys and arguments it gets are strings to it; it must return a list.
 *
 * @example
 * ```ts
 * import { systemClock } from "@proj/concurrency";
 * import { type RedisClient, RedisScript } from "@proj/concurrency/redis";
 *
 * const increment = new RedisScript("return { redis.call('INCRBY', KEYS[1], ARGV[1]) }");
 *
 * async function count(client: RedisClient, key: string): Promise<number | undefined> {
 *   const [value] = await increment.numbers({ client, clock: systemClock, timeout: 1_000 }, [key], [1]);
 *   return value;
 * }
 *
 * const client = { eval: async () => [7], evalSha: async () => Promise.reject(new Error("NOSCRIPT No matching script")) };
 * console.log(await count(client, "visits")); // prints: 7
 * ```
 */
export class RedisScript {
  readonly #text: string;
  readonly #sha1: string;

  /** `text` must be the same each time: what changes from call to call belongs into the arguments. */
  constructor(text: string) {
    this.#text = text;
    this.#sha1 = createHash("sha1").update(text).digest("hex");
  }

  /**
   * Runs it once; all that it returns must be numbers.
   *
   * @throws TimeoutError when the server does not answer in time: it may have run, may run later, or never
   * · TypeError if it returns no list · what the client rejects with, untouched
   */
  async numbers(call: RedisCall, keys: readonly string[], args: readonly (string | number)[]): Promise<number[]> {
    return (await this.#run(call, keys, args)).map(Number); // some clients map numbers
  }

  /** The same for one that returns strings, or strings and numbers: all come as strings. */
  async strings(call: RedisCall, keys: readonly string[], args: readonly (string | number)[]): Promise<string[]> {
    return (await this.#run(call, keys, args)).map(String);
  }

  async #run(
    { client, clock, timeout }: RedisCall,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown[]> {
    const late = Promise.withResolvers<never>();
    const timer = clock.setTimeout(() => {
      late.reject(new TimeoutError(`Cannot run a script on Redis: no answer within ${timeout} ms`, timeout));
    }, timeout);
    timer.ref(); // a client may be waiting for its connection with nothing else to keep the process alive
    try {
      const reply = await Promise.race([this.#send(client, [...keys], args.map(String)), late.promise]);
      if (Array.isArray(reply)) return reply;
      throw new TypeError(`Cannot run a script on Redis: it must return a list, got ${describe(reply)}`);
    } finally {
      timer.clear();
    }
  }

  async #send(client: RedisClient, keys: string[], args: string[]): Promise<unknown> {
    try {
      return await evalSha(client, this.#sha1, keys, args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return await evalText(client, this.#text, keys, args);
    }
  }
}

/** Whether Redis itself refused, for a reason that will not go away by waiting: a wrong type, a missing right. */
export function isRefusal(error: unknown): boolean {
  const code = error instanceof Error ? /^([A-Z]+) /.exec(error.message)?.[1] : undefined;
  return code !== undefined && !passing.has(code);
}

const passing = new Set(["BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "NOREPLICAS", "READONLY", "TRYAGAIN"]);
