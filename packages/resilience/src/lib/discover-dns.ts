// Endpoints by name, asked again when the answer expires.
import { promises, type SrvRecord } from "node:dns";
import { abortable, Context } from "@proj/concurrency";
import { checkCount, checkDuration, checkFunction, checkOneOf, describe } from "@proj/concurrency/options";
import { checkObject } from "./check-object.ts";
import { type Discovery, discover } from "./discover.ts";
import { type AddressOptions, type DiscoverOptions, hostAndPort, settle } from "./discover-options.ts";
import { Pause } from "./discover-pause.ts";
import type { Endpoint } from "./endpoint.ts";

/** What `dns()` calls of a resolver. The `Resolver` of `node:dns/promises` fits. */
export interface DnsResolver {
  /** The IPv4 addresses of a name. */
  resolve4(name: string, options: { readonly ttl: true }): Promise<readonly { address: string; ttl: number }[]>;
  /** The IPv6 addresses of a name. */
  resolve6(name: string, options: { readonly ttl: true }): Promise<readonly { address: string; ttl: number }[]>;
  /** The hosts that offer a service. */
  resolveSrv(name: string): Promise<readonly SrvRecord[]>;
}

/** How long an answer counts. */
export interface DnsTtl {
  /** Milliseconds before the name is asked again, however short the TTL is. Default: 1,000. */
  readonly min?: number | undefined;
  /** Milliseconds after which the name is asked again, however long the TTL is. Default: 60,000. */
  readonly max?: number | undefined;
  /** Milliseconds that answers count whose TTL is not known: empty ones, and those of `SRV`, of which Node tells none. Default: 10,000. */
  readonly unknown?: number | undefined;
}

/** What can be set on {@link dns}. */
export interface DnsOptions extends DiscoverOptions, AddressOptions {
  /** Which records are asked for. Default: `"A"`. */
  readonly type?: "A" | "AAAA" | "SRV" | undefined;
  /** Of the endpoints; for `SRV` the records have it. Default: none, so that the address is the host alone. */
  readonly port?: number | undefined;
  /** Default: as said there. */
  readonly ttl?: DnsTtl | undefined;
  /** Milliseconds for one answer. Default: 10,000. */
  readonly timeout?: number | undefined;
  /** Default: one with the servers of this machine. It does not read `/etc/hosts`. */
  readonly resolver?: DnsResolver | undefined;
}

interface Answer {
  readonly endpoints: readonly Endpoint[];
  /** Milliseconds; `undefined` if not known. */
  readonly ttl: number | undefined;
}

/**
 * Endpoints from DNS, one for each address (or each host of a service, with its port and weight), asked for again
 * when the TTL is over, a little later by chance. A name that does not exist, or has no such records, is an answer
 * without endpoints; a server that fails or does not answer leaves the endpoints as they are. Of `SRV` records those of
 * the best priority count.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { balance, roundRobin } from "@proj/resilience";
 * import { dns } from "@proj/resilience/discovery";
 *
 * await using servers = balance(dns("users.internal", { port: 8080, ttl: { max: 30_000 } }), roundRobin());
 * console.log(servers.endpoints); // prints: []
 * ```
 */
export function dns(host: string, options: DnsOptions = {}): Discovery {
  const action = `discover ${host}`;
  if (typeof host !== "string" || host === "")
    throw new TypeError(`Cannot discover: host must be a name, got ${describe(host)}`);
  const { type = "A", port, timeout = 10_000, ttl = {}, resolver } = options;
  const { min = 1_000, max = 60_000, unknown = 10_000 } = checkObject(action, "ttl", ttl);
  if (resolver !== undefined) checkResolver(action, type, resolver);
  const { clock, random, name } = settle(`dns ${host}`, options);
  checkOneOf(action, "type", type, ["A", "AAAA", "SRV"]);
  if (port !== undefined) checkCount(action, "port", port, 1);
  checkDuration(action, "timeout", timeout);
  for (const [option, value] of Object.entries({ min, max, unknown })) checkDuration(action, `ttl.${option}`, value);
  if (min > max) throw new RangeError(`Cannot ${action}: ttl.min must be at most ttl.max, which is ${max}, got ${min}`);
  if (min === 0) throw new RangeError(`Cannot ${action}: ttl.min must be above 0 ms, got 0`);
  const makeAddress = checkFunction(action, "address", options.address ?? hostAndPort);
  const addressOf = (host: string, port: number | undefined) => (port === undefined ? host : makeAddress(host, port));

  return discover(
    async (feed, context) => {
      const pause = new Pause(context, clock);
      // One of its own can be told to stop; one that was given may be in use elsewhere.
      const own = resolver === undefined ? new promises.Resolver() : undefined;
      using _cancelling = Context.after(context, () => own?.cancel());
      const ask = asking(own ?? (resolver as DnsResolver), type, host, port, addressOf);
      while (!context.cancelled) {
        using attempt = Context.derive({ parent: context, timeout });
        const answer = await abortable(ask().catch(emptyIfNone), { signal: attempt });
        feed.found(answer.endpoints);
        const wait = Math.min(max, Math.max(min, answer.ttl ?? unknown));
        await pause.wait(wait * (1 + random() / 10)); // a cache on the way keeps it for the TTL, so never before
      }
    },
    { ...options, name, clock, random },
  );
}

function checkResolver(action: string, type: "A" | "AAAA" | "SRV", resolver: DnsResolver): void {
  const method = type === "SRV" ? "resolveSrv" : type === "AAAA" ? "resolve6" : "resolve4";
  checkFunction(action, `resolver.${method}`, resolver?.[method]);
}

function asking(
  resolver: DnsResolver,
  type: "A" | "AAAA" | "SRV",
  host: string,
  port: number | undefined,
  addressOf: (host: string, port: number | undefined) => string,
): () => Promise<Answer> {
  if (type === "SRV")
    return async () => ({ endpoints: fromSrv(await resolver.resolveSrv(host), addressOf), ttl: undefined });
  return async () => {
    const records = await (type === "A"
      ? resolver.resolve4(host, { ttl: true })
      : resolver.resolve6(host, { ttl: true }));
    return {
      endpoints: records.map(({ address }) => {
        const text = addressOf(address, port);
        return { id: text, address: text };
      }),
      ttl: records.reduce((least, { ttl }) => Math.min(least, ttl * 1_000), Number.POSITIVE_INFINITY),
    };
  };
}

/** RFC 2782: the lowest number is the best priority; a weight of 0 is a small one among others, and none among zeros. */
function fromSrv(records: readonly SrvRecord[], addressOf: (host: string, port: number) => string): Endpoint[] {
  const best = records.reduce((least, { priority }) => Math.min(least, priority), Number.POSITIVE_INFINITY);
  const chosen = records.filter(({ priority, name }) => priority === best && name !== "" && name !== ".");
  const areWeighted = chosen.some(({ weight }) => weight > 0);
  return chosen.map(({ name, port, weight }) => {
    const address = addressOf(name, port);
    return { id: address, address, weight: areWeighted ? weight || 0.1 : 1 };
  });
}

/** The answer that there is nothing is one, other than no answer. */
function emptyIfNone(error: NodeJS.ErrnoException): Answer {
  if (error.code === "ENOTFOUND" || error.code === "ENODATA") return { endpoints: [], ttl: undefined };
  throw error;
}
