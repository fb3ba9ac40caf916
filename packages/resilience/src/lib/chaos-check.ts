// Checks of rules and toxics, which may have come from another process.
import { describe } from "@proj/concurrency/options";

/** Throws if the object has a property that is none of these: misspelt, it would make no difference and nobody would know. */
export function checkKnown(action: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) throw new TypeError(`Cannot ${action}: it has no option ${name}`);
  }
}

/** Throws if the value is there and is no text. */
export function checkText(action: string, option: string, value: unknown): void {
  if (value === undefined || typeof value === "string") return;
  throw new TypeError(`Cannot ${action}: ${option} must be a text, got ${describe(value)}`);
}
