// Writes to a cache in tiers: memory first, then all tiers, then the other processes.
import { describe } from "@proj/concurrency/options";
import type { Core } from "./tiered-core.ts";
import { checkTags } from "./tiered-load.ts";
import type { TieredEntryOptions } from "./tiered-options.ts";

export class Writes<V> {
  readonly #core: Core<V>;

  constructor(core: Core<V>) {
    this.#core = core;
  }

  async set(key: string, value: V, options: TieredEntryOptions): Promise<void> {
    const core = this.#core;
    const action = "set a value";
    core.check(action, key);
    const { ttl = core.settings.fresh, tags = [] } = options;
    if (typeof ttl !== "number" || !(ttl > 0)) {
      throw new RangeError(`Cannot ${action}: ttl must be above 0 ms, got ${describe(ttl)}`);
    }
    if (value === undefined)
      throw new TypeError(`Cannot ${action}: value must not be undefined; delete the key instead`);
    checkTags(action, tags);
    const payload = core.hasTiers ? core.stack.encode(value) : undefined; // throws before anything has changed
    core.drop([key], "us");
    const write = core.fills.begin(key); // a later write to the key takes it away
    try {
      const claim = tags.length === 0 ? undefined : await core.tags.claim([...new Set(tags)], write, true);
      if (write.isLocal) return; // as if it had come before what followed it
      const isTagGone = claim !== undefined && claim.invalidAt !== 0; // invalidated since: then the key has no value
      const entry = isTagGone ? undefined : core.entry(value, { ttl, tags: claim?.seen });
      if (entry !== undefined) core.keep(key, entry);
      if (payload !== undefined) {
        const sealed = entry && core.stack.seal(entry, payload);
        await Promise.all(core.stack.links.map((link) => link.write(key, sealed)));
      }
      // Another process has written it at the same time: only the tiers know which value was the last.
      if (write.isRemote) core.drop([key], "us");
    } finally {
      core.fills.end(write);
    }
    await core.announcer.publish({ keys: [key] });
  }

  async delete(keys: readonly string[]): Promise<void> {
    await this.#remove("delete values", keys, () => undefined);
  }

  async expire(keys: readonly string[]): Promise<void> {
    const core = this.#core;
    const now = core.settings.clock.now();
    await this.#remove("expire values", keys, (key) => {
      const entry = core.memory.peek(key);
      return () => {
        if (entry === undefined || entry.isNothing || core.state(entry, now) === "dead") return;
        const staleFor = entry.staleUntil - entry.freshUntil;
        entry.freshUntil = Math.min(entry.freshUntil, now);
        entry.refreshAt = Math.min(entry.refreshAt, now);
        entry.staleUntil = entry.freshUntil + staleFor;
        core.keep(key, entry);
      };
    });
  }

  async tag(tags: readonly string[], isHard: boolean): Promise<void> {
    const core = this.#core;
    const action = isHard ? "invalidate tags" : "expire tags";
    core.check(action, "");
    checkTags(action, tags);
    if (tags.length === 0) return;
    const names = [...new Set(tags)];
    const versions = core.tags.bump(names, isHard);
    core.counts.invalidations += names.length;
    await core.tags.store(names);
    await core.announcer.publish({ tags: versions });
  }

  async clear(match: string | RegExp): Promise<number> {
    const core = this.#core;
    core.check("clear a cache", "");
    if (typeof match !== "string" && !(match instanceof RegExp)) {
      throw new TypeError(`Cannot clear a cache: match must be a string or a RegExp, got ${describe(match)}`);
    }
    const { count } = core.dropWhere(match, typeof match === "string" ? "us" : "memory");
    if (typeof match !== "string") return count;
    const told = core.announcer.publish({ prefix: match });
    const counts = await Promise.all(core.stack.links.map((link) => link.clear(match)));
    await told;
    // Once more: meanwhile the others may have read what had not been deleted yet.
    if (core.hasTiers) await core.announcer.publish({ prefix: match });
    return Math.max(count, ...counts.map((deleted) => deleted ?? 0));
  }

  async #remove(
    action: string,
    keys: readonly string[],
    keep: (key: string) => (() => void) | undefined,
  ): Promise<void> {
    const core = this.#core;
    for (const key of keys) core.check(action, key);
    if (keys.length === 0) return;
    const unique = [...new Set(keys)];
    const kept = unique.map(keep);
    core.drop(unique, "us");
    for (const restore of kept) restore?.();
    await Promise.all(core.stack.links.map((link) => link.remove(unique)));
    await core.announcer.publish({ keys: unique });
  }
}
