// Notices tasks that wait for the read-write lock they hold.
import { describe } from "./check.ts";
import { ContextKey } from "./context-key.ts";
import type { ContextNode } from "./context-node.ts";
import { type Reentry, ReentryError } from "./reentry.ts";
import { LockUpgradeError } from "./rw-lock-upgrade-error.ts";

export type LockMode = "read" | "write";

/** What a task holds; outer ones are those of its callers. */
export interface LockHold {
  readonly mode: LockMode;
  readonly outer: LockHold | undefined;
  isReleased: boolean;
}

const { NODE_ENV } = process.env;
const standard: Reentry = NODE_ENV === "production" ? "ignore" : "warn";

/** Keeps the books of one lock. */
export class LockReentryGuard {
  readonly #name: string;
  readonly #key = new ContextKey<LockHold>("locks");
  #policy: Reentry;

  /** Nothing for `"ignore"`. */
  static for(name: string, policy: Reentry = standard): LockReentryGuard | undefined {
    if (policy === "ignore") return undefined;
    if (policy === "warn" || policy === "throw") return new LockReentryGuard(name, policy);
    throw new TypeError(`Cannot create a RwLock: reentry must be "warn", "throw" or "ignore", got ${describe(policy)}`);
  }

  private constructor(name: string, policy: Reentry) {
    this.#name = name;
    this.#policy = policy;
  }

  /** Makes what a task is going to hold, and the context that tells it. */
  enter(outer: ContextNode, mode: LockMode): { readonly hold: LockHold; readonly context: ContextNode } {
    const hold: LockHold = { mode, outer: outer.get(this.#key), isReleased: false };
    return { hold, context: outer.with(this.#key, hold) };
  }

  /** A caller is about to wait: for ever, if it awaits that while it holds the lock. */
  check(context: ContextNode, mode: LockMode): void {
    let held = context.get(this.#key);
    while (held?.isReleased) held = held.outer;
    if (held === undefined) return;
    if (mode === "write" && held.mode === "read") throw new LockUpgradeError(this.#name);
    const error = new ReentryError(this.#name);
    if (this.#policy === "throw") throw error;
    this.#warn(error);
  }

  #warn({ message, code, stack = message }: ReentryError): void {
    if (this.#policy !== "warn") return;
    this.#policy = "ignore"; // once is enough
    process.emitWarning(message, { type: "ReentryWarning", code, detail: stack });
  }
}
