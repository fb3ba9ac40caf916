// Puts calls through a gate without promises: a million of them take a second.
import { Context } from "@proj/concurrency";
import type { OutcomeKind } from "../../src/lib/call.ts";
import { CallRecord } from "../../src/lib/call-record.ts";
import type { Endpoint } from "../../src/lib/endpoint.ts";
import type { Gate, Policy } from "../../src/lib/policy.ts";
import type { Simulation } from "./simulation.ts";

/** A call that was let in. */
export interface Visit {
  readonly endpoint: Endpoint | undefined;
  readonly end: (outcome: OutcomeKind) => void;
}

export class GateClient {
  readonly #simulation: Simulation;
  readonly #gate: Gate;

  constructor(simulation: Simulation, policy: Policy) {
    this.#simulation = simulation;
    this.#gate = policy as Gate; // one that has a queue would have no `enter`
  }

  /** Returns nothing if the call was turned away. */
  begin(key?: string): Visit | undefined {
    const { clock } = this.#simulation;
    const call = new CallRecord("client", Context.current(), key, false, 0, 1, clock, clock.now(), undefined);
    let token: number;
    try {
      token = this.#gate.enter(call);
    } catch {
      return undefined;
    }
    const { endpoint } = call;
    const end = (outcome: OutcomeKind) => {
      call.endedAt = clock.now();
      call.outcome = outcome;
      this.#gate.exit(call, token);
    };
    return { endpoint, end };
  }
}
