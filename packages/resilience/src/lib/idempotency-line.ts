// The callers of one key in one process.
import { type Context, Mutex } from "@proj/concurrency";
import type { IdempotentTask } from "./idempotency-options.ts";

/** What those share who have the same key, while there are any. */
export class Line {
  /** Held by the one who asks the store, and does the work. */
  readonly turn = new Mutex({ reentry: "ignore" });
  /** The fingerprint of the request that runs; `undefined` while none does. */
  running: string | undefined;
  /** Handed on to those who wait, who need not ask the store again. */
  settled: { readonly text: string; readonly fingerprint: string; readonly expiresAt: number } | undefined;
}

/** One call. */
export interface IdempotentRequest {
  readonly key: string;
  /** Empty if there is none. */
  readonly fingerprint: string;
  readonly task: IdempotentTask<unknown>;
  readonly caller: Context;
  readonly line: Line;
}
