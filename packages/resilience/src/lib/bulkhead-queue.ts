// Bulkheads with a queue: a semaphore for all calls, or one for each key that is in use.
import { type Permit, QueueFullError, Semaphore, TimeoutError } from "@proj/concurrency";
import type { BulkheadOptions, BulkheadStats } from "./bulkhead.ts";
import { MeanDuration, partOf } from "./bulkhead-gate.ts";
import type { Call } from "./call.ts";
import { overloaded, type Rejecting } from "./overloaded-error.ts";
import type { Driver, Next } from "./policy.ts";

interface Settings extends BulkheadOptions {
  readonly queue: number;
  readonly perKey: boolean;
  readonly stack: boolean;
}

/** The places of one key, and how many calls use or want them. */
interface Part {
  readonly key: string | undefined;
  readonly places: Semaphore;
  users: number;
}

export class QueueBulkhead implements Driver, Rejecting {
  readonly kind = "bulkhead";
  readonly name: string | undefined;
  readonly stack: boolean;
  readonly #settings: Settings;
  readonly #parts = new Map<string | undefined, Part>();
  readonly #duration = new MeanDuration();
  #running = 0;
  #wanting = 0;
  #rejected = 0;

  constructor(settings: Settings) {
    this.name = settings.name;
    this.stack = settings.stack;
    this.#settings = settings;
  }

  async run<T>(call: Call, next: Next<T>): Promise<T> {
    const part = this.#enter(this.#settings.perKey ? partOf(call) : undefined, call);
    try {
      const permit = part.places.tryAcquire() ?? (await this.#wait(call, part.places));
      const startedAt = call.clock.now();
      this.#running++;
      try {
        call.context.throwIfCancelled(); // it may have ended since the place was given
        return await next(call);
      } finally {
        this.#running--;
        this.#duration.add(call.clock.now() - startedAt);
        permit.release();
      }
    } finally {
      this.#leave(part);
    }
  }

  stats(): BulkheadStats {
    const { max } = this.#settings;
    return { max, running: this.#running, waiting: this.#wanting - this.#running, rejected: this.#rejected };
  }

  async #wait(call: Call, places: Semaphore): Promise<Permit> {
    const { queue, timeout } = this.#settings;
    if (places.waiting >= queue && places.free === 0) throw this.#reject(call, "full");
    try {
      return await places.acquire({ signal: call.context, priority: call.priority, timeout });
    } catch (error) {
      // The deadline of the call is a TimeoutError as well, which is its caller's and stays what it is.
      if (call.context.cancelled) throw error;
      if (error instanceof QueueFullError) throw this.#reject(call, "full");
      throw error instanceof TimeoutError ? this.#reject(call, "late") : error;
    }
  }

  #reject(call: Call, reason: "full" | "late"): Error {
    this.#rejected++;
    return overloaded(this, call, reason, this.#duration.ms);
  }

  #enter(key: string | undefined, { clock }: Call): Part {
    const { max, queue } = this.#settings;
    let part = this.#parts.get(key);
    if (part === undefined) {
      part = { key, places: new Semaphore(max, { maxQueue: queue, reentry: "ignore", clock }), users: 0 };
      this.#parts.set(key, part);
    }
    part.users++;
    this.#wanting++;
    return part;
  }

  #leave(part: Part): void {
    this.#wanting--;
    if (--part.users === 0 && this.#settings.perKey) this.#parts.delete(part.key);
  }
}
