// The circuit breaker: keeps calls from what is ill, and finds out when it is well.
import { type Clock, systemClock } from "@proj/concurrency";
import type { ComponentStats } from "@proj/concurrency/inspect";
import { checkOneOf } from "@proj/concurrency/options";
import type { OpenReason } from "./breaker-events.ts";
import { Forced, type ForcedState } from "./breaker-forced.ts";
import type { BreakerHints } from "./breaker-hints.ts";
import { type BreakerOptions, type BreakerSettings, readBreakerOptions } from "./breaker-options.ts";
import { type BreakerSnapshot, checkSnapshot } from "./breaker-snapshot.ts";
import type { CallCounts } from "./breaker-window.ts";
import type { Call } from "./call.ts";
import type { CallRecord } from "./call-record.ts";
import { type BreakerState, type Circuit, type CircuitHost, rejected } from "./circuit.ts";
import { CircuitOpenError } from "./circuit-open-error.ts";
import { CircuitTable } from "./circuit-table.ts";
import { listening, tell } from "./events.ts";
import type { Gate, QuietGate } from "./policy.ts";
import { rejection } from "./stackless.ts";
import { turnAway } from "./verdict.ts";

/** A circuit for each key, made by {@link breaker}. */
export interface Breaker extends Gate {
  readonly kind: "breaker";
  /** Of a key: that of the endpoint, else that of the call; none for calls without. A key never seen is closed. */
  state(key?: string): BreakerState;
  /** How the calls in the window of a key have ended; the probes, while it is half-open. */
  counts(key?: string): CallCounts;
  /** Whether a call with this key would be rejected now. `now` is a time of the clock that the caller has just read. */
  isOpen(key?: string, now?: number): boolean;
  /**
   * Lets nobody through, or everybody, until `"auto"`: then it goes by the results again, and starts closed with nothing
   * counted. Results of calls that began before or meanwhile do not count. For one key, or for all if there is none; the last word on a key counts.
   */
  force(state: ForcedState, key?: string): void;
  /** How many circuits there are, how many of them not closed, and how many calls were rejected and circuits opened. */
  stats(): ComponentStats;
  /** All that is known, to be kept or sent; called by `JSON.stringify`. */
  toJSON(): BreakerSnapshot;
  /**
   * Puts what another breaker has told by `toJSON` in the place of all that is known here. The time since then has passed:
   * an open circuit may be due for probes, old results do not count.
   *
   * @throws TypeError or RangeError for what is no snapshot; then nothing has changed
   */
  restore(snapshot: BreakerSnapshot): void;
}

/**
 * Makes a circuit breaker. It is **closed** and counts results until one of its limits is exceeded: `failureRate`,
 * `timeoutRate` or `slowRate` of at least `minCalls` in the `window` (a rate equal to its limit does not trip), or so many
 * failures in a row. Then it is **open** and rejects calls at once, for a time that grows with each opening in a row.
 * Then it is **half-open** and lets a few probes through, rejecting the others at once: when `required` of them succeed
 * and are not slow it is closed again, with nothing counted; as soon as they cannot, it is open again. A probe that never
 * ends is taken for a failure after `probeTimeout`, so it never stays half-open while calls come.
 *
 * Outcomes of kind `"ignore"` are not counted, and give a probe's place to the next. A result that belongs to an older
 * state than the present one is dropped, however late it comes.
 *
 * **Keys**: calls meet the circuit of their endpoint, else of their key, else the one for all others. There is no timer and
 * nothing that runs: time is looked at when a call comes. An idle key is forgotten.
 *
 * @throws TypeError or RangeError for an option that is none. Calls are rejected with a {@link CircuitOpenError}
 * @example
 * ```ts
 * import { breaker } from "@proj/resilience";
 *
 * const users = breaker({ failureRate: 0.5, timeoutRate: 0.3, consecutive: 5, halfOpen: { probes: 5, required: 3 } });
 * users.force("open", "eu-1"); // an operator knows better
 * console.log(users.state("eu-1"), users.isOpen("eu-1"), users.state("us-1")); // prints: open true closed
 * ```
 */
export function breaker(options: BreakerOptions = {}): Breaker {
  return new KeyedBreaker(options);
}

/** Of a call that was let in because somebody said so: its result does not matter. */
const forcedToken = 0;

class KeyedBreaker implements Breaker, QuietGate, CircuitHost {
  readonly kind = "breaker";
  readonly settings: BreakerSettings;
  readonly #stack: boolean;
  readonly #hints: BreakerHints | undefined;
  readonly #table: CircuitTable;
  /** The circuits that are not closed. */
  readonly #ill = new Set<Circuit>();
  #name: string | undefined;
  #clock: Clock | undefined;
  /** `undefined` while nothing is forced, which is asked at each call. */
  #forced: Forced | undefined;
  #token = forcedToken;
  #rejected = 0;
  #opened = 0;

  constructor(options: BreakerOptions) {
    this.settings = readBreakerOptions(options);
    this.#name = options.name;
    this.#clock = options.clock;
    this.#stack = options.stack ?? false;
    this.#hints = options.hints;
    this.#table = new CircuitTable(this, (circuit) => this.#ill.delete(circuit));
    this.#hints?.connect((key) => this.#suggestOpen(key));
  }

  enter(call: Call): number {
    const token = this.#enter(call);
    if (typeof token !== "number") throw token;
    return token;
  }

  tryEnter(call: CallRecord): number | undefined {
    const token = this.#enter(call);
    if (typeof token === "number") return token;
    turnAway(call, token);
    return undefined;
  }

