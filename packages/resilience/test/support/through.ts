// Runs calls through one policy, as a stack would: for tests that are about that policy alone.
import { type Clock, Context, systemClock } from "@proj/concurrency";
import type { OutcomeKind } from "../../src/index.ts";
import { CallRecord } from "../../src/lib/call-record.ts";
import type { Driver, Gate, Policy } from "../../src/lib/policy.ts";

export interface TestCallOptions {
  readonly name?: string;
  readonly context?: Context;
  readonly key?: string;
  readonly priority?: number;
  readonly clock?: Clock;
}

export function testCall(options: TestCallOptions = {}): CallRecord {
  const { name = "test", context = Context.current(), key, priority = 0, clock = systemClock } = options;
  return new CallRecord(name, context, key, false, priority, 1, clock, clock.now(), undefined);
}

export function isGate(policy: Policy): policy is Gate {
  return "enter" in policy;
}

/** Lets a call in, and returns how to end it. Throws if the gate does. */
export function enter(policy: Policy, options: TestCallOptions = {}): (outcome?: OutcomeKind) => void {
  const gate = policy as Gate; // a policy that is none fails at once
  const call = testCall(options);
  const token = gate.enter(call);
  return (outcome = "ok") => {
    end(call, outcome);
    gate.exit(call, token);
  };
}

/** Calls the task through a gate or a driver. */
export async function through<T>(
  policy: Policy,
  task: (call: CallRecord) => T | PromiseLike<T>,
  options: TestCallOptions = {},
): Promise<T> {
  const call = testCall(options);
  // What a driver hands on are such calls.
  if (!isGate(policy)) return await (policy as Driver).run(call, (inner) => attempt(inner as CallRecord, task));
  const token = policy.enter(call);
  try {
    return await attempt(call, task);
  } finally {
    policy.exit(call, token);
  }
}

async function attempt<T>(call: CallRecord, task: (call: CallRecord) => T | PromiseLike<T>): Promise<T> {
  try {
    const value = await task(call);
    end(call, "ok");
    return value;
  } catch (error) {
    call.error = error;
    end(call, "fail");
    throw error;
  }
}

function end(call: CallRecord, outcome: OutcomeKind): void {
  call.endedAt = call.clock.now();
  call.outcome = outcome;
}
