// Endpoints under a prefix of etcd: read once, then followed by a watch from that revision on.
import { Context } from "@proj/concurrency";
import { checkDuration, checkFunction } from "@proj/concurrency/options";
import { type Discovery, type DiscoveryFeed, discover } from "./discover.ts";
import { endpointOf } from "./discover-etcd-value.ts";
import { Registry, type RegistryOptions } from "./discover-http.ts";
import { type DiscoverOptions, settle } from "./discover-options.ts";
import { DiscoveryError } from "./discovery-error.ts";
import type { Endpoint } from "./endpoint.ts";

/** What can be set on {@link etcd}. */
export interface EtcdOptions extends DiscoverOptions, RegistryOptions {
  /** What the keys begin with, as `services/users/`. */
  readonly prefix: string;
  /** Of a member, or of several, of which another one is asked when one fails. Default: `http://127.0.0.1:2379`. */
  readonly url?: string | readonly string[] | undefined;
  /**
   * Makes an endpoint of a key, without the prefix, and its value; `undefined` if it is none. Default: the value is an
   * address, or JSON with an `address` (or `Addr`, as etcd's naming has it) and perhaps `id`, `weight` and `metadata`.
   */
  readonly parse?: ((key: string, value: string) => Endpoint | undefined) | undefined;
  /** Milliseconds after which all is read again, in case that a watch has silently died. Above 0. Default: 300,000. */
  readonly refresh?: number | undefined;
  /** Milliseconds for one answer. Default: 5,000. */
  readonly timeout?: number | undefined;
}

interface KeyValue {
  readonly key: string;
  readonly value?: string;
}

interface RangeAnswer {
  readonly header?: { readonly revision?: string };
  readonly kvs?: readonly KeyValue[];
}

interface WatchAnswer {
  readonly error?: { readonly message?: string };
  readonly result?: {
    readonly canceled?: boolean;
    readonly cancel_reason?: string;
    readonly compact_revision?: string;
    readonly events?: readonly { readonly type?: "PUT" | "DELETE"; readonly kv: KeyValue }[];
  };
}

/**
 * Endpoints from the keys under a prefix of etcd, over the JSON gateway that each member has (etcd 3.4 and later). A key
 * whose lease expires is a key that is deleted. After a break, or when the revision of the watch has been compacted, all
 * is read again, so no change is ever missed. A member that has lost the leader is not believed.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { balance, p2cEwma } from "@proj/resilience";
 * import { etcd } from "@proj/resilience/discovery";
 *
 * await using servers = balance(etcd({ prefix: "services/users/" }), p2cEwma());
 * console.log(servers.endpoints); // prints: []
 * ```
 */
export function etcd(options: EtcdOptions): Discovery {
  const { prefix, url = "http://127.0.0.1:2379", parse = endpointOf, refresh = 300_000, timeout = 5_000 } = options;
  const { clock, random, name } = settle(`etcd ${prefix}`, options);
  const action = `discover ${name}`;
  if (typeof prefix !== "string" || prefix === "") throw new TypeError(`Cannot ${action}: prefix must be a text`);
  checkFunction(action, "parse", parse);
  checkDuration(action, "timeout", timeout);
  if (checkDuration(action, "refresh", refresh) === 0) {
    throw new RangeError(`Cannot ${action}: refresh must be above 0 ms, got 0`);
  }
  const registry = new Registry(name, url, random, options);
  const first = Buffer.from(prefix);
  const range = { key: first.toString("base64"), range_end: endOf(first).toString("base64") };

  return discover(
    async (feed, context) => {
      try {
        while (!context.cancelled) {
          const keys = new Keys(name, first.length, parse, feed);
          const revision = await read(keys, context);
          await follow(keys, revision, context);
        }
      } catch (error) {
        registry.turn();
        throw error;
      }
    },
    { ...options, name, clock, random },
  );

  async function read(keys: Keys, context: Context): Promise<bigint> {
    using attempt = Context.derive({ parent: context, timeout });
    const { json } = await registry.ask({ method: "POST", path: "/v3/kv/range", body: range }, attempt);
    const { header, kvs = [] } = (json ?? {}) as RangeAnswer;
    if (header?.revision === undefined) throw new DiscoveryError(name, "its answer has no revision");
    for (const { key, value = "" } of kvs) keys.put(key, value);
    keys.tell();
    return BigInt(header.revision);
  }

  /** Returns when all has to be read again. */
  async function follow(keys: Keys, revision: bigint, context: Context): Promise<void> {
    const body = { create_request: { ...range, start_revision: `${revision + 1n}` } };
    const headers = { "grpc-metadata-hasleader": "true" };
    using round = Context.derive({ parent: context, timeout: refresh * (0.9 + random() / 10) });
    try {
      const answers = registry.follow({ method: "POST", path: "/v3/watch", headers, body }, timeout, round);
      for await (const answer of answers as AsyncIterable<WatchAnswer | undefined>) {
        const { error, result } = answer ?? {};
        if (error !== undefined || result === undefined) {
          throw new DiscoveryError(name, `its watch failed: ${error?.message ?? "no reason was given"}`);
        }
        if (result.compact_revision !== undefined && BigInt(result.compact_revision) > 0n) return;
        if (result.canceled) throw new DiscoveryError(name, `its watch was ended: ${result.cancel_reason}`);
        for (const { type, kv } of result.events ?? []) {
          if (type === "DELETE") keys.delete(kv.key);
          else keys.put(kv.key, kv.value ?? "");
        }
        if (result.events !== undefined) keys.tell();
      }
    } catch (error) {
      if (round.cancelled && !context.cancelled) return; // it is time to look whether all is as we think
      throw error;
    }
    throw new DiscoveryError(name, "its watch ended");
  }
}

/** What is under the prefix. */
class Keys {
  readonly #name: string;
  readonly #prefixLength: number;
  readonly #parse: (key: string, value: string) => Endpoint | undefined;
  readonly #feed: DiscoveryFeed;
  readonly #endpoints = new Map<string, Endpoint>();

  constructor(
    name: string,
    prefixLength: number,
    parse: (key: string, value: string) => Endpoint | undefined,
    feed: DiscoveryFeed,
  ) {
    this.#name = name;
    this.#prefixLength = prefixLength;
    this.#parse = parse;
    this.#feed = feed;
  }

  /** Both are in base 64. A value that makes no sense does not replace one that did. */
  put(key: string, value: string): void {
    const text = Buffer.from(key, "base64").subarray(this.#prefixLength).toString();
    try {
      const endpoint = this.#parse(text, Buffer.from(value, "base64").toString());
      if (endpoint === undefined) this.#endpoints.delete(key);
      else this.#endpoints.set(key, endpoint);
    } catch (cause) {
      this.#feed.failed(new DiscoveryError(this.#name, `the value of ${text} is no endpoint`, { cause }));
    }
  }

  delete(key: string): void {
    this.#endpoints.delete(key);
  }

  tell(): void {
    this.#feed.found([...this.#endpoints.values()]);
  }
}

/** The first key after all that begin with the prefix. */
function endOf(prefix: Buffer): Buffer {
  let last = prefix.length - 1;
  while (last >= 0 && prefix[last] === 0xff) last--;
  if (last < 0) return Buffer.from([0]); // etcd's way to say: to the end
  const end = Buffer.from(prefix.subarray(0, last + 1));
  end[last] = (end[last] as number) + 1;
  return end;
}
