// What the HTTP/3 listener does not put up with. Its time is virtual, its sockets are real.
import { randomBytes } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import type { Exchange } from "../src/lib/exchange.ts";
import { H3_EXCESSIVE_LOAD, H3_NO_ERROR } from "../src/lib/h3-codes.ts";
import { startHttp3 } from "./h3-pair.ts";

/** Lets virtual time pass until the promise is settled, and returns how much passed. */
async function passUntil(clock: TestClock, promise: Promise<unknown>): Promise<number> {
  const start = clock.now();
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  promise.then(settle, settle);
  while (!settled) {
    await clock.advance(50);
    for (let i = 0; i < 20 && !settled; i += 1) await turn(); // real packets need real turns
  }
  return clock.now() - start;
}

test("a connection that never sends a request is closed after requestTimeout", async () => {
  const clock = new TestClock();
  await using pair = await startHttp3((exchange) => exchange.respond(204, []), { clock, requestTimeout: 5_000 });
  await pair.client.ready();
  const passed = await passUntil(clock, pair.client.closed());
  expect(passed).toBeGreaterThanOrEqual(5_000);
  expect((await pair.client.closed()).code).toBe(H3_NO_ERROR);
});

test("a connection that had a request lives on until keepAliveTimeout", async () => {
  const clock = new TestClock();
  const limits = { requestTimeout: 1_000, keepAliveTimeout: 8_000 };
  await using pair = await startHttp3((exchange) => exchange.respond(204, []), { clock, ...limits });
  await pair.client.request({ path: "/" });
  const passed = await passUntil(clock, pair.client.closed());
  expect(passed).toBeGreaterThanOrEqual(8_000);
});

test("a connection with a request under way is not closed", async () => {
  const clock = new TestClock();
  let exchange: Exchange | undefined;
  await using pair = await startHttp3(
    (begun) => {
      exchange = begun;
    },
    { clock, requestTimeout: 1_000, keepAliveTimeout: 1_000 },
  );
  const pending = pair.client.request({ path: "/" });
  while (exchange === undefined) await turn();
  await clock.advance(60_000);
  exchange.respond(200, [], "at last");
  expect(await (await pending).text()).toBe("at last");
});

test("an upload that stands still is answered with 408, and the handler is told", async () => {
  const clock = new TestClock();
  const begun = Promise.withResolvers<void>();
  const aborts: string[] = [];
  const handle = async (exchange: Exchange): Promise<void> => {
    exchange.onAbort((cause) => aborts.push(cause.message));
    await exchange.body()[Symbol.asyncIterator]().next();
    begun.resolve();
  };
  await using pair = await startHttp3((exchange) => void handle(exchange), { clock, bodyTimeout: 4_000 });
  await pair.client.ready();
  const stream = await pair.client.open(pair.head("/").with(1, "POST"), false);
  await stream.write(Buffer.from("begin"));
  await begun.promise;

  await clock.advance(3_900);
  expect(aborts).toEqual([]);
  await clock.advance(1_200); // it is looked at once a second
  expect(aborts).toEqual(["The request was refused: Request Timeout"]);
  expect((await stream.response).status).toBe(408);
});

test("an upload that goes on after its answer is stopped, and the answer arrives", async () => {
  const clock = new TestClock();
  await using pair = await startHttp3((exchange) => exchange.respond(200, [], "no need for that"), { clock });
  await pair.client.ready();
  const stream = await pair.client.open(pair.head("/").with(1, "POST"), false);
  const response = await stream.response;
  expect(await response.text()).toBe("no need for that");
  let stopped = false;
  const uploading = (async () => {
    while (!stopped) {
      await stream.write(randomBytes(10_000));
      await turn();
    }
  })();
  await clock.advance(4_000);
  expect((await pair.client.request({ path: "/" })).status).toBe(200);
  stopped = true;
  await uploading;
});

test("a client that resets all the time loses its connection, one that does so now and then does not", async () => {
  const clock = new TestClock();
  await using pair = await startHttp3(() => {}, { clock });
  await pair.client.ready();
  const post = pair.head("/").with(1, "POST");
  const giveUp = async (): Promise<void> => {
    const stream = await pair.client.open(post, false);
    await stream.write(Buffer.from("x"));
    while (pair.listener.active === 0) await turn();
    stream.reset();
    while (pair.listener.active > 0) await turn();
  };
  for (let i = 0; i < 100; i += 1) await giveUp();
  await clock.advance(1_000);
  for (let i = 0; i < 20; i += 1) await giveUp();
  await giveUp();
  expect((await pair.client.closed()).code).toBe(H3_EXCESSIVE_LOAD);
});

test("no timer is left when all connections are gone", async () => {
  const clock = new TestClock();
  const pair = await startHttp3((exchange) => exchange.respond(204, []), { clock });
  await pair.client.request({ path: "/" });
  await pair[Symbol.asyncDispose]();
  await clock.advance(5_000);
  expect(clock.timers).toBe(0);
});
