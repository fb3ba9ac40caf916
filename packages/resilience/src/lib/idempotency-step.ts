// The steps of an idempotent run that are the same for every guard.
import { Context } from "@proj/concurrency";
import type { IdempotentOutcome } from "./idempotency-codec.ts";
import type { IdempotentRun, IdempotentTask } from "./idempotency-options.ts";
import type { Awaitable, IdempotencyStore } from "./idempotency-store.ts";

/** Something to tell the store of a key. */
export type Step = (store: IdempotencyStore, key: string) => Awaitable<boolean>;

/** How often a step is tried again. */
export const attemptsToNote = 10;

/** Undoes `begin`: frees the key, or leaves it to the next as the crash that it was. */
export function leave(owner: string, takenOver?: string): Step {
  return (store, key) => (takenOver ? store.renew(key, owner, 0) : store.abandon(key, owner));
}

export async function outcomeOf(
  task: IdempotentTask<unknown>,
  context: Context,
  run: IdempotentRun,
): Promise<IdempotentOutcome> {
  try {
    return { ok: true, value: await Context.run(context, () => task(context, run)) };
  } catch (error) {
    return { ok: false, error };
  }
}
