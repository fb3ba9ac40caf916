// An adaptive limit in front of which calls may wait for a moment.
import { Context, type Timer } from "@proj/concurrency";
import type { AdaptiveLimitPolicy } from "./adaptive-limit.ts";
import type { AdaptiveLimitSettings } from "./adaptive-limit-options.ts";
import type { Call } from "./call.ts";
import { forkCall } from "./call-record.ts";
import { Limiter } from "./limiter.ts";
import { OverloadQueue, type QueuedCall } from "./overload-queue.ts";
import type { Driver, Next } from "./policy.ts";

/** Why somebody left the queue without a place; made by the caller's own function, which has the stack. */
type Failure = () => unknown;

interface Waiter extends QueuedCall {
  readonly call: Call;
  readonly settle: (failure: Failure | undefined) => void;
}

export class QueueLimit extends Limiter implements Driver, AdaptiveLimitPolicy {
  readonly #queue: OverloadQueue<Waiter>;
  #timer: Timer | undefined;

  constructor(settings: AdaptiveLimitSettings) {
    super(settings);
    const { queue: max, maxWait, overloadWait } = settings;
    this.#queue = new OverloadQueue({ max, maxWait, overloadWait }, ({ call, settle }) =>
      settle(() => this.refuse(call, "late")),
    );
  }

  override get waiting(): number {
    return this.#queue.size;
  }

  async run<T>(call: Call, next: Next<T>): Promise<T> {
    this.meet(call);
    if (this.#queue.size === 0 && this.hasRoom(call)) {
      this.inFlight++;
    } else {
      const failure = await this.#wait(call);
      if (failure !== undefined) throw failure();
    }
    const record = forkCall(call, call.attempt); // starts now, and is told how it ends
    let hasBegun = false;
    try {
      call.context.throwIfCancelled(); // it may have ended since the place was given
      hasBegun = true;
      return await next(record);
    } finally {
      if (!hasBegun) record.outcome = "ignore";
      this.leave(record);
      if (this.#queue.size > 0) this.#serve(call.clock.now());
    }
  }

  #wait(call: Call): Promise<Failure | undefined> {
    if (call.context.cancelled) throw call.context.cause;
    const now = call.clock.now();
    return new Promise((resolve) => {
      let registration: Disposable | undefined;
      const settle = (failure: Failure | undefined) => {
        registration?.[Symbol.dispose]();
        resolve(failure);
      };
      const { priority } = call;
      const waiter: Waiter = {
        call,
        settle,
        priority,
        since: now,
        older: undefined,
        newer: undefined,
        isQueued: false,
      };
      if (!this.#queue.push(waiter, now)) {
        settle(() => this.refuse(call, "full"));
        return;
      }
      registration = Context.after(call.context, (cause) => {
        this.#queue.remove(waiter);
        settle(() => cause);
        this.#watch(call);
      });
      this.#watch(call);
    });
  }

  /** The place goes from hand to hand: nobody who comes can see it free before those who wait. */
  #serve(now: number): void {
    while (this.#queue.size > 0 && this.inFlight < this.limit) {
      const waiter = this.#queue.shift(now, this.#hasRoomFor);
      if (waiter === undefined) break;
      this.inFlight++;
      waiter.settle(undefined);
    }
    if (this.#queue.size === 0) this.#stopWatching();
  }

  readonly #hasRoomFor = ({ call }: Waiter): boolean => this.hasRoom(call);

  /** One timer for all, for the case that no call ends that would make the queue move. */
  #watch({ clock }: Call): void {
    if (this.#queue.size === 0) {
      this.#stopWatching();
    } else if (this.#timer === undefined) {
      const onTimer = () => {
        this.#timer = undefined;
        this.#queue.dropStale(clock.now());
        if (this.#queue.size > 0) this.#timer = clock.setTimeout(onTimer, this.#queue.nextStale - clock.now());
      };
      this.#timer = clock.setTimeout(onTimer, this.#queue.nextStale - clock.now());
    }
  }

  #stopWatching(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }
}