  #enter(call: Call): number | CircuitOpenError {
    this.#clock ??= call.clock;
    this.#name ??= call.name;
    this.#hints?.touch();
    const key = call.endpoint === undefined ? call.key : call.endpoint.id;
    const forced = this.#forced?.of(key);
    if (forced === "closed") return forcedToken;
    const now = call.startedAt;
    if (forced === "open") return this.#reject(call, key, undefined);
    const circuit = this.#table.use(key, now);
    const token = circuit.enter(now);
    return token === rejected ? this.#reject(call, key, circuit.retryAfterMs(now)) : token;
  }

  exit(call: Call, token: number): void {
    if (token === forcedToken) return;
    const { endpoint, outcome, startedAt, endedAt } = call;
    const circuit = this.#table.find(endpoint === undefined ? call.key : endpoint.id);
    if (circuit?.exit(token, outcome, endedAt - startedAt, endedAt) === true || endpoint === undefined) return;
    // A balancer further inside has chosen the endpoint only after the call was let in by its key.
    this.#table.find(call.key)?.exit(token, outcome, endedAt - startedAt, endedAt);
  }

  state(key?: string): BreakerState {
    const forced = this.#forced?.of(key);
    if (forced !== undefined) return forced;
    const circuit = this.#table.find(key);
    circuit?.settle(this.#now());
    return circuit?.state ?? "closed";
  }

  counts(key?: string): CallCounts {
    const circuit = this.#table.find(key);
    circuit?.settle(this.#now());
    return circuit?.counts ?? none;
  }

  isOpen(key?: string, now: number = this.#now()): boolean {
    const forced = this.#forced?.of(key);
    if (forced !== undefined) return forced === "open";
    const circuit = this.#table.find(key);
    return circuit !== undefined && !circuit.isReady(now);
  }

  force(state: ForcedState, key?: string): void {
    checkOneOf("force a breaker", "state", state, ["open", "closed", "auto"]);
    this.#forced ??= new Forced();
    this.#forced.set(state, key);
    if (this.#forced.isEmpty) this.#forced = undefined;
    // What was counted, and whatever is under way, has nothing to say any more.
    if (key === undefined) this.#table.clear();
    else this.#table.forget(key);
    if (listening()) this.#tellForced(state, key);
  }

  stats(): ComponentStats {
    const now = this.#now();
    let open = 0;
    for (const circuit of this.#ill) {
      circuit.settle(now);
      if (circuit.state === "open") open++;
    }
    const circuits = this.#table.size;
    return { circuits, open, halfOpen: this.#ill.size - open, rejected: this.#rejected, opened: this.#opened };
  }

  toJSON(): BreakerSnapshot {
    const clock = this.#clock ?? systemClock;
    const now = clock.now();
    const circuits = Array.from(this.#table, (circuit) => ({ key: circuit.key ?? null, ...circuit.save(now) }));
    return { version: 1, savedAt: clock.wall(), circuits, forced: this.#forced?.save() ?? [] };
  }

  restore(snapshot: BreakerSnapshot): void {
    const { savedAt, circuits, forced } = checkSnapshot(snapshot);
    const clock = this.#clock ?? systemClock;
    const now = clock.now();
    const age = Math.max(0, clock.wall() - savedAt);
    this.#table.clear();
    this.#forced = undefined;
    for (const { key, state } of forced) this.force(state, key ?? undefined);
    for (const { key, ...memory } of circuits) {
      const circuit = this.#table.use(key ?? undefined, now);
      circuit.restore(memory, age, now);
      if (circuit.state !== "closed") this.#ill.add(circuit);
    }
  }

  nextToken(): number {
    return ++this.#token;
  }

  changed(circuit: Circuit, reason: OpenReason | "time"): void {
    const { key, state } = circuit;
    if (state === "closed") {
      this.#ill.delete(circuit);
      this.#hints?.closed(key);
    } else {
      this.#ill.add(circuit);
    }
    if (state === "open") {
      this.#opened++;
      if (reason !== "hint") this.#hints?.opened(key, circuit.openMs); // only own experience is worth telling
    }
    if (listening()) this.#tell(circuit, reason);
  }

  #tell(circuit: Circuit, reason: OpenReason | "time"): void {
    const { key, counts, openMs } = circuit;
    const name = this.#name ?? this.kind;
    if (circuit.state === "closed") tell({ kind: "breaker-closed", name, key, reason: "probes", counts });
    else if (reason === "time") tell({ kind: "breaker-half-opened", name, key, reason });
    else tell({ kind: "breaker-opened", name, key, reason, counts, openMs });
  }

  #tellForced(state: ForcedState, key: string | undefined): void {
    const name = this.#name ?? this.kind;
    if (state !== "open") tell({ kind: "breaker-closed", name, key, reason: "forced", counts: none });
    else tell({ kind: "breaker-opened", name, key, reason: "forced", counts: none, openMs: Number.POSITIVE_INFINITY });
  }

  #reject(call: Call, key: string | undefined, retryAfterMs: number | undefined): CircuitOpenError {
    this.#rejected++;
    return rejection(this.#stack, () => new CircuitOpenError(call.name, key, retryAfterMs));
  }

  /** A key of which this process knows nothing must not cost it one that it does know. */
  #suggestOpen(key: string | undefined): void {
    if (this.#forced?.of(key) !== undefined) return;
    if (this.#table.find(key) === undefined && this.#table.size >= this.settings.maxKeys) return;
    const now = this.#now();
    this.#table.use(key, now).suggestOpen(now);
  }

  #now(): number {
    return (this.#clock ?? systemClock).now();
  }
}

const none: CallCounts = { calls: 0, failures: 0, timeouts: 0, slow: 0 };
