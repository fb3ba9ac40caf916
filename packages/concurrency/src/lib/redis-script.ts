// A Lua script: sent by its hash, by its text where the server does not know it yet, and never waited for too long.
import { createHash } from "node:crypto";
import type { Clock } from "./clock.ts";
import { evalSha, evalText, type RedisClient } from "./redis-client.ts";
import { TimeoutError } from "./timeout-error.ts";

/** Whom to ask, and how long to wait for the answer. */
export interface RedisCall {
  readonly client: RedisClient;
  readonly clock: Clock;
  /** Milliseconds. */
  readonly timeout: number;
}

export class RedisScript {
  readonly #text: string;
  readonly #sha1: string;

  constructor(text: string) {
    this.#text = text;
    this.#sha1 = createHash("sha1").update(text).digest("hex");
  }

  /**
   * Runs it once. The numbers it returns are all it may return. Rejects with a `TimeoutError` when the server does not
   * answer in time; then it may have run, may run later, or never.
   */
  async run(
    { client, clock, timeout }: RedisCall,
    keys: string[],
    args: readonly (string | number)[],
  ): Promise<number[]> {
    const late = Promise.withResolvers<never>();
    const timer = clock.setTimeout(() => {
      late.reject(new TimeoutError(`Cannot run a script on Redis: no answer within ${timeout} ms`, timeout));
    }, timeout);
    timer.ref(); // a client may be waiting for its connection with nothing else to keep the process alive
    try {
      const reply = await Promise.race([this.#send(client, keys, args.map(String)), late.promise]);
      return (reply as (number | string)[]).map(Number); // as the scripts are written; some clients map numbers
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
