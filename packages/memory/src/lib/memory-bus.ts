// A bus in memory whose links can be cut: for tests.
import type { Bus, BusListener, Invalidation, MaybePromise } from "./tier.ts";

/**
 * The {@link Bus} of one of several caches in this process; `connect()` makes those of the others.
 *
 * @example
 * ```ts
 * import { tiered } from "@proj/memory";
 * import { MemoryBus, MemoryTier } from "@proj/memory/testing";
 *
 * const [tiers, bus] = [[new MemoryTier()], new MemoryBus()];
 * await using here = tiered<string>({ tiers, bus, fresh: 60_000 });
 * await using there = tiered<string>({ tiers, bus: bus.connect(), fresh: 60_000 });
 * await here.set("ada", "Ada");
 * console.log(await there.get("ada")); // prints: Ada
 * await here.set("ada", "Ada King");
 * console.log(await there.get("ada")); // prints: Ada King
 * ```
 */
export class MemoryBus implements Bus {
  /** Called before a publication is told, which waits for it, and fails as it does. */
  fault: ((what: Invalidation) => MaybePromise<unknown>) | undefined;
  readonly #peers: Set<MemoryBus>;
  readonly #listeners = new Set<{ readonly listener: BusListener }>();
  #isCut = false;

  constructor(peers: Set<MemoryBus> = new Set()) {
    this.#peers = peers;
    peers.add(this);
  }

  /** The bus of another process, on the same line. */
  connect(): MemoryBus {
    return new MemoryBus(this.#peers);
  }

  /** Loses the link: nothing is told and nothing can be published until it is mended. */
  cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    for (const { listener } of this.#listeners) listener.lost();
  }

  /** Lets the link come back. */
  mend(): void {
    if (!this.#isCut) return;
    this.#isCut = false;
    for (const { listener } of this.#listeners) listener.restored();
  }

  async publish(what: Invalidation): Promise<void> {
    if (this.#isCut) throw new Error("Cannot publish: the link is cut");
    await this.fault?.(what);
    for (const peer of this.#peers) if (peer !== this) peer.#hear(what);
  }

  subscribe(listener: BusListener): Disposable {
    const entry = { listener };
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  #hear(what: Invalidation): void {
    if (this.#isCut) return;
    for (const { listener } of this.#listeners) listener.invalidated(what);
  }
}
