// What can be wrong with an HTTP server's answers, as plain data.
import { checkCount, checkDuration, checkFunction, checkOneOf, checkRatio, describe } from "@proj/concurrency/options";
import { checkKnown, checkText } from "./chaos-check.ts";
import { type ChaosPattern, checkPattern, fits } from "./chaos-rules.ts";

/** A request, as far as rules look at it. */
export interface HttpFaultRequest {
  /** As `"GET"`. */
  readonly method: string;
  /** Without the query. */
  readonly path: string;
}

/** To which requests a rule applies: to those that meet all that is said here. */
export interface HttpFaultMatch {
  /** In statistics. Default: the kind of the rule. */
  readonly name?: string | undefined;
  /** The share of the requests it is for that it hits, from 0 to 1. Default: 1. */
  readonly rate?: number | undefined;
  /** Default: any. */
  readonly method?: ChaosPattern | undefined;
  /** Without the query. Default: any. */
  readonly path?: ChaosPattern | undefined;
  /** Whatever else decides. Must not throw. Default: always. */
  readonly when?: ((request: HttpFaultRequest) => boolean) | undefined;
  /** How many requests it hits at most. Default: `Infinity`. */
  readonly times?: number | undefined;
}

/** The answer begins late. */
export interface SlowHeadersFault extends HttpFaultMatch {
  /** Tells it from the others. */
  readonly kind: "slow-headers";
  /** Milliseconds. */
  readonly delay: number;
  /** Up to so many milliseconds more or less. Default: 0. */
  readonly jitter?: number | undefined;
}

/** The body comes in small pieces with pauses between them. */
export interface SlowBodyFault extends HttpFaultMatch {
  /** Tells it from the others. */
  readonly kind: "slow-body";
  /** In a piece. Default: 1,024. */
  readonly bytes?: number | undefined;
  /** Milliseconds between two pieces. */
  readonly interval: number;
}

/** Another answer, without the handler having been asked. */
export interface StatusFault extends HttpFaultMatch {
  /** Tells it from the others. */
  readonly kind: "status";
  /** From 200 to 599. */
  readonly status: number;
  /** Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Default: empty. The statuses 204, 205 and 304 have none. */
  readonly body?: string | undefined;
}

/** The body ends early, as if that were all. Where a content-length was announced, the connection is closed. */
export interface TruncateFault extends HttpFaultMatch {
  /** Tells it from the others. */
  readonly kind: "truncate";
  /** So many bytes get through. */
  readonly bytes: number;
}

/** The content-length is wrong, where there is one. */
export interface WrongLengthFault extends HttpFaultMatch {
  /** Tells it from the others. */
  readonly kind: "wrong-length";
  /** So many bytes more, or less if it is negative, than there are. */
  readonly by: number;
}

/** The connection is reset in the midst of the body. */
export interface ResetFault extends HttpFaultMatch {
  /** Tells it from the others. */
  readonly kind: "reset";
  /** So many bytes of the body get through before. Default: 0. */
  readonly bytes?: number | undefined;
}

/** There is no answer, and the handler is not asked. */
export interface NoAnswerFault extends HttpFaultMatch {
  /** Tells it from the others. */
  readonly kind: "no-answer";
}

/** One thing to do to some answers. Plain data, but for `when`. */
export type HttpFault =
  | SlowHeadersFault
  | SlowBodyFault
  | StatusFault
  | TruncateFault
  | WrongLengthFault
  | ResetFault
  | NoAnswerFault;

const common = ["kind", "name", "rate", "method", "path", "when", "times"];

/** What only faults of one kind have. */
const fields: Readonly<Record<HttpFault["kind"], readonly string[]>> = {
  "slow-headers": ["delay", "jitter"],
  "slow-body": ["bytes", "interval"],
  status: ["status", "headers", "body"],
  truncate: ["bytes"],
  "wrong-length": ["by"],
  reset: ["bytes"],
  "no-answer": [],
};
const kinds = Object.keys(fields);

/** Returns the fault if it makes sense. */
export function checkHttpFault(fault: HttpFault): HttpFault {
  const action = "make an HTTP fault";
  if (fault === null || typeof fault !== "object") {
    throw new TypeError(`Cannot ${action}: it must be an object, got ${describe(fault)}`);
  }
  checkOneOf<string>(action, "kind", fault.kind, kinds);
  checkKnown(action, fault, [...common, ...fields[fault.kind]]);
  checkText(action, "name", fault.name);
  if (fault.rate !== undefined) checkRatio(action, "rate", fault.rate);
  if (fault.times !== undefined) checkCount(action, "times", fault.times, 0, true);
  if (fault.when !== undefined) checkFunction(action, "when", fault.when);
  checkPattern(action, "method", fault.method);
  checkPattern(action, "path", fault.path);
  if (fault.kind === "slow-headers") {
    checkDuration(action, "delay", fault.delay);
    if (fault.jitter !== undefined) checkDuration(action, "jitter", fault.jitter);
  } else if (fault.kind === "slow-body") {
    checkDuration(action, "interval", fault.interval);
    if (fault.bytes !== undefined) checkCount(action, "bytes", fault.bytes, 1);
  } else if (fault.kind === "status") checkStatus(action, fault);
  else if (fault.kind === "truncate") checkCount(action, "bytes", fault.bytes, 0);
  else if (fault.kind === "reset" && fault.bytes !== undefined) checkCount(action, "bytes", fault.bytes, 0);
  else if (fault.kind === "wrong-length") checkCount(action, "by", fault.by, Number.MIN_SAFE_INTEGER);
  return fault;
}

/** An answer that nobody could give would fail the server, and not the client. */
function checkStatus(action: string, { status, headers, body }: StatusFault): void {
  if (checkCount(action, "status", status, 200) > 599) {
    throw new RangeError(`Cannot ${action}: status must be at most 599, got ${status}`);
  }
  checkText(action, "body", body);
  if (body !== undefined && [204, 205, 304].includes(status)) {
    throw new TypeError(`Cannot ${action}: body must be left out, as an answer with the status ${status} has none`);
  }
  if (headers === undefined) return;
  const isGood =
    typeof headers === "object" &&
    headers !== null &&
    Object.entries(headers).every(
      ([name, value]) =>
        /^[\w!#$%&'*+.^`|~-]+$/.test(name) && typeof value === "string" && /^[\t\x20-\x7e\x80-\xff]*$/.test(value),
    );
  if (!isGood) throw new TypeError(`Cannot ${action}: headers must be an object of names and texts as HTTP has them`);
}

/** Whether the fault is for this request, its `rate` aside. */
export function isFor(fault: HttpFault, request: HttpFaultRequest): boolean {
  return fits(fault.method, request.method) && fits(fault.path, request.path) && (fault.when?.(request) ?? true);
}

/** What is to become of one answer. */
export interface HttpFaultPlan {
  /** Milliseconds until it begins. */
  readonly delay: number;
  readonly noAnswer: boolean;
  readonly status: StatusFault | undefined;
  /** Added to the content-length. */
  readonly wrongBy: number;
  /** What happens to the body; `undefined` if nothing. */
  readonly body: BodyPlan | undefined;
}

export interface BodyPlan {
  /** Bytes that go out at a time. */
  readonly slice: number;
  /** Milliseconds between two slices. */
  readonly interval: number;
  /** Bytes that get through at most. */
  readonly limit: number;
  /** What happens then. */
  readonly end: "truncate" | "reset";
}
