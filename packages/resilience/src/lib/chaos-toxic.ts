// What can be wrong with a connection, as plain data.
import { checkCount, checkDuration, checkOneOf, checkPositive, checkRatio, describe } from "@proj/concurrency/options";
import { checkKnown, checkText } from "./chaos-check.ts";

/** Which way the bytes go: `"upstream"` from client to server, `"downstream"` back. */
export type ToxicDirection = "upstream" | "downstream" | "both";

/** What all toxics have in common. */
export interface ToxicBase {
  /** Tells it from the others in statistics and for `chaosControl`. Default: its type. */
  readonly name?: string | undefined;
  /** Which bytes it acts on. Default: `"downstream"`; `"both"` for `half-open` and `drop`. */
  readonly direction?: ToxicDirection | undefined;
  /** The share of the connections (of the clients, for UDP) that it acts on, from 0 to 1. Default: 1. */
  readonly share?: number | undefined;
}

/** Bytes come later. TCP keeps their order; datagrams overtake each other if there is `jitter`. */
export interface LatencyToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "latency";
  /** Milliseconds. */
  readonly latency: number;
  /** Up to so many milliseconds more or less, never below zero altogether. Default: 0. */
  readonly jitter?: number | undefined;
}

/** Some of what is sent gets lost: datagrams are gone, TCP stalls until it has been sent again. */
export interface LossToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "loss";
  /** The share of datagrams, or of chunks that TCP hands over, from 0 to 1. */
  readonly rate: number;
  /** Milliseconds that TCP takes to send it again; all that comes behind waits as well. Default: 200. */
  readonly retransmit?: number | undefined;
}

/** No more than so many bytes get through in a second. What UDP cannot queue is lost. */
export interface BandwidthToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "bandwidth";
  /** Above zero. */
  readonly bytesPerSecond: number;
  /** Bytes of datagrams that wait before more are lost; TCP waits instead. Default: 65,536. */
  readonly queue?: number | undefined;
}

/** All that is sent gets lost, without anybody being told. */
export interface DropToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "drop";
}

/** One byte of some chunks or datagrams becomes another one. */
export interface CorruptToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "corrupt";
  /** The share of datagrams, or of chunks that TCP hands over, from 0 to 1. */
  readonly rate: number;
}

/** Nobody listens, and what was connected is reset. Afterwards the proxy listens on the same port again. */
export interface DownToxic extends Omit<ToxicBase, "direction" | "share"> {
  /** Tells it from the others. */
  readonly type: "down";
}

/** A slow body: small pieces with pauses between them. */
export interface DripToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "drip";
  /** In a piece. Default: 1. */
  readonly bytes?: number | undefined;
  /** Milliseconds between two pieces. */
  readonly interval: number;
}

/** The end of a connection is passed on late. */
export interface SlowCloseToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "slow-close";
  /** Milliseconds. */
  readonly delay: number;
}

/** Both sides get a TCP reset, those included that connect later. */
export interface ResetToxic extends Omit<ToxicBase, "direction"> {
  /** Tells it from the others. */
  readonly type: "reset";
  /** Milliseconds from when the connection is open, and the toxic there. Default: 0. */
  readonly after?: number | undefined;
}

/** Connections are accepted, and then nothing is read or answered. Afterwards they go on. */
export interface HalfOpenToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "half-open";
}

/** So many bytes of a connection get through; then it is closed. */
export interface LimitToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "limit";
  /** Counted from when the connection is open, and the toxic there. */
  readonly bytes: number;
}

/** Some datagrams come behind later ones. */
export interface ReorderToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "reorder";
  /** The share of datagrams, from 0 to 1. */
  readonly rate: number;
  /** How many others overtake one. Default: 3. */
  readonly gap?: number | undefined;
  /** Milliseconds after which it goes on even if fewer have come. Default: 50. */
  readonly hold?: number | undefined;
}

/** Some datagrams come twice. */
export interface DuplicateToxic extends ToxicBase {
  /** Tells it from the others. */
  readonly type: "duplicate";
  /** The share of datagrams, from 0 to 1. */
  readonly rate: number;
}

/** What a `tcpProxy` can do to connections. */
export type TcpToxic =
  | LatencyToxic
  | LossToxic
  | BandwidthToxic
  | DropToxic
  | CorruptToxic
  | DownToxic
  | DripToxic
  | SlowCloseToxic
  | ResetToxic
  | HalfOpenToxic
  | LimitToxic;

/** What a `udpProxy` can do to datagrams. */
export type UdpToxic =
  | LatencyToxic
  | LossToxic
  | BandwidthToxic
  | DropToxic
  | CorruptToxic
  | DownToxic
  | ReorderToxic
  | DuplicateToxic;

/** Any toxic. */
export type Toxic = TcpToxic | UdpToxic;

type Check = (action: string, option: string, value: never) => unknown;

const count: Check = (action, option, value) => checkCount(action, option, value, 1);
const anyCount: Check = (action, option, value) => checkCount(action, option, value, 0);
const optional =
  (check: Check): Check =>
  (action, option, value) =>
    value === undefined || check(action, option, value);

/** The fields of each type, and what is a good value. */
const fields: Readonly<Record<Toxic["type"], Readonly<Record<string, Check>>>> = {
  latency: { latency: checkDuration, jitter: optional(checkDuration) },
  loss: { rate: checkRatio, retransmit: optional(checkDuration) },
  bandwidth: { bytesPerSecond: checkPositive, queue: optional(anyCount) },
  drop: {},
  corrupt: { rate: checkRatio },
  down: {},
  drip: { bytes: optional(count), interval: checkDuration },
  "slow-close": { delay: checkDuration },
  reset: { after: optional(checkDuration) },
  "half-open": {},
  limit: { bytes: anyCount },
  reorder: { rate: checkRatio, gap: optional(count), hold: optional(checkDuration) },
  duplicate: { rate: checkRatio },
};

const common: Readonly<Record<string, Check>> = {
  name: checkText,
  direction: optional((action, option, value) => checkOneOf(action, option, value, directions)),
  share: optional(checkRatio),
};

const directions: readonly unknown[] = ["upstream", "downstream", "both"];
export const tcpTypes: readonly Toxic["type"][] = [
  "latency",
  "loss",
  "bandwidth",
  "drop",
  "corrupt",
  "down",
  "drip",
  "slow-close",
  "reset",
  "half-open",
  "limit",
];
export const udpTypes: readonly Toxic["type"][] = [
  "latency",
  "loss",
  "bandwidth",
  "drop",
  "corrupt",
  "down",
  "reorder",
  "duplicate",
];

/** Returns the toxic if it is one of these types and makes sense. It may have come from another process. */
export function checkToxic<T extends Toxic>(toxic: T, types: readonly Toxic["type"][]): T {
  if (toxic === null || typeof toxic !== "object") {
    throw new TypeError(`Cannot add a toxic: it must be an object, got ${describe(toxic)}`);
  }
  const { type, ...rest } = toxic;
  checkOneOf("add a toxic", "type", type, types);
  const action = `add a ${type} toxic`;
  const known = { ...common, ...fields[type] };
  checkKnown(action, rest, Object.keys(known));
  for (const [name, check] of Object.entries(known)) {
    check(action, name, (rest as Readonly<Record<string, never>>)[name] as never); // the checks are for any value
  }
  return toxic;
}
