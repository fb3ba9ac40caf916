// Notices tasks that wait for permits which only those who wait can give back.
import { describe } from "./check.ts";
import { ContextKey } from "./context-key.ts";
import type { ContextNode } from "./context-node.ts";
import type { Waiter } from "./wait-queue.ts";

/** What to do about a wait that cannot end unless somebody who waits gives up. */
export type Reentry = "warn" | "throw" | "ignore";

/**
 * A task waits for permits that can only come back from tasks which wait for the same semaphore: if each awaits what it
 * asked for, none of them goes on.
 *
 * @example
 * ```ts
 * import { ReentryError, Semaphore } from "@proj/concurrency";
 *
 * const one = new Semaphore(1, { name: "one", reentry: "throw" });
 * const error = await one.run(() => one.run(() => "never")).catch((error: unknown) => error);
 * console.log(error instanceof ReentryError && error.semaphore); // prints: one
 * ```
 */
export class ReentryError extends Error {
  override readonly name = "ReentryError";
  readonly code = "ERR_REENTRY";
  /** Its name. */
  readonly semaphore: string;

  constructor(semaphore: string) {
    super(
      `Cannot wait for ${semaphore}: every permit that could come back is held by a task that waits for it as well`,
    );
    this.semaphore = semaphore;
  }
}

/** Read once: looking into the environment costs more than a whole acquire. */
const { NODE_ENV } = process.env;
const standard: Reentry = NODE_ENV === "production" ? "ignore" : "warn";

/** Keeps the books of one semaphore. */
export class ReentryGuard {
  readonly #name: string;
  readonly #key = new ContextKey<Hold>("holds");
  #policy: Reentry;
  /** Permits held by tasks that wait. */
  #stuck = 0;

  /** Nothing for `"ignore"`. */
  static for(action: string, name: string, policy: Reentry = standard): ReentryGuard | undefined {
    if (policy === "ignore") return undefined;
    if (policy === "warn" || policy === "throw") return new ReentryGuard(name, policy);
    throw new TypeError(`Cannot ${action}: reentry must be "warn", "throw" or "ignore", got ${describe(policy)}`);
  }

  private constructor(name: string, policy: Reentry) {
    this.#name = name;
    this.#policy = policy;
  }

  /** Notes that a task has got permits; it has to run in the context of the result. */
  hold(context: ContextNode, weight: number): Hold {
    const hold: Hold = {
      weight,
      outer: context.get(this.#key),
      waits: 0,
      isReleased: false,
      context,
      release: () => {
        hold.isReleased = true;
        if (hold.waits > 0) this.#stuck -= weight;
      },
    };
    hold.context = context.with(this.#key, hold);
    return hold;
  }

  /** Notes that a caller is about to wait. */
  wait(context: ContextNode, waiter: Waiter, permits: number): void {
    const holds: Hold[] = [];
    for (let hold = context.get(this.#key); hold !== undefined; hold = hold.outer) {
      if (!hold.isReleased) holds.push(hold);
    }
    if (holds.length === 0) return;
    this.#count(holds, 1);
    if (permits > 0 && permits - this.#stuck < waiter.weight) {
      const error = new ReentryError(this.#name);
      if (this.#policy === "throw") {
        this.#count(holds, -1);
        throw error;
      }
      this.#warn(error);
    }
    void waiter.outcome.then(() => this.#count(holds, -1));
  }

  #count(holds: readonly Hold[], change: 1 | -1): void {
    for (const hold of holds) {
      const was = hold.waits;
      hold.waits += change;
      if (!hold.isReleased && (was === 0 || hold.waits === 0)) this.#stuck += change * hold.weight;
    }
  }

  #warn({ message, code, stack = message }: ReentryError): void {
    if (this.#policy !== "warn") return;
    this.#policy = "ignore"; // once is enough
    process.emitWarning(message, { type: "ReentryWarning", code, detail: stack });
  }
}

/** Permits of one task, on the chain of those that it and its callers hold. */
interface Hold {
  readonly weight: number;
  readonly outer: Hold | undefined;
  context: ContextNode;
  /** How many calls within the task wait for the same semaphore. */
  waits: number;
  isReleased: boolean;
  release(): void;
}
