// The lease of one run, which is prolonged for as long as the run goes on.
import { Context, type OwnedContext, type Timer } from "@proj/concurrency";
import { IdempotencyLostError } from "./idempotency-errors.ts";
import type { GuardSettings } from "./idempotency-options.ts";

export class RunLease {
  /** In which the work is done. Ends when the lease is lost. */
  readonly context: OwnedContext;
  readonly #key: string;
  readonly #owner: string;
  readonly #settings: GuardSettings;
  readonly #onError: (error: unknown) => void;
  #timer: Timer | undefined;
  #endsAt: number;

  constructor(
    key: string,
    owner: string,
    context: OwnedContext,
    settings: GuardSettings,
    onError: (error: unknown) => void,
  ) {
    this.context = context;
    this.#key = key;
    this.#owner = owner;
    this.#settings = settings;
    this.#onError = onError;
    this.#endsAt = settings.clock.now() + settings.lease;
    this.#schedule();
  }

  /** From now on nobody is told of the run. */
  stop(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }

  /** The same, and what the run has left behind ends with its context. */
  end(): void {
    this.stop();
    this.context.cancel();
  }

  #schedule(): void {
    const { clock, lease } = this.#settings;
    this.#timer = clock.setTimeout(() => void this.#renew(), lease / 3);
  }

  async #renew(): Promise<void> {
    const { clock, store, lease, onCrash } = this.#settings;
    const timer = this.#timer;
    const sentAt = clock.now();
    let isLost: boolean;
    try {
      isLost = !(await store.renew(this.#key, this.#owner, lease));
      if (!isLost) this.#endsAt = sentAt + lease;
    } catch (error) {
      this.#onError(error);
      // Where others would only be turned away, there is nothing to fear from the end of the lease.
      isLost = onCrash !== "reject" && clock.now() >= this.#endsAt;
    }
    if (this.#timer !== timer) return; // stopped meanwhile
    if (isLost) this.context.cancel(new IdempotencyLostError(this.#key));
    else this.#schedule();
  }
}

/** A context with the values of `caller`, which does not end with it. */
export function ownContext(caller: Context, { timeout }: GuardSettings): OwnedContext {
  const parent = Context.detach(caller);
  return timeout === Number.POSITIVE_INFINITY ? Context.derive({ parent }) : Context.derive({ parent, timeout });
}
