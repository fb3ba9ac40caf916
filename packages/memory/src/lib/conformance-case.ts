// Makes the checks of a conformance suite.
import type { ConformanceCase } from "@proj/concurrency/testing";

/** A check on something made for it alone, and disposed of afterwards if it can be. */
export function conformanceCase<Made extends Partial<AsyncDisposable>>(
  name: string,
  make: () => Made | PromiseLike<Made>,
  check: (made: Made) => unknown,
): ConformanceCase {
  return {
    name,
    async run() {
      const made = await make();
      try {
        await check(made);
      } finally {
        await made[Symbol.asyncDispose]?.();
      }
    },
  };
}

/** Lets time pass until `isSo`, and fails with `what` when it does not come to that. */
export async function eventually(
  what: string,
  isSo: () => unknown,
  pass: (ms: number) => unknown,
  patience = 10_000,
): Promise<void> {
  for (let waited = 0, step = 1; ; waited += step, step = Math.min(100, step * 2)) {
    if (await isSo()) return;
    if (waited > patience) throw new Error(`It did not happen within ${patience} ms: ${what}`);
    await pass(step);
  }
}
