// What has been set and is not in the file yet.
import type { Sealed } from "./tier.ts";

export class SqliteTierBatch {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #entries = new Map<string, Sealed>();
  #bytes = 0;

  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#entries.size >= this.#maxEntries || this.#bytes >= this.#maxBytes;
  }

  get entries(): Iterable<[string, Sealed]> {
    return this.#entries;
  }

  get(key: string): Sealed | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: Sealed): void {
    this.delete(key);
    this.#entries.set(key, value);
    this.#bytes += weightOf(key, value.bytes);
  }

  delete(key: string): void {
    const known = this.#entries.get(key);
    if (known === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= weightOf(key, known.bytes);
  }

  clear(): void {
    this.#entries = new Map();
    this.#bytes = 0;
  }
}

/** About what a row takes in the file. */
export function weightOf(key: string, bytes: Uint8Array): number {
  return bytes.length + 2 * key.length + 40;
}
