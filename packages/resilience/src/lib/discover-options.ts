// What all sources of endpoints have in common.
import { type Clock, Context } from "@proj/concurrency";
import { checkFunction, checkOneOf } from "@proj/concurrency/options";
import { type Backoff, exponential } from "./backoff.ts";

/** What can be set on every source of endpoints. */
export interface DiscoverOptions {
  /** Used in events and messages. Default: what is asked, as `"dns users.internal"`. */
  readonly name?: string | undefined;
  /**
   * What an answer without endpoints means after one with some: a mistake, so that the endpoints that were known are kept,
   * or the truth. Default: `"keep"`.
   */
  readonly empty?: "keep" | "accept" | undefined;
  /**
   * The pauses between attempts to reach a source that fails; 30 s where it throws or gives no number. Default: 500 ms to
   * 30 s, half of it random.
   */
  readonly backoff?: Backoff | undefined;
  /** Ends the iteration, which then rejects with its reason. */
  readonly signal?: AbortSignal | Context | undefined;
  /** Default: that of the current context, which is the system's unless one was given. */
  readonly clock?: Clock | undefined;
  /** From 0 to 1, without 1. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Where the endpoints of a registry are for those who call them. */
export interface AddressOptions {
  /** Makes the address of an endpoint. Default: `host:port`, with an IPv6 host in brackets. */
  readonly address?: ((host: string, port: number) => string) | undefined;
}

export type DiscoverSettings = ReturnType<typeof settle>;

export function settle(name: string, options: DiscoverOptions) {
  const action = `discover ${name}`;
  const { empty = "keep", backoff = exponential({ base: 500, cap: 30_000, jitter: "equal" }) } = options;
  const { clock = Context.current().clock, random = Math.random, signal } = options;
  checkOneOf(action, "empty", empty, ["keep", "accept"]);
  checkFunction(action, "backoff", backoff);
  checkFunction(action, "random", random);
  return { name: options.name ?? name, empty, backoff, signal, clock, random };
}

export function hostAndPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
