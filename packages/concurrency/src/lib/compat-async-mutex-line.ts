// A counter that callers wait for by weight and priority, as async-mutex counts.
import { currentNode } from "./ambient.ts";
import { describe } from "./check.ts";
import { systemClock } from "./clock.ts";
import { keepingAlive } from "./compat-clock.ts";
import { Waiter, WaitQueue } from "./wait-queue.ts";

const clock = keepingAlive(systemClock);

/** How long to wait, and what to reject with after that. */
export interface Patience {
  readonly timeout: number;
  readonly error: Error;
}

export class MutexLine {
  #value: number;
  readonly #cancelError: Error;
  readonly #queue = new WaitQueue(() => this.#dispatch());
  /** The value that each found who was served and has not woken up yet. */
  readonly #found = new Map<Waiter, number>();
  /** Those who wait to see that they could pass. */
  readonly #watching = new WaitQueue(() => {});
  readonly #watchers = new Set<Waiter>();
  #isCancelling = false;

  constructor(value: number, cancelError: Error) {
    if (typeof value !== "number" || Number.isNaN(value)) {
      throw new TypeError(`Cannot create a Semaphore: value must be a number, got ${describe(value)}`);
    }
    this.#value = value;
    this.#cancelError = cancelError;
  }

  get value(): number {
    return this.#value;
  }

  set value(value: number) {
    this.#value = value;
    this.#dispatch();
  }

  /** Waits for the weight, takes it and gives the value before that. */
  async take(weight: number, priority: number, patience: Patience | undefined): Promise<number> {
    checkWeight(weight);
    const waiter = new Waiter(this.#queue, weight, priority);
    const failure = await this.#wait(this.#queue, waiter, patience).outcome;
    if (failure !== undefined) throw failure();
    const found = this.#found.get(waiter) ?? 0; // there is one for everybody who was served
    this.#found.delete(waiter);
    return found;
  }

  /** Waits until the weight could be taken at once. */
  async watch(weight: number, priority: number, patience: Patience | undefined): Promise<void> {
    checkWeight(weight);
    const waiter = new Waiter(this.#watching, weight, priority);
    this.#watchers.add(waiter);
    try {
      const failure = await this.#wait(this.#watching, waiter, patience).outcome;
      if (failure !== undefined) throw failure();
    } finally {
      this.#watchers.delete(waiter);
    }
  }

  give(weight: number): void {
    checkWeight(weight);
    this.value = this.#value + weight;
  }

  /** Rejects all who wait to take something; meanwhile none of them is served. */
  cancel(): void {
    this.#isCancelling = true;
    for (let { head } = this.#queue; head !== undefined; head = this.#queue.head) head.fail(() => this.#cancelError);
    this.#isCancelling = false;
    this.#dispatch();
  }

  #wait(queue: WaitQueue, waiter: Waiter, patience: Patience | undefined): Waiter {
    const context = currentNode();
    context.throwIfCancelled();
    queue.push(waiter);
    waiter.leaveWith(context);
    if (patience !== undefined) waiter.leaveAfter(clock, patience.timeout, () => patience.error);
    this.#dispatch();
    return waiter;
  }

  #dispatch(): void {
    if (this.#isCancelling) return;
    this.#showWatchers();
    for (let { head } = this.#queue; head !== undefined && head.weight <= this.#value; head = this.#queue.head) {
      this.#queue.remove(head);
      this.#found.set(head, this.#value);
      this.#value -= head.weight;
      head.serve();
      this.#showWatchers();
    }
  }

  #showWatchers(): void {
    const next = this.#queue.head?.priority ?? Number.NEGATIVE_INFINITY;
    for (const waiter of this.#watchers) {
      if (waiter.weight > this.#value || (waiter.priority <= next && this.#queue.size > 0)) continue;
      this.#watchers.delete(waiter);
      this.#watching.remove(waiter);
      waiter.serve();
    }
  }
}

function checkWeight(weight: number): void {
  if (weight > 0) return;
  throw new RangeError(`Cannot use a Semaphore: weight must be more than 0, got ${describe(weight)}`);
}
