// A lease that somebody holds: prolonged until it is given back, and its end reported at once.
import type { Timer } from "./clock.ts";
import { Context, type OwnedContext } from "./context.ts";
import { LockLostError } from "./redis-lock-lost-error.ts";
import { releaseScript, renewScript } from "./redis-lock-scripts.ts";
import type { RedisCall } from "./redis-script.ts";

/** A lock, or one permit of a semaphore, that this process holds for as long as it can prolong it. */
export interface RedisLease extends AsyncDisposable {
  /**
   * Grows with each lease of the key. Send it along with what the lock protects and let the receiver refuse numbers
   * below the highest it has seen: only that is safe against a holder that stands still and wakes up after its lease.
   */
  readonly fence: number;
  /** Ends with a {@link LockLostError} when the lease is lost, with a `CancelledError` when it is given back. */
  readonly context: Context;
  /** Whether the lease has neither been given back nor ended, by the clock: known before any timer can tell. */
  readonly held: boolean;
  /**
   * Gives the lease back; only the first call does. Never rejects: `false` when there was nothing to give back any
   * more, or Redis could not be told, and then the lease ends by itself.
   */
  release(): Promise<boolean>;
}

export interface LeaseTerms {
  readonly key: string;
  readonly keys: string[];
  readonly token: string;
  readonly fence: number;
  readonly ttl: number;
  /** When the request for it was sent, so that it ends here no later than on the server. */
  readonly sentAt: number;
  readonly parent: Context;
}

export class HeldLease implements RedisLease {
  readonly fence: number;
  readonly #terms: LeaseTerms;
  readonly #call: RedisCall;
  readonly #context: OwnedContext;
  #endsAt: number;
  #end: Timer;
  #renewal: Timer;
  #failure: unknown;
  #released: Promise<boolean> | undefined;

  constructor(terms: LeaseTerms, call: RedisCall) {
    this.fence = terms.fence;
    this.#terms = terms;
    this.#call = call;
    this.#context = Context.derive({ parent: terms.parent });
    this.#endsAt = terms.sentAt + terms.ttl;
    this.#end = this.#endTimer();
    this.#renewal = this.#renewalTimer(terms.ttl / 3);
  }

  get context(): Context {
    return this.#context;
  }

  get held(): boolean {
    return this.#released === undefined && this.#call.clock.now() < this.#endsAt;
  }

  release(): Promise<boolean> {
    this.#released ??= this.#release();
    return this.#released;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  /** Throws if the lease is lost, even where no timer could tell yet. What was given back is not lost. */
  throwIfLost(): void {
    if (this.#released !== undefined || this.#call.clock.now() < this.#endsAt) return;
    this.#lose();
    throw this.#context.cause;
  }

  async #release(): Promise<boolean> {
    this.#end.clear();
    this.#renewal.clear();
    this.#context.cancel();
    const { keys, token } = this.#terms;
    try {
      return (await releaseScript.numbers(this.#call, keys, [token]))[0] === 1;
    } catch {
      return false; // it ends by itself
    }
  }

  async #renew(): Promise<void> {
    const { keys, token, ttl } = this.#terms;
    const { clock } = this.#call;
    const sentAt = clock.now();
    try {
      const [isRenewed] = await renewScript.numbers(this.#call, keys, [token, ttl]);
      if (this.#released !== undefined || this.#context.cause instanceof LockLostError) return;
      if (isRenewed !== 1) {
        this.#lose();
        return;
      }
      this.#endsAt = sentAt + ttl;
      this.#end.clear();
      this.#end = this.#endTimer();
      this.#renewal = this.#renewalTimer(ttl / 3);
    } catch (error) {
      this.#failure = error;
      if (this.held) this.#renewal = this.#renewalTimer(ttl / 10);
    }
  }

  #lose(): void {
    this.#end.clear();
    this.#renewal.clear();
    this.#endsAt = Number.NEGATIVE_INFINITY;
    const { key, fence } = this.#terms;
    this.#context.cancel(
      new LockLostError(key, fence, this.#failure === undefined ? undefined : { cause: this.#failure }),
    );
  }

  #endTimer(): Timer {
    const { clock } = this.#call;
    return clock.setTimeout((lease) => lease.#lose(), this.#endsAt - clock.now(), this as HeldLease);
  }

  #renewalTimer(ms: number): Timer {
    return this.#call.clock.setTimeout((lease) => void lease.#renew(), ms, this as HeldLease);
  }
}
