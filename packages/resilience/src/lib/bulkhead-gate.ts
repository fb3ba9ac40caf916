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

/** Which part of a keyed bulkhead a call belongs to, as it enters. */
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

/** The calls of one key. */
interface Part {
  readonly key: string | undefined;
  /** The token of its calls: a balancer further inside may give a call an endpoint after it has entered by its key. */
  readonly slot: number;
  running: number;
}

/** Counts the calls of each key, for as long as it has some. */
export class KeyedGateBulkhead extends GateBulkhead {
  readonly #parts = new Map<string | undefined, Part>();
  readonly #slots: (Part | undefined)[] = [];
  readonly #free: number[] = [];

  enter(call: Call): number {
    const key = partOf(call);
    const part = this.#parts.get(key) ?? this.#open(key);
    if (part.running >= this.max) throw this.full(call);
    part.running++;
    this.running++;
    return part.slot;
  }

  override exit(call: Call, token: number): void {
    super.exit(call, token);
    const part = this.#slots[token] as Part; // it stays until its last call has left
    if (--part.running > 0) return;
    this.#parts.delete(part.key);
    this.#slots[token] = undefined;
    this.#free.push(token);
  }

  #open(key: string | undefined): Part {
    const part: Part = { key, slot: this.#free.pop() ?? this.#slots.length, running: 0 };
    this.#parts.set(key, part);
    this.#slots[part.slot] = part;
    return part;
  }
}
