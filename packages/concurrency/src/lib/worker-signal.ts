// The signal of a task in a worker: a flag in shared memory, which a task that never leaves the thread sees as well, and
// a call when the news comes as a message.
import { CancelledError } from "./cancelled-error.ts";
import type { SlotTable } from "./worker-slots.ts";

/** As much of an AbortSignal as a context needs to follow it. The platform's own cannot look at shared memory. */
export class SlotSignal {
  readonly #slots: SlotTable;
  readonly #slot: number;
  #listener: (() => void) | undefined;
  #reason: CancelledError | undefined;

  constructor(slots: SlotTable, slot: number) {
    this.#slots = slots;
    this.#slot = slot;
  }

  get aborted(): boolean {
    return this.#slots.isCancelled(this.#slot);
  }

  get reason(): unknown {
    this.#reason ??= new CancelledError("The caller no longer waits for this task");
    return this.#reason;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listener = listener;
  }

  removeEventListener(): void {
    this.#listener = undefined;
  }

  /** The message has come. */
  tell(): void {
    if (this.aborted) this.#listener?.(); // not when the slot has another task by now
  }
}
