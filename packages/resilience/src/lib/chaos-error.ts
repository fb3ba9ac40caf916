// What an injected fault fails with when nobody said what.

/**
 * A fault that a chaos rule has injected and for which no other error was given. It counts as a failure of the
 * dependency, as the fault that it stands for would.
 *
 * @example
 * ```ts
 * import { ChaosError } from "@proj/resilience/chaos";
 *
 * console.log(new ChaosError("users", "fault").message); // prints: Cannot call users: the chaos rule fault failed it
 * ```
 */
export class ChaosError extends Error {
  override readonly name = "ChaosError";
  readonly code = "ERR_CHAOS";
  /** The name of the rule. */
  readonly rule: string;

  constructor(call: string, rule: string, options?: ErrorOptions) {
    super(`Cannot call ${call}: the chaos rule ${rule} failed it`, options);
    this.rule = rule;
  }
}
