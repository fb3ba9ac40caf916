// What a breaker remembers beyond its process, as plain JSON.
import { checkCount, checkDuration, checkOneOf, describe } from "@proj/concurrency/options";
import type { CircuitMemory } from "./circuit.ts";

/** A circuit as it was. */
export interface CircuitSnapshot extends CircuitMemory {
  /** `null` for that of calls without one. */
  readonly key: string | null;
}

/** What was forced on a key, or on all of them. */
export interface ForcedSnapshot {
  /** `null` for all keys. */
  readonly key: string | null;
  /** Lets nobody through, or everybody. */
  readonly state: "open" | "closed";
}

/** A breaker as it was: what `toJSON` gives and `restore` takes. */
export interface BreakerSnapshot {
  /** Of this format. */
  readonly version: 1;
  /** Milliseconds since the Unix epoch. */
  readonly savedAt: number;
  /** From the least recently used on. */
  readonly circuits: readonly CircuitSnapshot[];
  /** What an operator has decided. */
  readonly forced: readonly ForcedSnapshot[];
}

const action = "restore a breaker";

/** It may come from a file or over a network: everything is checked before anything is changed. */
export function checkSnapshot(snapshot: BreakerSnapshot): BreakerSnapshot {
  const { version, savedAt, circuits, forced } = (snapshot ?? {}) as Partial<BreakerSnapshot>;
  checkOneOf(action, "version", version, [1]);
  checkDuration(action, "savedAt", savedAt as number);
  for (const circuit of checkList("circuits", circuits)) checkCircuit(circuit);
  for (const { key, state } of checkList("forced", forced)) {
    checkKey(key);
    checkOneOf(action, "forced.state", state, ["open", "closed"]);
  }
  return snapshot;
}

function checkCircuit({ key, counts, consecutive, openings, openMs }: CircuitSnapshot): void {
  checkKey(key);
  const { calls, failures, timeouts, slow } = counts ?? {};
  checkCount(action, "counts.calls", calls, 0);
  for (const [name, count] of Object.entries({ failures, timeouts, slow })) {
    if (checkCount(action, `counts.${name}`, count, 0) <= calls) continue;
    throw new RangeError(`Cannot ${action}: counts.${name} must be at most the ${calls} calls, got ${count}`);
  }
  if (calls > 2 ** 30) throw new RangeError(`Cannot ${action}: counts.calls must be at most 2^30, got ${calls}`);
  checkCount(action, "consecutive", consecutive, 0);
  checkCount(action, "openings", openings, 0);
  if (openMs !== null) checkDuration(action, "openMs", openMs);
}

function checkKey(key: string | null): void {
  if (key === null || typeof key === "string") return;
  throw new TypeError(`Cannot ${action}: key must be a string or null, got ${describe(key)}`);
}

function checkList<T extends object>(option: string, list: readonly T[] | undefined): readonly T[] {
  if (!Array.isArray(list)) throw new TypeError(`Cannot ${action}: ${option} must be an array, got ${describe(list)}`);
  for (const item of list) {
    if (typeof item === "object" && item !== null) continue;
    throw new TypeError(`Cannot ${action}: ${option} must hold objects, got ${describe(item)}`);
  }
  return list;
}
