// The sets of one iteration over a source: the latest one waits for whoever asks, older ones are dropped.
import { Context, type OwnedContext } from "@proj/concurrency";
import { pauseOf } from "./backoff.ts";
import { type EndpointSet, endpointsFrom } from "./balance-endpoints.ts";
import type { DiscoveryFeed, DiscoveryWatch } from "./discover.ts";
import type { DiscoverSettings } from "./discover-options.ts";
import { Pause } from "./discover-pause.ts";
import { DiscoveryError } from "./discovery-error.ts";
import type { Endpoint } from "./endpoint.ts";
import { listening, tell } from "./events.ts";

type Result = IteratorResult<readonly Endpoint[], undefined>;

/** Milliseconds until a source is asked again where the backoff has no answer. */
const usual = 30_000;

export class Feed implements AsyncIterator<readonly Endpoint[], undefined>, DiscoveryFeed {
  readonly #watch: DiscoveryWatch;
  readonly #settings: DiscoverSettings;
  /** Made when the first set is asked for, so that an iteration that never begins costs nothing. */
  #context: OwnedContext | undefined;
  #known: readonly Endpoint[] | undefined;
  #isFresh = false;
  #failures = 0;
  #end: "no" | "quiet" | { readonly reason: unknown } = "no";
  readonly #waiting: PromiseWithResolvers<Result>[] = [];

  constructor(watch: DiscoveryWatch, settings: DiscoverSettings) {
    this.#watch = watch;
    this.#settings = settings;
  }

  next(): Promise<Result> {
    if (this.#context === undefined && this.#end === "no") this.#begin();
    const waiter = Promise.withResolvers<Result>();
    this.#waiting.push(waiter);
    this.#serve();
    return waiter.promise;
  }

  /** Ends the watch. Whoever waits for a set gets none. */
  async return(): Promise<Result> {
    if (this.#end === "no") this.#end = "quiet";
    this.#isFresh = false;
    this.#context?.cancel();
    this.#serve();
    return { done: true, value: undefined };
  }

  found(set: EndpointSet): void {
    if (this.#end !== "no") return;
    const { name, empty } = this.#settings;
    const before = this.#known;
    // In one order: a registry that shuffles its answers has not changed its mind.
    const endpoints = endpointsFrom("discover", set).sort((one, other) => (one.id < other.id ? -1 : 1));
    if (endpoints.length === 0 && empty === "keep" && before !== undefined && before.length > 0) {
      this.failed(new DiscoveryError(name, "its answer has none"));
      return;
    }
    this.#failures = 0;
    if (before !== undefined && areSame(before, endpoints)) return;
    this.#known = endpoints;
    this.#isFresh = true;
    if (listening()) tell({ kind: "discovery-updated", name, endpoints });
    this.#serve();
  }

  failed(error: unknown): void {
    if (listening()) {
      tell({ kind: "discovery-failed", name: this.#settings.name, error, known: this.#known?.length ?? 0 });
    }
  }

  #begin(): void {
    const { signal, clock } = this.#settings;
    const context = Context.derive({ parent: Context.detach(), signal, clock });
    this.#context = context;
    Context.after(context, (reason) => {
      if (this.#end === "no") this.#end = { reason };
      this.#serve();
    });
    void Context.run(context, () => this.#follow(context));
  }

  async #follow(context: OwnedContext): Promise<void> {
    const { backoff, clock, random } = this.#settings;
    const pause = new Pause(context, clock);
    let previous = 0;
    while (!context.cancelled) {
      try {
        await this.#watch(this, context);
        break;
      } catch (error) {
        if (context.cancelled) break;
        this.failed(error);
        if (this.#failures++ === 0) previous = 0;
        previous = pauseOf(backoff, this.#failures, previous, random) ?? usual;
        await pause.wait(previous);
      }
    }
    if (this.#end === "no") this.#end = "quiet"; // the watch has told all it ever will
    context.cancel();
    this.#serve();
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      if (this.#isFresh && this.#known !== undefined) {
        this.#isFresh = false;
        this.#waiting.shift()?.resolve({ done: false, value: this.#known });
      } else if (typeof this.#end === "object") {
        const { reason } = this.#end;
        this.#end = "quiet"; // told once
        this.#waiting.shift()?.reject(reason);
      } else if (this.#end === "quiet") {
        this.#waiting.shift()?.resolve({ done: true, value: undefined });
      } else {
        return;
      }
    }
  }
}

function areSame(before: readonly Endpoint[], after: readonly Endpoint[]): boolean {
  return before.length === after.length && before.every((endpoint, at) => isSame(endpoint, after[at] as Endpoint));
}

function isSame(one: Endpoint, other: Endpoint): boolean {
  if (one.id !== other.id || one.address !== other.address || one.weight !== other.weight) return false;
  const [{ metadata: some = {} }, { metadata: others = {} }] = [one, other];
  const keys = Object.keys(some);
  return keys.length === Object.keys(others).length && keys.every((key) => some[key] === others[key]);
}
