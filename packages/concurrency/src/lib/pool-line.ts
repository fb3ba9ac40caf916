// Callers in line for a resource. Those who wait for the usual time share one timer: they come in the order in which
// their time is over.
import type { Receiver, Source, Subscription } from "./cancellation.ts";
import { type Clock, systemClock, type Timer } from "./clock.ts";
import type { ContextNode } from "./context-node.ts";
import { keepResolvers, rejecter, resolver } from "./keep-resolvers.ts";
import { keepShape } from "./keep-shape.ts";
import { WaitLine } from "./wait-line.ts";

/** A caller in line, and the promise that it has been given. */
export class Caller<Given> implements Receiver {
  place = 0;
  /** When its time is over, on the pool's clock, if that is up to the shared timer. */
  readonly due: number;
  readonly given: Promise<Given>;
  readonly #line: CallerLine<Given>;
  readonly #resolve: (given: Given) => void;
  readonly #reject: (error: unknown) => void;
  #subscription: Subscription | undefined;
  #timer: Timer | undefined;

  constructor(line: CallerLine<Given>, due: number) {
    this.#line = line;
    this.due = due;
    this.given = new Promise(keepResolvers);
    this.#resolve = resolver;
    this.#reject = rejecter;
  }

  /** Leaves the line when the context ends. */
  leaveWith(context: ContextNode): void {
    if (!context.isRoot) this.#subscription = context.subscribe(this);
  }

  /** Leaves the line after a time of its own. */
  leaveAfter(clock: Clock, timeout: number): void {
    this.#timer = clock.setTimeout(() => this.#line.expire(this, timeout), timeout);
  }

  cancelledBy(cause: unknown): Source | undefined {
    this.reject(cause);
    this.#line.onLeft();
    return undefined;
  }

  serve(given: Given): void {
    this.#leave();
    this.#resolve(given);
  }

  /** With an error that was made elsewhere. */
  reject(error: unknown): void {
    this.#leave();
    this.#reject(error);
  }

  /**
   * With an error that is made within a promise that the caller's depends on by the very functions of the platform: so
   * its stack goes on to whoever waits.
   */
  fail(make: () => unknown): void {
    this.#leave();
    Promise.resolve()
      .then(() => {
        throw make();
      })
      .then(this.#resolve, this.#reject);
  }

  #leave(): void {
    this.#line.remove(this);
    this.#timer?.clear();
    this.#subscription?.[Symbol.dispose]();
  }
}

export class CallerLine<Given> {
  /** Called when somebody has given up. */
  readonly onLeft: () => void;
  readonly #line = new WaitLine<Caller<Given>>();
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #onExpired: (timeout: number) => unknown;
  #timer: Timer | undefined;

  /** `onExpired` makes the error of a caller who has waited for too long. */
  constructor(clock: Clock, timeout: number, onExpired: (timeout: number) => unknown, onLeft: () => void) {
    this.#clock = clock;
    this.#timeout = timeout;
    this.#onExpired = onExpired;
    this.onLeft = onLeft;
  }

  get size(): number {
    return this.#line.size;
  }

  get first(): Caller<Given> | undefined {
    return this.#line.first;
  }

  /** Puts a caller in line, for the usual time or for its own. */
  push(context: ContextNode, timeout: number | undefined): Caller<Given> {
    const isUsual = timeout === undefined && this.#timeout !== Number.POSITIVE_INFINITY;
    const caller = new Caller(this, isUsual ? this.#clock.now() + this.#timeout : Number.POSITIVE_INFINITY);
    this.#line.push(caller);
    caller.leaveWith(context);
    if (timeout !== undefined) caller.leaveAfter(this.#clock, timeout);
    else if (isUsual && this.#timer === undefined) this.#expireAt(caller.due, this.#timeout);
    return caller;
  }

  remove(caller: Caller<Given>): void {
    this.#line.remove(caller);
    if (this.#line.size > 0) return;
    this.#timer?.clear();
    this.#timer = undefined;
  }

  expire(caller: Caller<Given>, timeout: number): void {
    caller.fail(() => this.#onExpired(timeout));
    this.onLeft();
  }

  #expireAt(due: number, ms: number): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#expireDue(Math.max(due, this.#clock.now())); // fake timers may leave the time alone
    }, ms);
  }

  #expireDue(now: number): void {
    for (const caller of this.#line.toArray()) {
      if (caller.due === Number.POSITIVE_INFINITY) continue;
      if (caller.due > now) {
        this.#expireAt(caller.due, caller.due - now);
        return;
      }
      this.expire(caller, this.#timeout);
    }
  }
}

keepShape(
  new Caller(
    new CallerLine(
      systemClock,
      0,
      () => {},
      () => {},
    ),
    0.5,
  ),
);
