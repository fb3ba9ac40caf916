// Linked lists of slots in two typed arrays: nothing is allocated to move a slot.

/** `lists` circular lists; each slot is in one of them at most. */
export class SlotLists {
  /** The first nodes are the lists' own; that of a slot comes `#lists` later. */
  readonly #lists: number;
  #next: Uint32Array;
  #previous: Uint32Array;

  constructor(lists: number, capacity: number) {
    this.#lists = lists;
    this.#next = new Uint32Array(lists + capacity);
    this.#previous = new Uint32Array(lists + capacity);
    this.clear();
  }

  /** Makes room for slots below `capacity`. */
  grow(capacity: number): void {
    this.#next = grown(this.#next, this.#lists + capacity);
    this.#previous = grown(this.#previous, this.#lists + capacity);
  }

  /** Empties all lists. */
  clear(): void {
    for (let list = 0; list < this.#lists; list++) {
      this.#next[list] = list;
      this.#previous[list] = list;
    }
  }

  /** Adds a slot, which is in no list, as the last of one. */
  push(list: number, slot: number): void {
    const node = slot + this.#lists;
    const last = this.#previous[list] as number;
    this.#next[last] = node;
    this.#previous[node] = last;
    this.#next[node] = list;
    this.#previous[list] = node;
  }

  /** Takes a slot out of its list. */
  remove(slot: number): void {
    const node = slot + this.#lists;
    const next = this.#next[node] as number;
    const previous = this.#previous[node] as number;
    this.#next[previous] = next;
    this.#previous[next] = previous;
  }

  /** The slot that was pushed first; -1 if there is none. */
  first(list: number): number {
    const node = this.#next[list] as number;
    return node === list ? -1 : node - this.#lists;
  }

  isEmpty(list: number): boolean {
    return this.#next[list] === list;
  }

  /** Puts all of one list behind those of another. */
  append(list: number, to: number): void {
    const first = this.#next[list] as number;
    if (first === list) return;
    const last = this.#previous[list] as number;
    const end = this.#previous[to] as number;
    this.#next[end] = first;
    this.#previous[first] = end;
    this.#next[last] = to;
    this.#previous[to] = last;
    this.#next[list] = list;
    this.#previous[list] = list;
  }
}

/** A longer copy. */
export function grown<A extends Uint8Array | Uint32Array | Float64Array>(array: A, length: number): A {
  const copy = new (array.constructor as new (length: number) => A)(length); // of the same kind
  copy.set(array);
  return copy;
}
