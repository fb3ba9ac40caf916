// Checks the numbers that describe a rate limit; the messages name the action, the option and the value.
import { describe } from "./check.ts";

/** Returns `value` if it is a finite number above zero. */
export function checkPositive(action: string, option: string, value: number): number {
  if (typeof value !== "number") {
    throw new TypeError(`Cannot ${action}: ${option} must be a positive number, got ${describe(value)}`);
  }
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`Cannot ${action}: ${option} must be a positive number, got ${value}`);
  }
  return value;
}

/** Returns `value` if it is a number of units: an integer of at least 1. */
export function checkUnits(action: string, option: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  const message = `Cannot ${action}: ${option} must be a positive integer, got ${describe(value)}`;
  throw typeof value === "number" ? new RangeError(message) : new TypeError(message);
}
