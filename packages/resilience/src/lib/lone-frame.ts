// A policy that a frame knows, in the hands of somebody who takes it for any other driver.
import type { Context } from "@proj/concurrency";
import type { Call, ResilientTask } from "./call.ts";
import { forkCall, innerCall } from "./call-record.ts";
import { classify } from "./classify.ts";
import { Frame, type FrameParts } from "./frame.ts";
import type { Next } from "./policy.ts";

/** Calls the task as the policies in `parts` want it, in a frame of its own. */
export async function runAlone<T>(
  parts: Omit<FrameParts, "classify">,
  call: Call,
  task: ResilientTask<T>,
  context: Context,
): Promise<T> {
  const frame = new Frame({ ...parts, classify, isInside: true });
  return await frame.run(forkCall(call, call.attempt, context), task);
}

/** The same for what is inside of a driver. */
export function runNext<T>(parts: Omit<FrameParts, "classify">, call: Call, next: Next<T>): Promise<T> {
  // The frame's record is its own: what is inside writes to the one that it is given.
  return runAlone(parts, call, (_context, attempt) => next(innerCall(attempt)), call.context);
}
