// What the proxies have in common.
import { type Clock, systemClock } from "@proj/concurrency";
import type { ProxyAddress } from "./chaos-address.ts";
import type { Toxic } from "./chaos-toxic.ts";

/** What can be set on both kinds of proxy. */
export interface FaultProxyOptions<T extends Toxic> {
  /** Where it leads to. */
  readonly upstream: ProxyAddress;
  /** Where it listens. Default: 0, a free one. */
  readonly port?: number | undefined;
  /** Where it listens: an IP address. Default: `"127.0.0.1"`. */
  readonly host?: string | undefined;
  /** For messages, statistics and `chaosControl`; with a name it is listed by `components()`. Default: its address. */
  readonly name?: string | undefined;
  /** What is wrong from the start. Default: nothing. */
  readonly toxics?: readonly T[] | undefined;
  /** Bytes that wait in each direction of a connection at most; a datagram counts as 64 at least. Default: 1,048,576. */
  readonly buffer?: number | undefined;
  /** Decides what is hit. Default: another one each time, see `seed`. */
  readonly seed?: number | undefined;
  /** Measures delays. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** A proxy that makes a network worse than it is. */
export interface FaultProxy<T extends Toxic> extends AsyncDisposable {
  /** As the options say, else its address. */
  readonly name: string;
  /** What it speaks. */
  readonly protocol: "tcp" | "udp";
  /** Where it listens. */
  readonly host: string;
  /** Where it listens; stays the same while it is down. */
  readonly port: number;
  /** Host and port. */
  readonly address: string;
  /** Host and port to which it leads. */
  readonly upstream: string;
  /** With the same one, the same connections, chunks and datagrams are hit again, by their number. */
  readonly seed: number;
  /** What is wrong now. */
  readonly toxics: readonly T[];
  /** Makes one more thing wrong, for what is open as well. Disposing the result makes it right again. */
  add(toxic: T): Disposable;
  /** Replaces all toxics. */
  set(toxics: readonly T[]): void;
  /** Takes all toxics away. */
  clear(): void;
  /** Resolves when it listens, or is as `down` as its toxics say. */
  ready(): Promise<void>;
  /** A snapshot. */
  stats(): Readonly<Record<string, unknown>>;
  /** Stops listening and resets what is open. Afterwards it cannot be used any more. */
  close(): Promise<void>;
}

/** Somebody else has taken the port meanwhile: so it is tried again soon, in real time, as that is when it is given back. */
export function untilPortMayBeFree(): Promise<void> {
  return new Promise((resolve) => systemClock.setTimeout(resolve, 20).ref());
}
