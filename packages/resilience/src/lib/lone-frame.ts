// A policy that a frame knows, in the hands of somebody who takes it for any other driver.
import type { Call } from "./call.ts";
import { innerCall } from "./call-record.ts";
import { classify } from "./classify.ts";
import { Frame, type FrameParts } from "./frame.ts";
import type { Next } from "./policy.ts";

export async function runAlone<T>(
  parts: Pick<FrameParts, "retry" | "total" | "each">,
  call: Call,
  next: Next<T>,
): Promise<T> {
  const frame = new Frame({ ...parts, classify, isInside: true });
  return await frame.run(innerCall(call), (_context, attempt) => next(attempt));
}
