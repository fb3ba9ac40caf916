import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SendQueue } from "./h3-send.ts";

/** An engine that takes what it is told to take. */
function engine() {
  const sent: Uint8Array[] = [];
  const state = { takes: true, finished: 0, fins: 0 };
  const queue = new SendQueue(
    (chunk, fin) => {
      if (!state.takes) return false;
      sent.push(chunk);
      if (fin) state.fins += 1;
      return true;
    },
    () => {
      state.finished += 1;
    },
  );
  return { queue, sent, state, bytes: () => Buffer.concat(sent) };
}

test("bytes go in pieces of at most 64 KiB, and the last one carries the end", async () => {
  const { queue, sent, state, bytes } = engine();
  const body = randomBytes(200_000);
  queue.start(() => true, false);
  expect(queue.write(body)).toBeUndefined();
  queue.end();
  expect(Math.max(...sent.map((chunk) => chunk.length))).toBe(64 * 1024);
  expect(bytes().equals(body)).toBe(true);
  expect(state).toMatchObject({ finished: 1, fins: 1 });
});

test("a writer waits while the peer takes nothing", async () => {
  const { queue, sent } = engine();
  queue.start(() => true, false);
  queue.block();
  let woken = false;
  const waiting = queue.write(Buffer.from("a"))?.then(() => {
    woken = true;
  });
  expect(sent).toEqual([]);
  expect(woken).toBe(false);
  queue.unblock();
  await waiting;
  expect(sent.map(String)).toEqual(["a"]);
});

test("one stream hands over at most 256 KiB and a piece per turn of the event loop", async () => {
  const { queue, bytes } = engine();
  queue.start(() => true, false);
  const waiting = queue.write(randomBytes(1_000_000));
  expect(bytes().length).toBeLessThanOrEqual(320 * 1024);
  await waiting;
  expect(bytes().length).toBe(1_000_000);
});

test("nothing goes before the head, and the head goes when there is room", () => {
  const { queue, sent } = engine();
  let room = false;
  queue.start(() => room, false);
  void queue.write(Buffer.from("a"));
  expect(sent).toEqual([]);
  room = true;
  queue.unblock();
  expect(sent.map(String)).toEqual(["a"]);
});

test("abandon() drops what waits and lets the writer go on", async () => {
  const { queue, sent, state } = engine();
  queue.start(() => true, false);
  queue.block();
  const waiting = queue.write(Buffer.from("a"));
  queue.abandon();
  await waiting;
  queue.unblock();
  queue.end();
  expect(sent).toEqual([]);
  expect(state.finished).toBe(0);
});

test("whatever the engine takes and when: all bytes arrive once, in order, with one end", async () => {
  const step = fc.oneof(
    fc.integer({ min: 0, max: 150_000 }),
    fc.constantFrom("block" as const, "unblock" as const, "refuse" as const, "accept" as const, "turn" as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { queue, state, bytes } = engine();
      const written: Buffer[] = [];
      queue.start(() => state.takes, false);
      for (const action of steps) {
        if (typeof action === "number") {
          const chunk = Buffer.alloc(action, written.length);
          written.push(chunk);
          void queue.write(chunk);
        } else if (action === "block") queue.block();
        else if (action === "unblock") queue.unblock();
        else if (action === "turn") await new Promise(setImmediate);
        else state.takes = action === "accept";
      }
      queue.end();
      state.takes = true;
      while (state.finished === 0) {
        queue.unblock();
        await new Promise(setImmediate);
      }
      expect(bytes().equals(Buffer.concat(written))).toBe(true);
      expect(state).toMatchObject({ finished: 1, fins: 1 });
    }),
  );
});
