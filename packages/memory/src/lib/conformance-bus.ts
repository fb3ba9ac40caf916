// What a cache in tiers expects of a bus.
import { deepEqual, equal, ok } from "node:assert/strict";
import type { ConformanceCase } from "@proj/concurrency/testing";
import { conformanceCase, eventually } from "./conformance-case.ts";
import type { Bus, BusListener, Invalidation } from "./tier.ts";

/** Buses of two processes to check, connected. Disposed of after each check if it is `AsyncDisposable`. */
export interface BusUnderTest extends Partial<AsyncDisposable> {
  /** That of the process that writes. */
  readonly here: Bus;
  /** That of another one. */
  readonly there: Bus;
  /** Lets so many milliseconds pass: by waiting, or by advancing a `TestClock`. */
  pass(ms: number): unknown;
  /** Cuts the link of `there`; it may come back by itself. Default: outages are not checked. */
  cut?(): unknown;
  /** Lets the link of `there` come back, where it does not by itself. */
  mend?(): unknown;
}

/**
 * Checks a {@link Bus}. `make` makes two that are connected, for each check.
 *
 * @example
 * ```ts
 * import { busConformance, MemoryBus } from "@proj/memory/testing";
 *
 * const suite = busConformance(() => {
 *   const here = new MemoryBus();
 *   const there = here.connect();
 *   return { here, there, pass: () => {}, cut: () => there.cut(), mend: () => there.mend() };
 * });
 * for (const { run } of suite) await run(); // or: for (const { name, run } of suite) test(name, run);
 * ```
 */
export function busConformance(make: () => BusUnderTest | PromiseLike<BusUnderTest>): readonly ConformanceCase[] {
  const check = (name: string, body: (under: BusUnderTest) => unknown): ConformanceCase =>
    conformanceCase(name, make, body);
  return [
    check("the others are told of keys, prefixes and tags, letter for letter", async ({ here, there, pass }) => {
      const told = new Told(there);
      const keys = ["user:1", "", "ключ", "a\nb", "😀"];
      await here.publish({ keys });
      await here.publish({ prefix: "user:*" });
      await here.publish({ prefix: "" });
      await here.publish({ tags: { price: 2 ** 51 + 1, __proto: 7 } });
      await eventually("all are told", () => told.tags.size === 2 && told.prefixes.length === 2, pass);
      deepEqual(told.keys, new Set(keys));
      deepEqual(told.prefixes, ["user:*", ""]);
      deepEqual([...told.tags].toSorted(), [
        ["__proto", 7],
        ["price", 2 ** 51 + 1],
      ]);
    }),
    check("nobody is told of its own publications", async ({ here, there, pass }) => {
      const [own, other] = [new Told(here), new Told(there)];
      await here.publish({ keys: ["mine"] });
      await there.publish({ keys: ["theirs"] });
      await eventually("both are told", () => own.keys.has("theirs") && other.keys.has("mine"), pass);
      deepEqual([own.keys, other.keys], [new Set(["theirs"]), new Set(["mine"])]);
    }),
    check("publications arrive in order", async ({ here, there, pass }) => {
      const told = new Told(there);
      for (let n = 0; n < 50; n++) await here.publish({ tags: { [`tag ${n}`]: n } });
      await eventually("all are told", () => told.tags.size === 50, pass);
      deepEqual(
        [...told.tags.values()],
        Array.from({ length: 50 }, (_, n) => n),
      );
    }),
    check("all listeners are told, until they are disposed", async ({ here, there, pass }) => {
      const [first, second] = [new Told(there), new Told(there)];
      await here.publish({ keys: ["one"] });
      await eventually("both are told", () => first.keys.has("one") && second.keys.has("one"), pass);
      first.subscription[Symbol.dispose]();
      first.subscription[Symbol.dispose]();
      await here.publish({ keys: ["two"] });
      await eventually("the second is told", () => second.keys.has("two"), pass);
      deepEqual(first.keys, new Set(["one"]));
    }),
    check("publishing to nobody resolves", async ({ here }) => {
      await here.publish({ keys: ["key"] });
      await here.publish({});
    }),
    check("many keys arrive", async ({ here, there, pass }) => {
      const told = new Told(there);
      const keys = Array.from({ length: 5_000 }, (_, n) => `key:${n}`);
      await here.publish({ keys });
      await eventually("all are told", () => told.keys.size === keys.length, pass);
    }),
    check("who has lost its link is told so, and that it is back, and hears again", async (under) => {
      const { here, there, pass } = under;
      if (under.cut === undefined) return;
      const told = new Told(there);
      await here.publish({ keys: ["before"] });
      await eventually("told before", () => told.keys.has("before"), pass);
      await under.cut();
      await eventually("told of the loss", () => told.links[0] === "lost", pass);
      await under.mend?.();
      await eventually("told of the return", () => told.links.at(-1) === "restored", pass);
      await here.publish({ keys: ["after"] });
      await eventually("told after", () => told.keys.has("after"), pass);
      ok(told.links.length % 2 === 0, `told of ${told.links.join(", ")}`);
      for (const [index, link] of told.links.entries()) equal(link, index % 2 === 0 ? "lost" : "restored");
    }),
  ];
}

class Told implements BusListener {
  readonly keys = new Set<string>();
  readonly prefixes: string[] = [];
  readonly tags = new Map<string, number>();
  readonly links: string[] = [];
  readonly subscription: Disposable;

  constructor(bus: Bus) {
    this.subscription = bus.subscribe(this);
  }

  invalidated({ keys = [], prefix, tags = {} }: Invalidation): void {
    for (const key of keys) this.keys.add(key);
    if (prefix !== undefined) this.prefixes.push(prefix);
    for (const [tag, version] of Object.entries(tags)) this.tags.set(tag, version);
  }

  lost(): void {
    this.links.push("lost");
  }

  restored(): void {
    this.links.push("restored");
  }
}
