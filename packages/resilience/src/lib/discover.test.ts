import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Context } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { afterEach, expect, test } from "vitest";
import { type DiscoveryFeed, discover, fixed } from "../discovery.ts";
import { type ResilienceEvent, resilienceChannel } from "../index.ts";

const events: ResilienceEvent[] = [];
const listen = (event: unknown): void => void events.push(event as ResilienceEvent);

afterEach(() => {
  unsubscribe(resilienceChannel, listen);
  events.length = 0;
});

/** A source that the test feeds by hand. */
function byHand(options: Parameters<typeof discover>[1] = {}) {
  const feeds: DiscoveryFeed[] = [];
  const contexts: Context[] = [];
  let fail: (error: unknown) => void = () => {};
  const source = discover(
    (feed, context) => {
      feeds.push(feed);
      contexts.push(context);
      return new Promise((_resolve, reject) => {
        fail = reject;
      });
    },
    { clock: new TestClock(), ...options },
  );
  const sets = source[Symbol.asyncIterator]();
  return { source, sets, feeds, contexts, fail: (error: unknown) => fail(error) };
}

function ids(result: IteratorResult<readonly { readonly id: string }[], unknown>): string[] | undefined {
  return result.done === true ? undefined : result.value.map(({ id }) => id);
}

test("sets come sorted, and only when they differ; whoever is slow gets the latest", async () => {
  const { sets, feeds } = byHand();
  const first = sets.next();
  feeds[0]?.found(["b", "a"]);
  expect(ids(await first)).toEqual(["a", "b"]);
  feeds[0]?.found(["a", "b"]);
  feeds[0]?.found(["c"]);
  feeds[0]?.found([{ id: "c", address: "c", weight: 2 }]);
  feeds[0]?.found([{ id: "c", address: "c", weight: 2, metadata: { zone: "x" } }]);
  expect(await sets.next()).toEqual({
    done: false,
    value: [{ id: "c", address: "c", weight: 2, metadata: { zone: "x" } }],
  });
});

test("an empty set after a good one is kept out and told, unless it is to be accepted", async () => {
  subscribe(resilienceChannel, listen);
  const { sets, feeds } = byHand({ name: "registry" });
  const first = sets.next();
  feeds[0]?.found([]);
  expect(ids(await first)).toEqual([]); // nothing better is known
  feeds[0]?.found(["a"]);
  feeds[0]?.found([]);
  expect(ids(await sets.next())).toEqual(["a"]);
  expect(events.at(-1)).toMatchObject({
    kind: "discovery-failed",
    name: "registry",
    known: 1,
    error: { code: "ERR_DISCOVERY", message: "Cannot take endpoints from registry: its answer has none" },
  });

  const accepting = byHand({ empty: "accept" });
  const one = accepting.sets.next();
  accepting.feeds[0]?.found(["a"]);
  expect(ids(await one)).toEqual(["a"]);
  accepting.feeds[0]?.found([]);
  expect(ids(await accepting.sets.next())).toEqual([]);
});

test("a source that fails is asked again after pauses that grow until it answers; the set stays", async () => {
  subscribe(resilienceChannel, listen);
  const clock = new TestClock();
  const starts: number[] = [];
  const source = discover(
    async (feed) => {
      starts.push(clock.now());
      if (starts.length === 4) feed.found(["a"]);
      throw new Error(`outage ${starts.length}`);
    },
    { clock, random: () => 0, name: "registry" },
  );
  const sets = source[Symbol.asyncIterator]();
  const first = sets.next();
  await clock.advance(250 + 500 + 1_000);
  expect(ids(await first)).toEqual(["a"]);
  await clock.advance(250 + 500);
  expect(starts).toEqual([0, 250, 750, 1_750, 2_000, 2_500]);
  expect(events.filter(({ kind }) => kind === "discovery-updated")).toHaveLength(1);
  expect(events.filter(({ kind }) => kind === "discovery-failed")).toHaveLength(6);
  expect(events.at(-1)).toMatchObject({ known: 1, name: "registry" });
  await sets.return?.();
  expect(clock.timers).toBe(0);
});

test("return() ends the watch at once and whoever waits for a set, and leaves nothing behind", async () => {
  const { sets, contexts, feeds } = byHand();
  const waiting = sets.next();
  await sets.return?.();
  expect(await waiting).toEqual({ done: true, value: undefined });
  expect(await sets.next()).toEqual({ done: true, value: undefined });
  expect(contexts[0]?.cancelled).toBe(true);
  feeds[0]?.found(["late"]);
  expect(await sets.next()).toEqual({ done: true, value: undefined });
});

test("the iteration rejects with the reason of its signal, once, and then is over", async () => {
  const caller = new AbortController();
  const { sets, source } = byHand({ signal: caller.signal });
  const waiting = sets.next();
  caller.abort("enough");
  await expect(waiting).rejects.toBe("enough");
  expect(await sets.next()).toEqual({ done: true, value: undefined });
  await expect(source[Symbol.asyncIterator]().next()).rejects.toBe("enough");
});

test("each iteration watches on its own, not before its first next(), in a context of its own", async () => {
  const { source, feeds, contexts } = byHand();
  const request = Context.derive({ timeout: 60_000 });
  const [one, other] = [source[Symbol.asyncIterator](), source[Symbol.asyncIterator]()];
  expect(feeds).toHaveLength(0);
  Context.run(request, () => void one.next());
  void other.next();
  expect(feeds).toHaveLength(2);
  request.cancel();
  expect(contexts.map(({ cancelled, deadline }) => [cancelled, deadline])).toEqual([
    [false, Number.POSITIVE_INFINITY],
    [false, Number.POSITIVE_INFINITY],
  ]);
});

test("fixed() gives its set to each iteration and ends", async () => {
  const source = fixed(["a", "b"]);
  for (let iteration = 0; iteration < 2; iteration++) {
    const all: string[][] = [];
    for await (const set of source) all.push(set.map(({ id }) => id));
    expect(all).toEqual([["a", "b"]]);
  }
});

test.each([
  [
    "throws",
    () => {
      throw new Error("the backoff is broken");
    },
  ],
  ["gives NaN", () => Number.NaN],
])("A backoff that %s lets a source that fails be asked again after 30 s", async (_what, backoff) => {
  const clock = new TestClock();
  let asked = 0;
  const source = discover(
    async (feed) => {
      if (++asked === 1) throw new Error("the registry is away");
      feed.found(["a"]);
    },
    { clock, backoff },
  );
  const first = source[Symbol.asyncIterator]().next();
  await clock.advance(29_999);
  expect(asked).toBe(1);
  await clock.advance(1);
  expect(ids(await first)).toEqual(["a"]);
});
