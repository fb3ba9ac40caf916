import { once } from "node:events";
import { createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import {
  beginPhase,
  type CallTimeoutError,
  compose,
  constant,
  type PhaseLimits,
  phases,
  resilient,
  retry,
} from "../index.ts";

test("each phase has its own time, and the first begins with the attempt", async () => {
  const clock = new TestClock();
  const stack = compose({ name: "files", clock }, phases({ connect: 100, headers: 200, body: 300 }));
  const hang = async (...before: [string, number][]): Promise<unknown> => {
    for (const [name, ms] of before) {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, ms));
      beginPhase(name);
    }
    return await new Promise(() => {});
  };
  const ends: unknown[] = [];
  for (const before of [
    [],
    [["headers", 99]],
    [
      ["headers", 99],
      ["body", 199],
    ],
  ] as [string, number][][]) {
    const start = clock.now();
    const result = stack(() => hang(...before)).catch((error: CallTimeoutError) => error);
    await clock.advance(1_000);
    const { phase, timeoutMs, elapsedMs } = (await result) as CallTimeoutError;
    ends.push([phase, timeoutMs, elapsedMs]);
    expect(clock.now() - start).toBe(1_000);
  }
  expect(ends).toEqual([
    ["connect", 100, 100],
    ["headers", 200, 200],
    ["body", 300, 300],
  ]);
  expect(clock.timers).toBe(0);
  expect(stack.stats()).toMatchObject({
    policies: { "attempt-timeout": { timedOut: { connect: 1, headers: 1, body: 1 } } },
  });
});

test("a phase that has no limit takes as long as it likes, and nothing happens outside of an attempt", async () => {
  const clock = new TestClock();
  const stack = compose({ clock }, phases({ connect: 100 }));
  beginPhase("connect");
  const result = stack(async (context) => {
    beginPhase("think");
    await new Promise<void>((resolve) => clock.setTimeout(resolve, 5_000));
    return context;
  });
  await clock.advance(5_000);
  const context = await result;
  beginPhase("connect", context);
  await clock.advance(5_000);
  expect([context.cancelled, clock.timers]).toEqual([false, 0]);
});

test("a phase that times out is an attempt that timed out: it is repeated, and its context ends", async () => {
  const clock = new TestClock();
  const stack = resilient({ clock, idempotent: true, retry: { backoff: constant(0) }, phases: { connect: 100 } });
  const reasons: unknown[] = [];
  const result = stack(({ signal }, { attempt }) => {
    signal.addEventListener("abort", () => reasons.push(signal.reason));
    return attempt === 1 ? new Promise<never>(() => {}) : "done";
  });
  await clock.advance(100);
  expect(await result).toBe("done");
  expect(reasons).toEqual([expect.objectContaining({ phase: "connect" })]);
});

test("over a real socket, a body that stalls is told from headers that do", async () => {
  const server = createServer((request, response) => {
    if (request.url === "/body") response.write("a part");
  }).listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const read = (path: string, limits: PhaseLimits): Promise<string> =>
    compose(phases(limits))(async (context) => {
      const request = get({ port, path, signal: context.signal });
      const [response] = (await once(request, "response")) as [IncomingMessage];
      beginPhase("body", context);
      return await text(response);
    }).catch((error: CallTimeoutError) => error.phase);
  const minute = 60_000;
  const ends = await Promise.all([
    read("/headers", { headers: 50, body: minute }),
    read("/body", { headers: minute, body: 50 }),
  ]);
  expect(ends).toEqual(["headers", "body"]);
  server.closeAllConnections();
  server.close();
});

test("phases() refuses what is no time", () => {
  expect(() => phases({ connect: -1 })).toThrow(/connect must be 0 ms or more/);
  expect(() => phases(100 as never)).toThrow(TypeError);
  expect(() => compose(retry(), phases({}))).not.toThrow();
});
