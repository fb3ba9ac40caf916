// Endpoints of a service in Consul, by blocking queries.
import { Context } from "@proj/concurrency";
import { checkDuration, checkFunction } from "@proj/concurrency/options";
import { type Discovery, discover } from "./discover.ts";
import { Registry, type RegistryOptions } from "./discover-http.ts";
import { type AddressOptions, type DiscoverOptions, hostAndPort, settle } from "./discover-options.ts";
import { Pause } from "./discover-pause.ts";
import { DiscoveryError } from "./discovery-error.ts";
import type { Endpoint } from "./endpoint.ts";

/** What can be set on {@link consul}. */
export interface ConsulOptions extends DiscoverOptions, AddressOptions, RegistryOptions {
  /** The name of the service. */
  readonly service: string;
  /** Of the agent, or of several, of which another one is asked when one fails. Default: `http://127.0.0.1:8500`. */
  readonly url?: string | readonly string[] | undefined;
  /** An ACL token. Default: none. */
  readonly token?: string | undefined;
  /** Only instances that pass all their checks. Default: `true`. */
  readonly passing?: boolean | undefined;
  /** Milliseconds that a query waits for a change, from 1,000 to 600,000. Default: 60,000. */
  readonly wait?: number | undefined;
  /**
   * Milliseconds by which an answer may be behind the leader's knowledge, in exchange for answers from any server, even
   * when there is no leader. Default: 0, so that only the leader answers.
   */
  readonly staleness?: number | undefined;
  /** Further parameters of the query, as `dc`, `ns` or `filter`. */
  readonly query?: Readonly<Record<string, string>> | undefined;
}

interface Entry {
  readonly Node: { readonly Node: string; readonly Address: string };
  readonly Service: {
    readonly ID: string;
    readonly Address?: string;
    readonly Port: number;
    readonly Meta?: Readonly<Record<string, string>> | null;
    readonly Weights?: { readonly Passing?: number; readonly Warning?: number };
  };
  readonly Checks?: readonly { readonly Status: string }[] | null;
}

/** Milliseconds between two queries at least: a service that flaps must not keep everybody busy. */
const pace = 200;

/**
 * Endpoints of a service in Consul, followed by blocking queries: a change shows at once, and nothing is sent meanwhile.
 * An index that goes backwards starts over, one that is not above 0 counts as 1, as Consul asks of its clients. Weights
 * and metadata are those of the service; the id is the node's name and the service's id.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { balance, p2cEwma } from "@proj/resilience";
 * import { consul } from "@proj/resilience/discovery";
 *
 * await using servers = balance(consul({ service: "users", url: "http://127.0.0.1:8500" }), p2cEwma());
 * console.log(servers.endpoints); // prints: []
 * ```
 */
export function consul(options: ConsulOptions): Discovery {
  const { service, url = "http://127.0.0.1:8500", token, passing = true } = options;
  const { wait = 60_000, staleness = 0, query } = options;
  const { clock, random, name } = settle(`consul ${service}`, options);
  const action = `discover ${name}`;
  if (typeof service !== "string" || service === "") throw new TypeError(`Cannot ${action}: service must be a name`);
  if (checkDuration(action, "wait", wait) < 1_000 || wait > 600_000) {
    throw new RangeError(`Cannot ${action}: wait must be 1,000 to 600,000 ms, got ${wait}`);
  }
  checkDuration(action, "staleness", staleness);
  const addressOf = checkFunction(action, "address", options.address ?? hostAndPort);
  const registry = new Registry(name, url, random, options);

  async function ask(index: bigint, stale: boolean, context: Context) {
    const parameters = new URLSearchParams({ ...query, index: `${index}`, wait: `${Math.ceil(wait / 1_000)}s` });
    if (passing) parameters.set("passing", "1");
    if (stale) parameters.set("stale", "1");
    // Consul waits up to a sixteenth longer, so that not all queries end together.
    using attempt = Context.derive({ parent: context, timeout: wait + wait / 16 + 10_000 });
    const path = `/v1/health/service/${encodeURIComponent(service)}?${parameters}`;
    const headers = token === undefined ? {} : { "x-consul-token": token };
    return await registry.ask({ path, headers }, attempt);
  }

  async function follow(found: (endpoints: readonly Endpoint[]) => void, context: Context): Promise<void> {
    const pause = new Pause(context, clock);
    let index = 0n;
    while (!context.cancelled) {
      const began = clock.now();
      let { headers, json } = await ask(index, staleness > 0, context);
      if (staleness > 0 && Number(headers["x-consul-lastcontact"] ?? 0) > staleness) {
        ({ headers, json } = await ask(0n, false, context));
      }
      found(endpointsOf(name, json, addressOf));
      const told = `${headers["x-consul-index"]}`;
      const next = /^\d+$/.test(told) ? BigInt(told) : undefined;
      index = next !== undefined && next < index ? 0n : next || 1n;
      // Without an index nothing waits for a change on the other side.
      const least = next === undefined ? Math.min(wait, 10_000) : pace;
      await pause.wait(least * (1 + random()) - (clock.now() - began));
    }
  }

  return discover(
    async (feed, context) => {
      try {
        await follow((endpoints) => feed.found(endpoints), context);
      } catch (error) {
        registry.turn();
        throw error;
      }
    },
    { ...options, name, clock, random },
  );
}

function endpointsOf(name: string, json: unknown, addressOf: (host: string, port: number) => string): Endpoint[] {
  if (!Array.isArray(json)) throw new DiscoveryError(name, "its answer is no array");
  try {
    return (json as readonly Entry[]).map(({ Node, Service, Checks }) => {
      const isWarned = Checks?.some(({ Status }) => Status === "warning") ?? false;
      return {
        id: `${Node.Node}/${Service.ID}`,
        address: addressOf(Service.Address || Node.Address, Service.Port),
        weight: (isWarned ? Service.Weights?.Warning : Service.Weights?.Passing) ?? 1,
        metadata: Service.Meta ?? {},
      };
    });
  } catch (cause) {
    throw new DiscoveryError(name, "its answer is no list of services", { cause });
  }
}
