// What `interleave` rejects with: the order of steps in which something went wrong.

/**
 * Some order of the steps breaks what must hold. `cause` is what went wrong: what a program or a check has thrown.
 *
 * @example
 * ```ts
 * import { InterleavingError, interleave } from "@proj/concurrency/testing";
 *
 * const withdraw = async (account: { balance: number }, step: () => Promise<void>) => {
 *   const { balance } = account;
 *   await step(); // as if it asked a database
 *   account.balance = balance - 10;
 * };
 * const error = await interleave({
 *   setup: () => ({ balance: 100 }),
 *   programs: { ada: withdraw, bob: withdraw },
 *   end({ balance }) {
 *     if (balance !== 80) throw new Error(`${balance} is left`);
 *   },
 * }).catch((error: unknown) => error);
 * if (error instanceof InterleavingError) console.log(error.steps, String(error.cause));
 * // prints: [ 'ada: start', 'bob: start', 'ada: step', 'bob: step' ] Error: 90 is left
 * ```
 */
export class InterleavingError extends Error {
  override readonly name = "InterleavingError";
  readonly code = "ERR_INTERLEAVING";
  /** Passed as the option `schedule`, it runs this very order again. */
  readonly schedule: string;
  /** Who went on, and from which step, in order. */
  readonly steps: readonly string[];

  constructor(schedule: string, steps: readonly string[], cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const order = steps.map((step, index) => `\n  ${index + 1}. ${step}`).join("");
    super(`The programs fail in this order: ${reason}${order}\nRun it again with { schedule: "${schedule}" }`, {
      cause,
    });
    this.schedule = schedule;
    this.steps = steps;
  }
}
