// What a load is given, and what it says about its result.
import { abortable, type Clock, Context } from "@proj/concurrency";
import { checkDuration, describe } from "@proj/concurrency/options";

/** What a load can say about the value that it returns. */
export interface LoadControls {
  /** For how many milliseconds the value is fresh. Default: `fresh` of the cache. */
  ttl(ms: number): void;
  /** Gives the value tags. */
  tag(...tags: string[]): void;
  /** The value is returned, but not remembered. */
  skip(): void;
  /** Says that there is nothing, and for how many milliseconds to remember that; returns `undefined`. Default: `negative` of the cache. */
  notFound(ms?: number): undefined;
}

/** What a load gets: the context that it runs in, which ends when nobody waits any longer, and a say. */
export type LoadContext<V> = Context &
  LoadControls & {
    /** The value that there was, if it is known. */
    readonly stale: V | undefined;
  };

/** Makes the value of a key. `undefined` means that there is none. */
export type Load<V, R extends V | undefined = V | undefined> = (context: LoadContext<V>) => R | PromiseLike<R>;

/** What a batch load gets; what it says counts for all keys. */
export type BatchLoadContext = Context & LoadControls;

/** Makes the values of many keys. A key that is not in the result has none. */
export type BatchLoad<V> = (
  keys: readonly string[],
  context: BatchLoadContext,
) => ReadonlyMap<string, V> | PromiseLike<ReadonlyMap<string, V>>;

/** What came of a load. */
export interface Loaded<R> {
  readonly result: R;
  readonly ttl: number | undefined;
  readonly nothingFor: number | undefined;
  readonly tags: readonly string[];
  readonly isSkipped: boolean;
}

/** Calls a load in a context of its own, which ends after `hardTimeout` milliseconds. */
export async function runLoad<V, R>(
  load: (context: LoadContext<V>) => R | PromiseLike<R>,
  { clock, context, hardTimeout, stale }: LoadSettings<V>,
): Promise<Loaded<R>> {
  const isTimed = hardTimeout !== Number.POSITIVE_INFINITY;
  const own = Context.derive(isTimed ? { parent: context, clock, timeout: hardTimeout } : { parent: context });
  const said = new Said();
  const loadContext = Object.assign(own, {
    stale,
    ttl: (ms: number) => said.setTtl(ms),
    tag: (...tags: string[]) => said.addTags(tags),
    skip: () => said.skip(),
    notFound: (ms?: number) => said.nothing(ms),
  });
  try {
    const loading = Context.run(own, () => load(loadContext));
    const result = isTimed ? await abortable(Promise.resolve(loading), { signal: own }) : await loading;
    return { result, ttl: said.ttl, nothingFor: said.nothingFor, tags: [...said.tags], isSkipped: said.isSkipped };
  } finally {
    own[Symbol.dispose]();
  }
}

export interface LoadSettings<V> {
  readonly clock: Clock;
  readonly context: Context;
  readonly hardTimeout: number;
  readonly stale: V | undefined;
}

class Said {
  ttl: number | undefined;
  nothingFor: number | undefined;
  isSkipped = false;
  readonly tags = new Set<string>();

  setTtl(ms: number): void {
    this.ttl = checkDuration("load a value", "ttl", ms);
  }

  addTags(tags: readonly string[]): void {
    for (const tag of checkTags("load a value", tags)) this.tags.add(tag);
  }

  skip(): void {
    this.isSkipped = true;
  }

  nothing(ms: number | undefined): undefined {
    if (ms !== undefined) this.nothingFor = checkDuration("load a value", "notFound", ms);
  }
}

/** How long a tag may be: its length is written in two bytes. */
const longestTag = 1_000;
const mostTags = 1_000;

export function checkTags(action: string, tags: readonly string[]): readonly string[] {
  if (!Array.isArray(tags)) throw new TypeError(`Cannot ${action}: tags must be an array, got ${describe(tags)}`);
  if (tags.length > mostTags) {
    throw new RangeError(`Cannot ${action}: tags must be at most ${mostTags}, got ${tags.length}`);
  }
  for (const tag of tags) {
    if (typeof tag !== "string") throw new TypeError(`Cannot ${action}: a tag must be a string, got ${describe(tag)}`);
    if (tag.length > longestTag || !tag.isWellFormed()) {
      throw new RangeError(`Cannot ${action}: a tag must be well-formed and of at most ${longestTag} characters`);
    }
  }
  return tags;
}
