// Reads of the tiers that load nothing.
import type { Core } from "./tiered-core.ts";
import type { Fill } from "./tiered-fills.ts";
import type { Found } from "./tiered-stack.ts";

/** What was found, by key. */
export type Looked<V> = ReadonlyMap<string, V | undefined>;

export class Looks<V> {
  readonly #core: Core<V>;
  readonly #byKey = new Map<string, Promise<Looked<V>>>();

  constructor(core: Core<V>) {
    this.#core = core;
    core.onInvalidated((matches, keys) => {
      for (const key of keys ?? this.#byKey.keys()) if (keys !== undefined || matches(key)) this.#byKey.delete(key);
    });
  }

  /** Looks below, once for all who want the same key at the same time. Goes on when they have left. */
  look(keys: readonly string[]): Promise<Looked<V>> {
    const known = keys.length === 1 ? this.#byKey.get(keys[0] as string) : undefined;
    if (known !== undefined) return known;
    const looking = this.#lookBelow(keys).finally(() => {
      for (const key of keys) if (this.#byKey.get(key) === looking) this.#byKey.delete(key);
    });
    for (const key of keys) this.#byKey.set(key, looking);
    return looking;
  }

  async #lookBelow(keys: readonly string[]): Promise<Looked<V>> {
    const { fills, stack } = this.#core;
    const held = keys.map((key) => fills.begin(key));
    try {
      const { found, isComplete } = await stack.read(keys, held[0]);
      const token = held[0] ?? this;
      return new Map(held.map((fill) => [fill.key, this.#take(fill, found.get(fill.key), isComplete, token)]));
    } finally {
      for (const fill of held) fills.end(fill);
    }
  }

  #take(fill: Fill, found: Found<V> | undefined, isComplete: boolean, token: object): V | undefined {
    const core = this.#core;
    const { clock, staleFor } = core.settings;
    if (found?.isFresh) {
      core.adopt(fill, found, token);
      return found.entry.value;
    }
    const entry = core.memory.peek(fill.key);
    if (entry === undefined) return undefined;
    const state = core.state(entry, clock.now());
    if (state === "fresh" || state === "eager") return entry.value; // written meanwhile
    if (state !== "doubtful") return undefined;
    if (isComplete) core.memory.delete(fill.key);
    return !isComplete && staleFor > 0 ? entry.value : undefined; // nobody can say whether it has changed
  }
}
