// A Lua script: sent by its hash, by its text where the server does not know it yet, and never waited for too long.
import { createHash } from "node:crypto";
import { type Clock, TimeoutError } from "@proj/concurrency";
import type { RedisClient } from "@proj/concurrency/redis";

/** Whom to ask, and how long to wait for the answer. */
export interface RedisCall {
  readonly client: RedisClient;
  readonly clock: Clock;
  /** Milliseconds. */
  readonly timeout: number;
}

/** Checks what a caller passes as a client. */
export function checkRedisClient(action: string, client: RedisClient): void {
  const { evalSha, evalsha } = (client ?? {}) as { evalSha?: unknown; evalsha?: unknown };
  if (typeof evalSha === "function" || typeof evalsha === "function") return;
  throw new TypeError(`Cannot ${action}: client must be a client of redis or ioredis, with evalSha or evalsha`);
}

export class RedisScript {
  readonly #text: string;
  readonly #sha1: string;

  constructor(text: string) {
    this.#text = text;
    this.#sha1 = createHash("sha1").update(text).digest("hex");
  }

  /**
   * Runs it once; it must return a list of strings and numbers, which arrive as strings. Rejects with a `TimeoutError`
   * when the server does not answer in time; then it may have run, may run later, or never.
   */
  async run(
    { client, clock, timeout }: RedisCall,
    keys: string[],
    args: readonly (string | number)[],
  ): Promise<string[]> {
    const late = Promise.withResolvers<never>();
    const timer = clock.setTimeout(() => {
      late.reject(new TimeoutError(`Cannot run a script on Redis: no answer within ${timeout} ms`, timeout));
    }, timeout);
    timer.ref(); // a client may be waiting for its connection with nothing else to keep the process alive
    try {
      const reply = await Promise.race([this.#send(client, keys, args.map(String)), late.promise]);
      return (reply as (number | string)[]).map(String);
    } finally {
      timer.clear();
    }
  }

  async #send(client: RedisClient, keys: string[], args: string[]): Promise<unknown> {
    try {
      return await ("evalSha" in client
        ? client.evalSha(this.#sha1, { keys, arguments: args })
        : client.evalsha(this.#sha1, keys.length, ...keys, ...args));
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return await ("evalSha" in client
        ? client.eval(this.#text, { keys, arguments: args })
        : client.eval(this.#text, keys.length, ...keys, ...args));
    }
  }
}
