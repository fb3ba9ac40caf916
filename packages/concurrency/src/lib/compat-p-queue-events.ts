// The events of a PQueue: a small emitter with the methods of p-queue's old one and of its new one.

/** What a `PQueue` tells of, and what its listeners get. */
export interface PQueueEvents {
  /** A task was added. */
  readonly add: undefined;
  /** A task has started. */
  readonly active: undefined;
  /** A task has ended well: its result. */
  readonly completed: unknown;
  /** A task has failed, timed out or was aborted while it ran: what `add` rejects with. */
  readonly error: unknown;
  /** A task has ended, or has left the line. */
  readonly next: undefined;
  /** That was the last one in the line. */
  readonly empty: undefined;
  /** None waits, and none runs. */
  readonly idle: undefined;
}

/** What a listener added with `addEventListener` gets. */
export interface PQueueEvent<Name extends keyof PQueueEvents> {
  /** What has happened. */
  readonly type: Name;
  /** The result or the error. */
  readonly detail: PQueueEvents[Name];
}

/** Called with the result of a task, or with its error. */
export type PQueueListener<Name extends keyof PQueueEvents> = (detail: PQueueEvents[Name]) => void;

interface Registration {
  /** What was registered, by which it is removed. */
  readonly listener: unknown;
  readonly call: (detail: never) => void;
  readonly once: boolean;
}

/**
 * Those who listen to a `PQueue`. What a listener throws is an uncaught exception, and changes nothing in the queue.
 *
 * @example
 * ```ts
 * import { PQueue } from "@proj/concurrency/compat";
 *
 * const queue = new PQueue({ concurrency: 2 });
 * queue.on("completed", (result) => console.log("completed", result)); // prints: completed 42
 * queue.addEventListener("idle", () => console.log("idle"), { once: true }); // prints: idle
 * await queue.add(() => 42);
 * await queue.onIdle();
 * ```
 */
export class PQueueEmitter {
  readonly #registrations = new Map<keyof PQueueEvents, readonly Registration[]>();

  /** Calls `listener` with the result or the error each time, as in p-queue up to version 9. */
  on<Name extends keyof PQueueEvents>(name: Name, listener: PQueueListener<Name>): this {
    this.#add(name, { listener, call: listener, once: false });
    return this;
  }

  /** Calls `listener` once. */
  once<Name extends keyof PQueueEvents>(name: Name, listener: PQueueListener<Name>): this {
    this.#add(name, { listener, call: listener, once: true });
    return this;
  }

  /** Forgets what was registered with `on`, `once` or `addEventListener`. */
  off<Name extends keyof PQueueEvents>(
    name: Name,
    listener: PQueueListener<Name> | ((event: PQueueEvent<Name>) => void),
  ): this {
    const left = this.#of(name).filter((registration) => registration.listener !== listener);
    if (left.length > 0) this.#registrations.set(name, left);
    else this.#registrations.delete(name);
    return this;
  }

  /** Calls `listener` with an event whose `detail` is the result or the error, as in p-queue from version 10 on. */
  addEventListener<Name extends keyof PQueueEvents>(
    type: Name,
    listener: (event: PQueueEvent<Name>) => void,
    options: { readonly once?: boolean | undefined } = {},
  ): void {
    if (this.#of(type).some((registration) => registration.listener === listener)) return; // as an EventTarget does
    const call = (detail: PQueueEvents[Name]): void => listener({ type, detail });
    this.#add(type, { listener, call, once: options.once ?? false });
  }

  /** The same as `off`. */
  removeEventListener<Name extends keyof PQueueEvents>(type: Name, listener: (event: PQueueEvent<Name>) => void): void {
    this.off(type, listener);
  }

  /** Calls all who listen now, in the order in which they came. Nothing is made where nobody does. */
  protected emit<Name extends keyof PQueueEvents>(name: Name, detail?: PQueueEvents[Name]): void {
    for (const { listener, call, once } of this.#of(name)) {
      if (once) this.off(name, listener as PQueueListener<Name>); // as it was registered
      try {
        call(detail as never); // as its registration says
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  #add(name: keyof PQueueEvents, registration: Registration): void {
    this.#registrations.set(name, [...this.#of(name), registration]);
  }

  #of(name: keyof PQueueEvents): readonly Registration[] {
    return this.#registrations.get(name) ?? nobody;
  }
}

const nobody: readonly Registration[] = [];
