// What an operator has decided, for one key or for all.
import type { ForcedSnapshot } from "./breaker-snapshot.ts";

/** Lets nobody through, lets everybody through, or goes by the results again. */
export type ForcedState = "open" | "closed" | "auto";

/** The last word on a key counts, whether it was said of this key or of all. */
export class Forced {
  #all: "open" | "closed" | undefined;
  readonly #keys = new Map<string, "open" | "closed">();

  /** Of one key, or of those without. */
  of(key: string | undefined): "open" | "closed" | undefined {
    return (key === undefined ? undefined : this.#keys.get(key)) ?? this.#all;
  }

  get isEmpty(): boolean {
    return this.#all === undefined && this.#keys.size === 0;
  }

  /** For one key, or for all. */
  set(state: ForcedState, key: string | undefined): void {
    if (key === undefined) {
      this.#keys.clear();
      this.#all = state === "auto" ? undefined : state;
    } else if (state === "auto") {
      this.#keys.delete(key);
    } else {
      this.#keys.set(key, state);
    }
  }

  save(): ForcedSnapshot[] {
    const forced: ForcedSnapshot[] = this.#all === undefined ? [] : [{ key: null, state: this.#all }];
    for (const [key, state] of this.#keys) forced.push({ key, state });
    return forced;
  }
}
