// What happens elsewhere: what other processes tell, what they could not tell, and what that leaves in doubt.
import type { Invalidation } from "./tier.ts";
import type { Core } from "./tiered-core.ts";
import type { TierLink } from "./tiered-link.ts";

/** Milliseconds in which a key is repaired once at most where the bus also tells of loads. */
const repairEvery = 10_000;

export class Coherence<V> {
  readonly #core: Core<V>;
  readonly #repaired = new Map<string, number>();
  /** Loaded into tiers while nobody could say that it was outdated. */
  readonly #doubtful = new Set<string>();
  #generation = 0;
  /** When the link was lost, on the cache's clock. */
  lostAt = 0;

  constructor(core: Core<V>) {
    this.#core = core;
  }

  /** Another process has changed something. */
  told({ keys = [], prefix, tags = {} }: Invalidation): void {
    const core = this.#core;
    const doubtful: string[] = [];
    if (keys.length > 0) {
      const set = new Set(keys);
      for (const link of core.stack.links) link.overtaken((key) => set.has(key));
      doubtful.push(...core.drop(keys, "others"));
      for (const link of this.#upper) void core.background(link.remove(keys));
    }
    if (prefix !== undefined) {
      for (const link of core.stack.links) link.overtaken((key) => key.startsWith(prefix));
      doubtful.push(...core.dropWhere(prefix, "others").doubtful);
      for (const link of this.#upper) void core.background(link.clear(prefix));
    }
    for (const [tag, version] of Object.entries(tags)) core.tags.told(tag, version);
    if (doubtful.length > 0 && core.hasTiers) void core.background(this.repair(doubtful));
  }

  lost(): void {
    const core = this.#core;
    this.lostAt = core.settings.clock.now();
    core.epoch = Number.NaN;
    if (this.#hasUnfenced) for (const key of core.fills.recent) this.#doubtful.add(key);
  }

  restored(): void {
    const core = this.#core;
    core.epoch = ++this.#generation;
    // What is under way may be from before something that was not told.
    const recent = core.fills.cancelWhere(() => true, "others");
    core.detachAll();
    const doubtful = this.#hasUnfenced ? [...new Set([...this.#doubtful, ...recent])] : [];
    this.#doubtful.clear();
    for (const link of this.#upper) void core.background(link.clear(""));
    if (doubtful.length > 0) void core.background(this.repair(doubtful));
  }

  /** What was written during an outage of a tier has reached it: others may have read what was there before. */
  replayed(keys: readonly string[], prefixes: readonly string[]): void {
    const { announcer } = this.#core;
    if (keys.length > 0) void this.#core.background(announcer.publish({ keys }));
    for (const prefix of prefixes) void this.#core.background(announcer.publish({ prefix }));
  }

  /** Tiers have got a value of which nobody could say that it was outdated. */
  async doubt(key: string, links: readonly TierLink[]): Promise<void> {
    if (links.every(({ fences }) => fences)) return;
    if (this.#core.announcer.isLost) this.#doubtful.add(key);
    else await this.repair([key]);
  }

  /** Tiers may have got a value that is outdated: it is deleted there, and whoever may have read it is told. */
  async repair(keys: readonly string[]): Promise<void> {
    const core = this.#core;
    const now = core.settings.clock.now();
    const due = core.settings.bus?.echoes ? keys.filter((key) => this.#mayRepair(key, now)) : keys;
    if (due.length === 0) return;
    core.drop(due, "us");
    await Promise.all(core.stack.links.map((link) => link.remove(due)));
    await core.announcer.publish({ keys: due });
  }

  /** Where loads are told as writes are, processes that load at the same time would repair one another for ever. */
  #mayRepair(key: string, now: number): boolean {
    for (const [old, at] of this.#repaired) {
      if (at + repairEvery > now) break;
      this.#repaired.delete(old);
    }
    if (this.#repaired.has(key)) return false;
    this.#repaired.set(key, now);
    return true;
  }

  /** Those that may be of this machine alone: what others delete is to be deleted there as well. */
  get #upper(): readonly TierLink[] {
    return this.#core.stack.links.slice(0, -1);
  }

  get #hasUnfenced(): boolean {
    return this.#core.stack.links.some(({ fences }) => !fences);
  }
}
