// One circuit: closed, open or half-open. Time and results move it, nothing else; it has no timer.
import { pauseOf } from "./backoff.ts";
import type { OpenReason } from "./breaker-events.ts";
import type { BreakerSettings } from "./breaker-options.ts";
import type { CallCounts, CallWindow } from "./breaker-window.ts";
import type { OutcomeKind } from "./call.ts";

/** Whether calls pass, are rejected, or are probes. */
export type BreakerState = "closed" | "open" | "half-open";

/** What a circuit asks of its breaker. */
export interface CircuitHost {
  readonly settings: BreakerSettings;
  /** A number that no other has got, above zero: results are recognised by it. */
  nextToken(): number;
  /** Told of each change, while the counts still are those that led to it. */
  changed(circuit: Circuit, reason: OpenReason | "time"): void;
}

/** Milliseconds for which it is open where the backoff has no answer: it must neither stay closed nor be open for ever. */
const usual = 5_000;

/** Instead of a token: the call must not be made. */
export const rejected = -1;

/** What outlives a process. */
export interface CircuitMemory {
  /** Of its window, if it is closed. */
  readonly counts: CallCounts;
  /** Failures in a row. */
  readonly consecutive: number;
  /** How many times in a row it was opened. */
  readonly openings: number;
  /** Milliseconds until it lets probes through; `null` if it is closed. */
  readonly openMs: number | null;
}

interface Probe {
  readonly token: number;
  readonly startedAt: number;
}

export class Circuit {
  readonly key: string | undefined;
  /** Neighbours in order of use; kept by the table. */
  newer: Circuit | undefined;
  older: Circuit | undefined;
  usedAt = 0;

  readonly #host: CircuitHost;
  readonly #window: CallWindow;
  #state: BreakerState = "closed";
  /** Of calls in the closed state. A result with another one is from before it, and dropped. */
  #token: number;
  #consecutive = 0;
  /** In a row, without having been closed. */
  #openings = 0;
  #openMs = 0;
  #openUntil = 0;
  /** Under way. A list is enough for the few there are. */
  #probes: Probe[] = [];
  #succeeded = 0;
  #failed = 0;

  constructor(host: CircuitHost, key: string | undefined) {
    this.#host = host;
    this.key = key;
    this.#window = host.settings.makeWindow();
    this.#token = host.nextToken();
  }

  /** As `settle` left it. */
  get state(): BreakerState {
    return this.#state;
  }

  /** For how long it was opened the last time. */
  get openMs(): number {
    return this.#openMs;
  }

  /** How many times in a row it was opened. */
  get openings(): number {
    return this.#openings;
  }

  /** Of the window; of the probes when it is half-open. */
  get counts(): CallCounts {
    const { calls, failures, timeouts, slow } = this.#window;
    return { calls, failures, timeouts, slow };
  }

  /** Milliseconds until an open circuit lets probes through; `undefined` in another state. */
  retryAfterMs(now: number): number | undefined {
    return this.#state === "open" ? Math.ceil(this.#openUntil - now) : undefined;
  }

