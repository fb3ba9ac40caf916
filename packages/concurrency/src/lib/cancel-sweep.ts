// Finds the step at which a cancellation loses or leaks something, by trying each.
import { checkCount } from "./check.ts";
import { Context, type OwnedContext } from "./context.ts";

/** What can be set on a {@link cancelSweep}. */
export interface CancelSweepOptions {
  /** The last step to cancel at. Choose more than the scenario has. Default: 30. */
  readonly steps?: number | undefined;
}

/**
 * Runs `scenario` once for each step from 0 to `steps`, with a context that is cancelled after that many microtasks: 0 is
 * before anything asynchronous has happened. The scenario starts its work in the context, waits for it to settle, and
 * checks what must hold however it went. Rejects with the first failure; its `cause` is the scenario's error.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@proj/concurrency";
 * import { cancelSweep } from "@proj/concurrency/testing";
 *
 * await cancelSweep(async (signal) => {
 *   const semaphore = new Semaphore(1);
 *   await semaphore.run(async () => "work", { signal }).catch(() => {});
 *   if (semaphore.free !== 1) throw new Error("a permit was lost");
 * });
 * ```
 */
export async function cancelSweep(
  scenario: (context: OwnedContext, step: number) => Promise<void>,
  options: CancelSweepOptions = {},
): Promise<void> {
  const steps = checkCount("sweep", "steps", options.steps ?? 30, 0);
  for (let step = 0; step <= steps; step++) {
    const context = Context.derive();
    const done = scenario(context, step);
    for (let passed = 0; passed < step; passed++) await Promise.resolve();
    context.cancel(new Error(`cancelled at step ${step}`));
    try {
      await done;
    } catch (cause) {
      throw new Error(`The scenario failed when cancelled after ${step} microtasks`, { cause });
    }
  }
}
