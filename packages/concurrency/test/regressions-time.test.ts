// What deadlines and limits have done to users of other packages. In brackets: where it was reported.
import {
  Context,
  fixedWindow,
  type OwnedContext,
  type RateLimiter,
  select,
  slidingWindow,
  tokenBucket,
} from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";

/** A server that is called: it takes the time that is left from the headers. */
function incoming(headers: Headers, clock: TestClock): OwnedContext {
  return Context.extract(headers, { clock, timeout: 10_000 });
}

function outgoing(context: Context): Headers {
  const headers = new Headers();
  Context.inject(context, headers);
  return headers;
}

test("[grpc-node#1542] a call that a server makes ends with the deadline of the call that it serves", async () => {
  const clock = new TestClock();
  using served = incoming(new Headers({ "grpc-timeout": "2S" }), clock);
  const call = Context.run(served, async () => {
    const { signal } = Context.current();
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  }).catch((error: Error) => error.name);
  await clock.advance(2_000);
  expect(await call).toBe("TimeoutError");
});

test("[grpc-node#1632] of the caller's deadline and the own one, the earlier counts", () => {
  const clock = new TestClock();
  using served = incoming(new Headers({ "grpc-timeout": "2S" }), clock);
  using longer = Context.derive({ parent: served, timeout: 60_000 });
  using shorter = Context.derive({ parent: served, timeout: 500 });
  expect([longer.remaining, shorter.remaining]).toEqual([2_000, 500]);
});

test("[grpc-java#1205] a deadline goes on from hop to hop, each time by what is left of it", async () => {
  const clock = new TestClock();
  using first = incoming(new Headers({ "grpc-timeout": "2S" }), clock);
  await clock.advance(500);
  using second = incoming(outgoing(first), clock);
  await clock.advance(700);
  using third = incoming(outgoing(second), clock);
  expect(outgoing(third).get("x-deadline-ms")).toBe("800");
  const ended = new Promise((resolve) => Context.after(third, resolve));
  await clock.advance(800);
  expect(await ended).toMatchObject({ name: "TimeoutError" });
  expect([first.cancelled, second.cancelled]).toEqual([true, true]);
});

test("[grpc-java#11690] a server can opt out: detached work goes on after the deadline, and tells no peer of it", async () => {
  const clock = new TestClock();
  using served = incoming(new Headers({ "grpc-timeout": "1S" }), clock);
  const beyond = Context.detach(served);
  await clock.advance(1_000);
  expect([served.cancelled, beyond.cancelled, beyond.remaining]).toEqual([true, false, Number.POSITIVE_INFINITY]);
  expect([...outgoing(beyond).keys()]).toEqual([]);
});

test("[connect-es#632] a handler can ask how many milliseconds are left", async () => {
  const clock = new TestClock();
  using served = incoming(new Headers({ "connect-timeout-ms": "750" }), clock);
  await clock.advance(250);
  expect(Context.run(served, () => Context.current().remaining)).toBe(500);
});

const limiters = (clock: TestClock, window: number): Record<string, RateLimiter> => ({
  fixed: fixedWindow({ limit: 1, window, clock }),
  exact: slidingWindow({ limit: 1, window, exact: true, clock }),
  bucket: tokenBucket({ rate: 1, per: window, burst: 1, clock }),
});

test("[node-rate-limiter-flexible#143] a caller can wait for its turn instead of being refused", async () => {
  const clock = new TestClock();
  for (const limiter of Object.values(limiters(clock, 100))) {
    limiter.tryTake();
    const waiting = limiter.take().then(() => "its turn");
    await clock.advance(100);
    expect(await select({ waiting })).toMatchObject({ value: "its turn" });
  }
});

test("[node-rate-limiter-flexible#71] a window longer than 2^31 ms is kept, and gives no warning", async () => {
  const clock = new TestClock();
  const taken: string[] = [];
  for (const [name, limiter] of Object.entries(limiters(clock, 2 ** 32))) {
    limiter.tryTake();
    void limiter.take().then(() => taken.push(name));
  }
  await clock.advance(2 ** 31 + 1);
  expect(taken).toEqual([]);
  await clock.advance(2 ** 31);
  expect(taken.toSorted()).toEqual(["bucket", "exact", "fixed"]);

  const warnings: string[] = [];
  const listener = ({ name }: Error): void => void warnings.push(name);
  process.on("warning", listener);
  const real = tokenBucket({ rate: 1, per: 2 ** 40, burst: 1 });
  real.tryTake();
  const caller = new AbortController();
  const waiting = real.take(undefined, 1, { signal: caller.signal });
  await new Promise((resolve) => setTimeout(resolve, 5)); // an overflow would fire after 1 ms
  caller.abort("still waiting");
  await expect(waiting).rejects.toBe("still waiting");
  process.off("warning", listener);
  expect(warnings).toEqual([]);
});
