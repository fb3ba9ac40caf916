// Checks what callers pass as options; the messages name the action, the option and the value.

/** Returns `value` if it is a number of milliseconds, zero and Infinity included; `action` opens the message otherwise. */
export function checkDuration(action: string, option: string, value: number): number {
  if (typeof value !== "number") {
    throw new TypeError(`Cannot ${action}: ${option} must be a number of milliseconds, got ${describe(value)}`);
  }
  if (!(value >= 0)) throw new RangeError(`Cannot ${action}: ${option} must be 0 ms or more, got ${value}`);
  return value;
}

/** Returns `value` if it is an integer of at least `least`, or Infinity where `unbounded` allows it. */
export function checkCount(action: string, option: string, value: number, least: number, unbounded = false): number {
  if (Number.isInteger(value) && value >= least) return value; // before any text is made: some check each call
  if (unbounded && value === Number.POSITIVE_INFINITY) return value;
  const expected = `an integer of at least ${least}${unbounded ? " or Infinity" : ""}`;
  const message = `Cannot ${action}: ${option} must be ${expected}, got ${describe(value)}`;
  throw typeof value === "number" ? new RangeError(message) : new TypeError(message);
}

/** Returns `value` if it is a finite number above zero. */
export function checkPositive(action: string, option: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  const message = `Cannot ${action}: ${option} must be a positive number, got ${describe(value)}`;
  throw typeof value === "number" ? new RangeError(message) : new TypeError(message);
}

/** A short text for a value of the wrong type, safe for any value. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value === null || typeof value !== "object") return typeof value === "function" ? "a function" : String(value);
  return Array.isArray(value) ? "an array" : "an object";
}
