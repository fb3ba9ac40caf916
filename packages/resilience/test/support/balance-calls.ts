// Sends calls through a balancer by hand, in a time that the test decides.
import { type Clock, Context } from "@proj/concurrency";
import type { AcceptEndpoint } from "../../src/lib/balance-strategy.ts";
import type { Balancer } from "../../src/lib/balancer.ts";
import type { OutcomeKind } from "../../src/lib/call.ts";
import { CallRecord } from "../../src/lib/call-record.ts";

/** A call that was sent somewhere and has not ended. */
export interface SentCall {
  /** Of its endpoint. */
  readonly id: string;
  readonly call: CallRecord;
  readonly token: number;
}

export function send(balancer: Balancer, clock: Clock, key?: string, accept?: AcceptEndpoint): SentCall {
  const call = new CallRecord("test", Context.detach(), key, true, 0, 1, clock, clock.now(), undefined);
  const token = balancer.pick(call, accept);
  return { id: call.endpoint?.id ?? "none", call, token };
}

/** Ends it, now or after it `took` so long without the clock having moved. */
export function end(
  balancer: Balancer,
  clock: Clock,
  { call, token }: SentCall,
  outcome: OutcomeKind = "ok",
  took = 0,
) {
  call.outcome = outcome;
  call.endedAt = took === 0 ? clock.now() : call.startedAt + took;
  balancer.exit(call, token);
}

/** Sends calls that end at once, and counts them by endpoint. */
export function share(balancer: Balancer, clock: Clock, calls: number, accept?: AcceptEndpoint): Map<string, number> {
  const counts = new Map<string, number>();
  for (let left = calls; left > 0; left--) {
    const sent = send(balancer, clock, undefined, accept);
    counts.set(sent.id, (counts.get(sent.id) ?? 0) + 1);
    end(balancer, clock, sent);
  }
  return counts;
}

/** Numbers from 0 to 1 that are the same each time (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
