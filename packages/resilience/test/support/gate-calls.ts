// Puts calls through a gate by hand: each begins and ends when the test says so.
import { type Clock, Context } from "@proj/concurrency";
import type { OutcomeKind } from "../../src/lib/call.ts";
import { CallRecord } from "../../src/lib/call-record.ts";
import type { Endpoint } from "../../src/lib/endpoint.ts";
import type { Gate } from "../../src/lib/policy.ts";

/** A call that was let in and has not ended. */
export interface BegunCall {
  readonly call: CallRecord;
  readonly token: number;
}

export interface BeginOptions {
  readonly key?: string | undefined;
  readonly endpoint?: Endpoint | undefined;
}

/** Time that goes on when it is told to. Gates have no timers, so it has none. */
export class GateClock implements Clock {
  #now = 0;

  now(): number {
    return this.#now;
  }

  wall(): number {
    return Date.UTC(2030, 0, 1) + this.#now;
  }

  pass(ms: number): void {
    this.#now += ms;
  }

  setTimeout(): never {
    throw new Error("Cannot set a timer: a gate must have none");
  }
}

/** Calls of one gate. */
export class GateCalls<G extends Gate> {
  readonly clock: GateClock;
  readonly gate: G;

  constructor(make: (clock: Clock) => G, clock = new GateClock()) {
    this.clock = clock;
    this.gate = make(clock);
  }

  pass(ms: number): void {
    this.clock.pass(ms);
  }

  /** Lets a call in, or throws what the gate throws. */
  begin({ key, endpoint }: BeginOptions = {}): BegunCall {
    const call = new CallRecord("test", Context.current(), key, true, 0, 1, this.clock, this.clock.now(), endpoint);
    return { call, token: this.gate.enter(call) };
  }

  end({ call, token }: BegunCall, outcome: OutcomeKind): void {
    call.outcome = outcome;
    call.endedAt = this.clock.now();
    this.gate.exit(call, token);
  }

  /** A whole call, which takes no time or `took`. Returns what it was rejected with, if it was. */
  make(outcome: OutcomeKind, { took = 0, ...options }: BeginOptions & { readonly took?: number } = {}): unknown {
    let begun: BegunCall;
    try {
      begun = this.begin(options);
    } catch (error) {
      return error;
    }
    this.pass(took);
    this.end(begun, outcome);
    return undefined;
  }
}
