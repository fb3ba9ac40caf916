// Makes name resolution slow or fail, for whatever takes a `lookup` function.
import { lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { type Clock, systemClock } from "@proj/concurrency";
import { checkCount, checkDuration, checkOneOf, checkRatio, describe } from "@proj/concurrency/options";
import { checkKnown, checkText } from "./chaos-check.ts";
import { freshSeed } from "./chaos-random.ts";
import { RuleList } from "./chaos-rule-list.ts";
import { type ChaosPattern, checkPattern, fits } from "./chaos-rules.ts";
import { Subjects } from "./chaos-subjects.ts";

/** To which names a fault applies. */
export interface LookupFaultMatch {
  /** In statistics. Default: the kind of the fault. */
  readonly name?: string | undefined;
  /** The names it is for. Default: any. */
  readonly host?: ChaosPattern | undefined;
  /** The share of the lookups it is for that it hits, from 0 to 1. Default: 1. */
  readonly rate?: number | undefined;
  /** How many lookups it hits at most. Default: `Infinity`. */
  readonly times?: number | undefined;
}

/** A name is not found. */
export interface LookupFailure extends LookupFaultMatch {
  /** Tells it from the others. */
  readonly kind: "fail";
  /** As the system tells it. Default: `"ENOTFOUND"`. */
  readonly code?: "ENOTFOUND" | "EAI_AGAIN" | "ETIMEOUT" | "ESERVFAIL" | undefined;
}

/** A name is found late. */
export interface LookupLatency extends LookupFaultMatch {
  /** Tells it from the others. */
  readonly kind: "latency";
  /** Milliseconds. */
  readonly ms: number;
  /** Up to so many milliseconds more or less. Default: 0. */
  readonly jitter?: number | undefined;
}

/** One thing to do to some lookups. */
export type LookupFault = LookupFailure | LookupLatency;

/** What can be set on {@link lookupFaults}. */
export interface LookupFaultsOptions {
  /** For labels. Default: `"dns"`. */
  readonly name?: string | undefined;
  /** Resolves what is not hit. Default: `dns.lookup`. */
  readonly lookup?: LookupFunction | undefined;
  /** Decides which lookups are hit. Default: another one each time. */
  readonly seed?: number | undefined;
  /** Measures delays. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** Faults for name resolution, made by {@link lookupFaults}. */
export interface LookupFaults {
  /** As the options say. */
  readonly name: string;
  /** In the order in which they are tried. */
  readonly rules: readonly LookupFault[];
  /** To be given to `net.connect`, `http.request`, undici's `connect` and others as their `lookup`. */
  readonly lookup: LookupFunction;
  /** Replaces all faults. */
  set(rules: readonly LookupFault[]): void;
  /** Adds a fault behind the others. Disposing the result takes it away. */
  add(rule: LookupFault): Disposable;
  /** Takes all faults away. */
  clear(): void;
  /** How many lookups each fault has hit, by name. */
  stats(): Readonly<Record<string, unknown>>;
}

/**
 * Makes a `lookup` function whose answers can be delayed and made to fail. Numbers as `127.0.0.1` are never looked up, so
 * use names.
 *
 * @throws RangeError or TypeError for faults and options that make no sense
 * @example
 * ```ts
 * import { connect } from "node:net";
 * import { lookupFaults } from "@proj/resilience/chaos";
 *
 * const dns = lookupFaults([{ kind: "fail", host: "localhost", code: "EAI_AGAIN" }]);
 * const socket = connect({ host: "localhost", port: 80, lookup: dns.lookup });
 * socket.on("error", (error: NodeJS.ErrnoException) => console.log(error.code)); // prints: EAI_AGAIN
 * ```
 */
export function lookupFaults(rules: readonly LookupFault[] = [], options: LookupFaultsOptions = {}): LookupFaults {
  // As in `net`: the overload that takes both kinds of options.
  const { name = "dns", lookup = systemLookup as LookupFunction, seed = freshSeed(), clock = systemClock } = options;
  const list = new RuleList(
    checkCount("create lookupFaults", "seed", seed, Number.MIN_SAFE_INTEGER) >>> 0,
    rules,
    checkLookupFault,
  );
  const subjects = new Subjects(seed >>> 0);
  return {
    name,
    get rules() {
      return list.rules;
    },
    set: (faults) => list.set(faults),
    add: (fault) => list.add(fault),
    clear: () => list.set([]),
    stats: () => ({ rules: list.rules.length, hits: list.hits }),
    lookup(host, lookupOptions, callback) {
      const subject = list.rules.length === 0 ? 0 : subjects.next(host);
      let delay = 0;
      let failure: LookupFailure | undefined;
      for (const [place, rule] of list.rules.entries()) {
        if (failure !== undefined || !fits(rule.host, host) || !list.tryHit(rule, place, subject)) continue;
        if (rule.kind === "fail") failure = rule;
        else delay += list.delay(rule.ms, rule.jitter ?? 0, place, subject);
      }
      if (delay === 0 && failure === undefined) {
        lookup(host, lookupOptions, callback);
        return;
      }
      // A lookup never calls back before it has returned.
      const timer = clock.setTimeout(() => {
        if (failure === undefined) lookup(host, lookupOptions, callback);
        else callback(errorOf(host, failure.code ?? "ENOTFOUND"), lookupOptions.all ? [] : "", 0);
      }, delay);
      timer.ref();
    },
  };
}

function checkLookupFault(fault: LookupFault): LookupFault {
  const action = "make a lookup fault";
  if (fault === null || typeof fault !== "object") {
    throw new TypeError(`Cannot ${action}: it must be an object, got ${describe(fault)}`);
  }
  checkOneOf(action, "kind", fault.kind, ["fail", "latency"]);
  const fields = fault.kind === "fail" ? ["code"] : ["ms", "jitter"];
  checkKnown(action, fault, ["kind", "name", "host", "rate", "times", ...fields]);
  checkText(action, "name", fault.name);
  if (fault.rate !== undefined) checkRatio(action, "rate", fault.rate);
  if (fault.times !== undefined) checkCount(action, "times", fault.times, 0, true);
  checkPattern(action, "host", fault.host);
  if (fault.kind === "latency") {
    checkDuration(action, "ms", fault.ms);
    if (fault.jitter !== undefined) checkDuration(action, "jitter", fault.jitter);
  } else if (fault.code !== undefined) {
    checkOneOf(action, "code", fault.code, ["ENOTFOUND", "EAI_AGAIN", "ETIMEOUT", "ESERVFAIL"]);
  }
  return fault;
}

function errorOf(hostname: string, code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`getaddrinfo ${code} ${hostname}`), { code, syscall: "getaddrinfo", hostname });
}
