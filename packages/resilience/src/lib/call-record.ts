// The calls that the policies are given.
import type { Clock, Context } from "@proj/concurrency";
import type { Call, OutcomeKind } from "./call.ts";
import type { Endpoint } from "./endpoint.ts";

/** A call that its maker can write to. One shape for all, so that reading it stays fast. */
export class CallRecord implements Call {
  readonly name: string;
  readonly context: Context;
  readonly key: string | undefined;
  readonly idempotent: boolean;
  readonly priority: number;
  readonly attempt: number;
  readonly clock: Clock;
  startedAt: number;
  endpoint: Endpoint | undefined;
  endedAt = 0;
  outcome: OutcomeKind = "ok";
  retryAfterMs: number | undefined;
  untouched = false;
  error: unknown;
  value: unknown;

  constructor(
    name: string,
    context: Context,
    key: string | undefined,
    idempotent: boolean,
    priority: number,
    attempt: number,
    clock: Clock,
    startedAt: number,
    endpoint: Endpoint | undefined,
  ) {
    this.name = name;
    this.context = context;
    this.key = key;
    this.idempotent = idempotent;
    this.priority = priority;
    this.attempt = attempt;
    this.clock = clock;
    this.startedAt = startedAt;
    this.endpoint = endpoint;
  }
}

/** The same call as another attempt, in another context; it starts now and on no endpoint. */
export function forkCall(call: Call, attempt: number, context: Context = call.context): CallRecord {
  return new CallRecord(
    call.name,
    context,
    call.key,
    call.idempotent,
    call.priority,
    attempt,
    call.clock,
    call.clock.now(),
    undefined,
  );
}