  /** Lets a call in and returns its token, or returns `rejected`. */
  enter(now: number): number {
    if (this.#state === "closed") return this.#token;
    if (!this.isReady(now)) return rejected;
    const token = this.#host.nextToken();
    this.#probes.push({ token, startedAt: now });
    return token;
  }

  /** Whether a call would be let in. */
  isReady(now: number): boolean {
    this.settle(now);
    if (this.#state !== "half-open") return this.#state === "closed";
    return this.#probes.length + this.#succeeded + this.#failed < this.#host.settings.probes;
  }

  /** Returns whether it knows the token: those of an older state, or of a probe that was taken as lost, it does not. */
  exit(token: number, outcome: OutcomeKind, took: number, now: number): boolean {
    const isSlow = took > this.#host.settings.slowCall;
    if (this.#state === "closed") {
      if (token !== this.#token) return false;
      if (outcome !== "ignore") this.#record(outcome, isSlow, now);
    } else {
      this.settle(now);
      const index = this.#probes.findIndex((probe) => probe.token === token);
      if (index === -1) return false;
      this.#probes.splice(index, 1);
      if (outcome !== "ignore") this.#judge(outcome !== "ok", outcome === "timeout", isSlow, now);
    }
    return true;
  }

  /** Lets the time pass that has passed: probes get lost, and an open circuit becomes half-open. */
  settle(now: number): void {
    if (this.#state === "closed") this.#window.advance(now);
    if (this.#state === "half-open") this.#loseProbes(now);
    if (this.#state === "open" && now >= this.#openUntil) this.#halfOpen();
  }

  /** Others say that the dependency is ill. */
  suggestOpen(now: number): void {
    if (this.#state === "closed") this.#open(now, "hint");
  }

  save(now: number): CircuitMemory {
    this.settle(now);
    const isClosed = this.#state === "closed";
    return {
      counts: isClosed ? this.counts : { calls: 0, failures: 0, timeouts: 0, slow: 0 },
      consecutive: this.#consecutive,
      openings: this.#openings,
      openMs: isClosed ? null : Math.min(Number.MAX_SAFE_INTEGER, this.retryAfterMs(now) ?? 0),
    };
  }

  /** Into a circuit that has just been made. `age` is how many milliseconds ago it was saved. */
  restore({ counts, consecutive, openings, openMs }: CircuitMemory, age: number, now: number): void {
    this.#openings = openings;
    if (openMs !== null) {
      this.#state = "open";
      this.#openMs = openMs;
      this.#openUntil = now + Math.max(0, openMs - age);
      return;
    }
    this.#window.advance(now - age);
    this.#window.load(counts);
    this.#window.advance(now);
    this.#consecutive = consecutive;
  }

  #record(outcome: OutcomeKind, isSlow: boolean, now: number): void {
    const window = this.#window;
    window.advance(now);
    if (outcome === "ok" || window.calls === 0) this.#consecutive = 0; // a run that time has interrupted is none
    if (outcome !== "ok") this.#consecutive++;
    window.record(outcome !== "ok", outcome === "timeout", isSlow);
    const reason = this.#reasonToOpen();
    if (reason !== undefined) this.#open(now, reason);
  }

  /** Divisions, because `0.29 * 100` is not 29: a rate that is equal to its limit must not trip. */
  #reasonToOpen(): OpenReason | undefined {
    const { consecutive, minCalls, failureRate, timeoutRate, slowRate } = this.#host.settings;
    if (this.#consecutive >= consecutive) return "consecutive";
    const { calls, failures, timeouts, slow } = this.#window;
    if (calls < minCalls) return undefined;
    if (failures / calls > failureRate) return "failure-rate";
    if (timeouts / calls > timeoutRate) return "timeout-rate";
    return slow / calls > slowRate ? "slow-rate" : undefined;
  }

  #judge(isFailure: boolean, isTimeout: boolean, isSlow: boolean, now: number): void {
    const { probes, required } = this.#host.settings;
    this.#window.record(isFailure, isTimeout, isSlow);
    if (isFailure || isSlow) this.#failed++;
    else this.#succeeded++;
    if (this.#succeeded >= required) this.#close();
    else if (this.#failed > probes - required) this.#open(now, "probes");
  }

  /** In the order in which they began, each at its own time: it does not matter when somebody looks. */
  #loseProbes(now: number): void {
    for (let [oldest] = this.#probes; oldest !== undefined; [oldest] = this.#probes) {
      const lostAt = oldest.startedAt + this.#host.settings.probeTimeout;
      if (now < lostAt) return;
      this.#probes.shift();
      this.#judge(true, true, false, lostAt);
      if (this.#state !== "half-open") return;
    }
  }

  #open(at: number, reason: OpenReason): void {
    const { open, random } = this.#host.settings;
    this.#openings++;
    this.#openMs = pauseOf(open, this.#openings, this.#openMs, random) ?? usual;
    this.#openUntil = at + this.#openMs;
    this.#change("open", reason);
  }

  #halfOpen(): void {
    this.#succeeded = 0;
    this.#failed = 0;
    this.#change("half-open", "time");
  }

  #close(): void {
    this.#openings = 0;
    this.#openMs = 0;
    this.#token = this.#host.nextToken();
    this.#change("closed", "probes");
  }

  /** Whatever was under way or counted before has nothing to say in the new state. */
  #change(state: BreakerState, reason: OpenReason | "time"): void {
    this.#state = state;
    this.#host.changed(this, reason);
    this.#window.clear(); // and with it the run of failures
    if (this.#probes.length > 0) this.#probes = [];
  }
}
