// Which named components live in this process, and how they do. Nothing stays alive because it is listed.

/** What a component tells about itself. */
export type ComponentStats = Readonly<Record<string, unknown>>;

/** One component as it is now. */
export interface ComponentReport {
  /** What it is, as `"semaphore"`. */
  readonly kind: string;
  /** As its owner has named it. Several may have the same name. */
  readonly name: string;
  /** Empty if the component failed to tell. */
  readonly stats: ComponentStats;
  /** What it failed with; `undefined` if it did not. */
  readonly error: unknown;
}

interface Entry {
  readonly kind: string;
  readonly name: string;
  /** Gives the stats, or nothing when the component has been collected. */
  readonly look: () => ComponentStats | undefined;
}

const entries = new Set<Entry>();
const collected = new FinalizationRegistry<Entry>((entry) => entries.delete(entry));

/**
 * Lists a component for as long as it lives, or until the result is disposed. It is held weakly, so `stats` must not
 * hold it either: it gets it as its argument. Named components of this package list themselves.
 *
 * @example
 * ```ts
 * import { components, register } from "@proj/concurrency/inspect";
 *
 * class Cache {
 *   readonly entries = new Map<string, string>();
 * }
 *
 * const cache = new Cache();
 * using listing = register("cache", "users", cache, ({ entries }) => ({ size: entries.size }));
 * cache.entries.set("a", "b");
 * console.log(components("cache").map(({ name, stats }) => ({ name, stats })));
 * // prints: [ { name: 'users', stats: { size: 1 } } ]
 * ```
 */
export function register<C extends object>(
  kind: string,
  name: string,
  component: C,
  stats: (component: C) => ComponentStats,
): Disposable {
  const weak = new WeakRef(component);
  const entry: Entry = {
    kind,
    name,
    look: () => {
      const alive = weak.deref();
      return alive && stats(alive);
    },
  };
  entries.add(entry);
  collected.register(component, entry, entry);
  return {
    [Symbol.dispose]() {
      entries.delete(entry);
      collected.unregister(entry);
    },
  };
}

/**
 * What all named components are and do now, in the order in which they were made; or those of one kind. One that fails
 * to tell is listed with its error.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@proj/concurrency";
 * import { components } from "@proj/concurrency/inspect";
 *
 * const database = new Semaphore(10, { name: "database" });
 * using permit = await database.acquire();
 * for (const { kind, name, stats } of components()) console.log(kind, name, stats);
 * // prints: semaphore database { permits: 10, held: 1, waiting: 0 }
 * ```
 */
export function components(kind?: string): ComponentReport[] {
  const reports: ComponentReport[] = [];
  for (const entry of entries) {
    if (kind !== undefined && entry.kind !== kind) continue;
    const report = reportOf(entry);
    if (report !== undefined) reports.push(report);
  }
  return reports;
}

function reportOf({ kind, name, look }: Entry): ComponentReport | undefined {
  try {
    const stats = look();
    return stats && { kind, name, stats, error: undefined };
  } catch (error) {
    return { kind, name, stats: {}, error };
  }
}
