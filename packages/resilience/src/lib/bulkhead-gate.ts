// Bulkheads without a queue: a count is all it takes.
import type { BulkheadStats } from "./bulkhead.ts";
import type { Call } from "./call.ts";
import { type OverloadedError, overloaded, type Rejecting } from "./overloaded-error.ts";
import type { Gate } from "./policy.ts";

/** A tenth of each new one: some twenty calls tell how long they take. */
const weight = 0.1;

/** How long calls take, lately. */
export class MeanDuration {
  #mean: number | undefined;

  add(ms: number): void {
    this.#mean = this.#mean === undefined ? ms : this.#mean + weight * (ms - this.#mean);
  }

  /** In whole milliseconds; `undefined` while none has ended. */
  get ms(): number | undefined {
    return this.#mean === undefined ? undefined : Math.ceil(this.#mean);
  }
}

/** Which part of a keyed bulkhead a call belongs to. The same when it enters and when it leaves. */
export function partOf(call: Call): string | undefined {
  return call.endpoint === undefined ? call.key : call.endpoint.id;
}

abstract class GateBulkhead implements Gate, Rejecting {
  readonly kind = "bulkhead";
  readonly name: string | undefined;
  readonly stack: boolean;
  protected readonly max: number;
  protected running = 0;
  readonly #duration = new MeanDuration();
  #rejected = 0;

  constructor(max: number, name: string | undefined, stack: boolean) {
    this.max = max;
    this.name = name;
    this.stack = stack;
  }

  abstract enter(call: Call): number;

  exit(call: Call, _token: number): void {
    this.running--;
    this.#duration.add(call.endedAt - call.startedAt);
  }

  stats(): BulkheadStats {
    return { max: this.max, running: this.running, waiting: 0, rejected: this.#rejected };
  }

  protected full(call: Call): OverloadedError {
    this.#rejected++;
    return overloaded(this, call, "full", this.#duration.ms);
  }
}

/** The same places for all calls. */
export class SimpleGateBulkhead extends GateBulkhead {
  enter(call: Call): number {
    if (this.running >= this.max) throw this.full(call);
    this.running++;
    return 0;
  }
}

/** Counts the calls of each key, for as long as it has some. */
export class KeyedGateBulkhead extends GateBulkhead {
  readonly #running = new Map<string | undefined, number>();

  enter(call: Call): number {
    const part = partOf(call);
    const running = this.#running.get(part) ?? 0;
    if (running >= this.max) throw this.full(call);
    this.#running.set(part, running + 1);
    this.running++;
    return 0;
  }

  override exit(call: Call, token: number): void {
    super.exit(call, token);
    const part = partOf(call);
    const left = (this.#running.get(part) ?? 0) - 1;
    if (left > 0) this.#running.set(part, left);
    else this.#running.delete(part);
  }
}
