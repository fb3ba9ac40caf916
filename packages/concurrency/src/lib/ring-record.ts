// What both kinds of rings have in common: records of bytes, and three ways to move them.

import { checkDuration, describe } from "./check.ts";
import { contextFor } from "./derive.ts";
import type { RingBell } from "./ring-bell.ts";
import type { WaitOptions } from "./wait-options.ts";

/** How long to block a thread. */
export interface BlockOptions {
  /** Milliseconds to block at most. Default: `Infinity`. */
  readonly timeout?: number | undefined;
}

/** A queue of byte records in shared memory. */
export interface Ring {
  /** Bytes that a record may have. */
  readonly maxRecord: number;
  /** Whether there is nothing to take, as far as one can tell while others go on. */
  readonly isEmpty: boolean;
  /** Puts a record in, if there is room. Never waits. */
  tryPush(record: Uint8Array): boolean;
  /** Takes the oldest record, as a copy, if there is one. Never waits. */
  tryPop(): Uint8Array | undefined;
  /** Waits for room without blocking the thread. Rejects with the reason of the signal or context. */
  push(record: Uint8Array, options?: WaitOptions): Promise<void>;
  /** Waits for a record without blocking the thread. Rejects with the reason of the signal or context. */
  pop(options?: WaitOptions): Promise<Uint8Array>;
  /** Blocks the thread until there is room. Returns whether that was in time. */
  pushBlocking(record: Uint8Array, options?: BlockOptions): boolean;
  /** Blocks the thread until there is a record; `undefined` if there was none in time. */
  popBlocking(options?: BlockOptions): Uint8Array | undefined;
}

export abstract class RecordRing implements Ring {
  readonly #items: RingBell;
  readonly #room: RingBell;

  constructor(items: RingBell, room: RingBell) {
    this.#items = items;
    this.#room = room;
  }

  abstract readonly maxRecord: number;
  abstract readonly isEmpty: boolean;
  /** Puts in a record whose length has been checked. */
  protected abstract put(record: Uint8Array): boolean;
  protected abstract take(): Uint8Array | undefined;

  tryPush(record: Uint8Array): boolean {
    this.#check(record);
    if (!this.put(record)) return false;
    this.#items.ring();
    return true;
  }

  tryPop(): Uint8Array | undefined {
    const record = this.take();
    if (record !== undefined) this.#room.ring();
    return record;
  }

  async push(record: Uint8Array, options?: WaitOptions): Promise<void> {
    const context = contextFor("push a record", options?.signal);
    context.throwIfCancelled();
    if (!this.tryPush(record)) await this.#room.wait(() => this.tryPush(record) || undefined, context);
  }

  async pop(options?: WaitOptions): Promise<Uint8Array> {
    const context = contextFor("pop a record", options?.signal);
    context.throwIfCancelled();
    return this.tryPop() ?? (await this.#items.wait(() => this.tryPop(), context));
  }

  pushBlocking(record: Uint8Array, { timeout = Number.POSITIVE_INFINITY }: BlockOptions = {}): boolean {
    checkDuration("push a record", "timeout", timeout);
    return this.tryPush(record) || (this.#room.block(() => this.tryPush(record) || undefined, timeout) ?? false);
  }

  popBlocking({ timeout = Number.POSITIVE_INFINITY }: BlockOptions = {}): Uint8Array | undefined {
    checkDuration("pop a record", "timeout", timeout);
    return this.tryPop() ?? this.#items.block(() => this.tryPop(), timeout);
  }

  /** Something has changed that both sides may wait for. */
  protected ringBoth(): void {
    this.#items.ring();
    this.#room.ring();
  }

  #check(record: Uint8Array): void {
    if (!(record instanceof Uint8Array)) {
      throw new TypeError(`Cannot push a record: it must be a Uint8Array, got ${describe(record)}`);
    }
    if (record.length > this.maxRecord) {
      throw new RangeError(`Cannot push a record: it must have at most ${this.maxRecord} bytes, got ${record.length}`);
    }
  }
}
