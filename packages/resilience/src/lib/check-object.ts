// Checks options that hold options.
import { describe } from "@proj/concurrency/options";

/**
 * Returns `value` if it is an object, or a message that names the option.
 *
 * @throws TypeError if it is none
 */
export function checkObject<T>(action: string, option: string, value: T): T {
  if (typeof value === "object" && value !== null) return value;
  throw new TypeError(`Cannot ${action}: ${option} must be an object, got ${describe(value)}`);
}
