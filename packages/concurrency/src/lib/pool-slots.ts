// The places of a pool: one for each resource that lives, and the stack of those that nobody holds.
import type { Timer } from "./clock.ts";

export class Slot<Resource> {
  readonly resource: Resource;
  ageTimer: Timer | undefined;
  /** To be destroyed as soon as nobody holds it. */
  isDoomed = false;

  constructor(resource: Resource) {
    this.resource = resource;
  }
}

/**
 * Last in, first out, so what is not needed sinks to the bottom. How far the stack was taken down since the last mark
 * tells what nobody has touched: no time needs to be read when a resource goes or comes.
 */
export class IdleStack<Resource> {
  readonly #slots: Slot<Resource>[] = [];
  #untouched = 0;

  get length(): number {
    return this.#slots.length;
  }

  push(slot: Slot<Resource>): void {
    this.#slots.push(slot);
  }

  pop(): Slot<Resource> | undefined {
    const slot = this.#slots.pop();
    if (this.#slots.length < this.#untouched) this.#untouched = this.#slots.length;
    return slot;
  }

  /** Returns whether it was here. */
  remove(slot: Slot<Resource>): boolean {
    const index = this.#slots.indexOf(slot);
    if (index < 0) return false;
    this.#slots.splice(index, 1);
    if (index < this.#untouched) this.#untouched--;
    return true;
  }

  mark(): void {
    this.#untouched = this.#slots.length;
  }

  /** Takes away what has not been touched since the mark: `most` at most, the longest unused first. */
  takeUntouched(most: number): Slot<Resource>[] {
    const taken = this.#slots.splice(0, Math.max(0, Math.min(most, this.#untouched)));
    this.#untouched -= taken.length;
    return taken;
  }
}
