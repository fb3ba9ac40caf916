// The keys of which the file may have an older value than was written: they read as missing until it has been told.

/** More than that, and the whole file is in doubt. */
const most = 10_000;

export class SqliteTierDoubt {
  readonly #keys = new Set<string>();
  #all = false;

  /** Whether the file must be replaced before it can be read again. */
  get isTotal(): boolean {
    return this.#all;
  }

  get keys(): Iterable<string> {
    return this.#keys;
  }

  hides(key: string): boolean {
    return this.#all || (this.#keys.size > 0 && this.#keys.has(key));
  }

  add(key: string): void {
    if (this.#keys.size >= most) this.addAll();
    else if (!this.#all) this.#keys.add(key);
  }

  addAll(): void {
    this.#all = true;
    this.#keys.clear();
  }

  settle(): void {
    this.#all = false;
    this.#keys.clear();
  }
}
