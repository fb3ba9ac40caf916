// The calls that the policies are given.
import { type Clock, Context, systemClock } from "@proj/concurrency";
import { budgetIn, type RetryBudget } from "./budget.ts";
import type { Call, OutcomeKind } from "./call.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Tokens } from "./gates.ts";
import type { Guard } from "./guard.ts";
import { keepShape } from "./keep-shape.ts";
import { callPriority } from "./priority.ts";

/** A call that its maker can write to. One shape for all, so that reading it stays fast. */
export class CallRecord implements Call {
  readonly name: string;
  context: Context;
  readonly key: string | undefined;
  readonly idempotent: boolean;
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

  /** Whether it has failed with `error`, which may be `undefined`, and has no `value`. */
  hasThrown = false;
  /** The context outside of the frame that it is in. */
  readonly above: Context;
  /** When all attempts in its frame must be over. */
  deadline: number | undefined;
  /** Of the gates that it has passed. */
  outerTokens: Tokens | undefined;
  innerTokens: Tokens | undefined;
  /** Whether a budget has counted it as a request. */
  isCounted = false;
  /** The endpoints that all attempts of the call have been sent to, by id; only where there is a choice. */
  tried: string[] | undefined;
  /** When the frames outside of it will have ended it. */
  until: number | undefined;
  /** What its frame ends it by. */
  guard: Guard | undefined;
  /** As the caller gave it. */
  readonly #priority: number | undefined;

  constructor(
    name: string,
    context: Context,
    key: string | undefined,
    idempotent: boolean,
    priority: number | undefined,
    attempt: number,
    clock: Clock,
    startedAt: number,
    endpoint: Endpoint | undefined,
  ) {
    this.name = name;
    this.context = context;
    this.above = context;
    this.key = key;
    this.idempotent = idempotent;
    this.#priority = priority;
    this.attempt = attempt;
    this.clock = clock;
    this.startedAt = startedAt;
    this.endpoint = endpoint;
  }

  /** Looked up only for those who ask. */
  get priority(): number {
    return (this.#priority ?? this.context.get(callPriority)) || 0; // NaN has no place in any order
  }
}

/** Pays a call into the budget that counts in `context`, once, however many policies have it. */
export function countRequest(call: Call, context: Context, own: RetryBudget | undefined): void {
  const budget = budgetIn(context, own);
  if (budget === undefined || (call instanceof CallRecord && call.isCounted)) return;
  budget.deposit();
  if (call instanceof CallRecord) call.isCounted = true;
}

/** The same call as another attempt, in another context; it starts now and on no endpoint. */
export function forkCall(call: Call, attempt: number, context: Context = call.context): CallRecord {
  return copyCall(call, attempt, context, call.clock.now(), undefined);
}

/** The same attempt, for a frame further inside. */
export function innerCall(call: Call): CallRecord {
  return copyCall(call, call.attempt, call.context, call.startedAt, call.endpoint);
}

function copyCall(
  call: Call,
  attempt: number,
  context: Context,
  startedAt: number,
  endpoint: Endpoint | undefined,
): CallRecord {
  const { name, key, idempotent, priority, clock } = call;
  const copy = new CallRecord(name, context, key, idempotent, priority, attempt, clock, startedAt, endpoint);
  if (call instanceof CallRecord) {
    copy.isCounted = call.isCounted;
    copy.tried = call.tried;
    copy.until = call.until;
  }
  return copy;
}

// Its times are fractions, as those of the system are.
const kept = new CallRecord("", Context.detach(), undefined, false, undefined, 1, systemClock, 0.5, undefined);
kept.endedAt = 0.5;
keepShape(kept);
