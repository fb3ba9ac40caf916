// The policies by their names, and those of users.
import { checkFunction, checkOneOf } from "@proj/concurrency/options";
import { grown } from "./cache-lists.ts";
import { type EvictionPolicy, type MarkedPolicy, type PolicyName, stepTable, watched } from "./cache-policy.ts";
import { ClockPolicy } from "./cache-policy-clock.ts";
import { FifoPolicy } from "./cache-policy-fifo.ts";
import { LfuPolicy } from "./cache-policy-lfu.ts";
import { TlfuPolicy } from "./cache-policy-tlfu.ts";

/** Makes the policy of that name, which must not be `"lru"`, or fits in one of your own. */
export function makePolicy(policy: Exclude<PolicyName, "lru"> | EvictionPolicy): MarkedPolicy {
  if (typeof policy === "object") return new OwnPolicy(policy);
  if (policy === "clock") return new ClockPolicy();
  if (policy === "fifo") return new FifoPolicy();
  return policy === "lfu" ? new LfuPolicy() : new TlfuPolicy();
}

/** @throws TypeError for what is no policy */
export function checkPolicy(action: string, policy: PolicyName | EvictionPolicy): void {
  if (typeof policy !== "object" || policy === null) {
    checkOneOf(action, "policy", policy, ["tlfu", "lru", "clock", "fifo", "lfu"]);
    return;
  }
  for (const method of ["onInsert", "onHit", "onRemove", "victim", "grow"] as const) {
    checkFunction(action, `policy.${method}`, policy[method]);
  }
}

/** Passes every hit on, and believes no slot that is not in use. */
class OwnPolicy implements MarkedPolicy {
  readonly step = stepTable((mark) => mark);
  readonly usesFingerprints = true;
  readonly #policy: EvictionPolicy;
  /** `watched` for slots in use. */
  marks = new Uint8Array(0);

  constructor(policy: EvictionPolicy) {
    this.#policy = policy;
  }

  onInsert(slot: number, fingerprint: number): void {
    this.marks[slot] = watched;
    this.#policy.onInsert(slot, fingerprint);
  }

  onHit(slot: number): void {
    this.#policy.onHit(slot);
  }

  onRemove(slot: number): void {
    this.marks[slot] = 0;
    this.#policy.onRemove(slot);
  }

  victim(): number {
    const slot = this.#policy.victim();
    if (this.marks[slot] === watched) return slot;
    throw new RangeError(`Cannot evict: policy.victim() must return a slot in use, got ${String(slot)}`);
  }

  grow(capacity: number): void {
    this.marks = grown(this.marks, capacity);
    this.#policy.grow(capacity);
  }

  clear(): void {
    for (let slot = 0; slot < this.marks.length; slot++) if (this.marks[slot] === watched) this.onRemove(slot);
    this.marks = new Uint8Array(0);
  }
}
