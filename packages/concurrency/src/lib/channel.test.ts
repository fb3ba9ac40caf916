import { once } from "node:events";
import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { type Channel, channel } from "./channel.ts";
import { ChannelFullError } from "./channel-full-error.ts";
import { ClosedError } from "./closed-error.ts";
import { Context } from "./context.ts";

const flush = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

test("items come out in the order in which they went in, through the buffer and through waiting senders", async () => {
  const numbers = channel<number>(2);
  const sending = [1, 2, 3, 4].map((n) => numbers.send(n));
  expect([numbers.size, numbers.waitingSenders]).toEqual([2, 2]);
  for (const n of [1, 2, 3, 4]) expect(await numbers.recv()).toEqual({ done: false, value: n });
  await Promise.all(sending);
});

test("receivers are served in the order in which they came", async () => {
  const letters = channel<string>();
  const got = [letters.recv(), letters.recv()];
  await letters.send("a");
  await letters.send("b");
  expect(await Promise.all(got)).toEqual([
    { done: false, value: "a" },
    { done: false, value: "b" },
  ]);
});

test("with a capacity of 0 a send resolves only when the item was taken", async () => {
  const meeting = channel<string>();
  let sent = false;
  const sending = meeting.send("hello").then(() => {
    sent = true;
  });
  await flush();
  expect(sent).toBe(false);
  expect(meeting.tryRecv()).toEqual({ done: false, value: "hello" });
  await sending;
  expect(sent).toBe(true);
});

test("an item that is undefined is told apart from the end", async () => {
  const maybe = channel<undefined>(1);
  await maybe.send(undefined);
  maybe.close();
  expect(await maybe.recv()).toEqual({ done: false, value: undefined });
  expect(await maybe.recv()).toEqual({ done: true, value: undefined });
});

test("close() lets the buffered items out, refuses waiting and later senders, and ends the receivers", async () => {
  const jobs = channel<string>(1);
  await jobs.send("buffered");
  const waiting = jobs.send("waiting");
  jobs.close();
  await expect(waiting).rejects.toBeInstanceOf(ClosedError);
  await expect(jobs.send("late")).rejects.toMatchObject({ code: "ERR_CLOSED" });
  expect(() => jobs.trySend("late")).toThrow(ClosedError);
  expect(await jobs.recv()).toEqual({ done: false, value: "buffered" });
  expect(await jobs.recv()).toEqual({ done: true, value: undefined });
  expect(jobs.tryRecv()).toEqual({ done: true, value: undefined });
});

test("close(cause) rejects receivers with that very cause once the buffer is empty", async () => {
  const cause = new Error("the source broke");
  const jobs = channel<string>(1);
  await jobs.send("buffered");
  jobs.close(cause);
  jobs.close(new Error("only the first call counts"));
  expect(await jobs.recv()).toEqual({ done: false, value: "buffered" });
  await expect(jobs.recv()).rejects.toBe(cause);
  expect(() => jobs.tryRecv()).toThrow(cause);
  await expect(jobs.send("late")).rejects.toMatchObject({ name: "ClosedError", cause });
});

test("a receiver that waits when the channel closes gets the end, or the cause", async () => {
  const ended = channel();
  const broken = channel();
  const waiting = [ended.recv(), broken.recv()];
  ended.close();
  broken.close("why");
  expect(await Promise.allSettled(waiting)).toEqual([
    { status: "fulfilled", value: { done: true, value: undefined } },
    { status: "rejected", reason: "why" },
  ]);
});

test("leaving a loop leaves the channel open; several loops share the items", async () => {
  const numbers = channel<number>(8);
  for (let n = 1; n <= 4; n++) numbers.trySend(n);
  for await (const n of numbers) {
    expect(n).toBe(1);
    break;
  }
  numbers.close();
  const rest: number[] = [];
  const drain = async () => {
    for await (const n of numbers) rest.push(n);
  };
  await Promise.all([drain(), drain()]);
  expect(rest).toEqual([2, 3, 4]);
});

test("an iterator that was left gives nothing more", async () => {
  const numbers = channel<number>(1);
  await numbers.send(1);
  const values = numbers.values();
  await values.return?.();
  expect(await values.next()).toEqual({ done: true, value: undefined });
  expect(numbers.size).toBe(1);
});

test("a loop that is left while it waits gives its place in the line free and takes no item with it", async () => {
  const items = channel<string>();
  const loop = items.values();
  const waiting = [loop.next(), loop.next()];
  const other = items.recv();
  expect(await loop.return?.()).toEqual({ done: true, value: undefined });
  expect(items.waitingReceivers).toBe(1);
  await items.send("item");
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => ({ done: true, value: undefined })));
  expect(await other).toEqual({ done: false, value: "item" });
});

test("a stream made of a channel and destroyed swallows no item", async () => {
  const items = channel<string>();
  const stream = Readable.from(items);
  stream.resume();
  await expect.poll(() => items.waitingReceivers).toBe(1);
  stream.destroy();
  await once(stream, "close");
  const receiving = items.recv();
  await items.send("item");
  expect(await receiving).toEqual({ done: false, value: "item" });
});

test("drop-oldest keeps the newest items, drop-newest the oldest; both count what was lost", async () => {
  const latest = channel<number>(2, { overflow: "drop-oldest" });
  const first = channel<number>(2, { overflow: "drop-newest" });
  for (let n = 1; n <= 4; n++) {
    await latest.send(n);
    await first.send(n);
  }
  expect(first.trySend(5)).toBe(false);
  latest.close();
  first.close();
  expect(await collect(latest)).toEqual([3, 4]);
  expect(await collect(first)).toEqual([1, 2]);
  expect([latest.dropped, first.dropped]).toEqual([2, 3]);
});

test("overflow: error rejects a send into a full channel", async () => {
  const strict = channel<number>(1, { overflow: "error" });
  await strict.send(1);
  await expect(strict.send(2)).rejects.toBeInstanceOf(ChannelFullError);
  expect(strict.trySend(3)).toBe(false);
  expect(strict.size).toBe(1);
});

test("an aborted wait leaves the line in the same turn, with the reason untouched", async () => {
  const jobs = channel<string>();
  const caller = new AbortController();
  const waits = [jobs.recv({ signal: caller.signal }), jobs.recv({ signal: caller.signal })];
  expect(jobs.waitingReceivers).toBe(2);
  caller.abort("left");
  expect(jobs.waitingReceivers).toBe(0);
  for (const wait of waits) await expect(wait).rejects.toBe("left");
  await expect(jobs.recv({ signal: caller.signal })).rejects.toBe("left");
});

test("an aborted sender takes its item back", async () => {
  const jobs = channel<string>();
  const caller = new AbortController();
  const first = jobs.send("first", { signal: caller.signal });
  const second = jobs.send("second");
  caller.abort("left");
  await expect(first).rejects.toBe("left");
  expect(jobs.tryRecv()).toEqual({ done: false, value: "second" });
  await second;
});

test("a wait belongs to the current context", async () => {
  const jobs = channel<string>();
  const context = Context.derive();
  const wait = Context.run(context, () => jobs.recv());
  context.cancel("shutdown");
  await expect(wait).rejects.toBe("shutdown");
  expect(jobs.waitingReceivers).toBe(0);
});

test("a loop can be given a signal", async () => {
  const jobs = channel<string>(1);
  const caller = new AbortController();
  await jobs.send("one");
  const seen: string[] = [];
  const loop = (async () => {
    for await (const job of jobs.values({ signal: caller.signal })) seen.push(job);
  })();
  await flush();
  caller.abort("enough");
  await expect(loop).rejects.toBe("enough");
  expect(seen).toEqual(["one"]);
});

test("await using closes the channel", async () => {
  let kept: Channel<number>;
  {
    await using numbers = channel<number>(1);
    kept = numbers;
  }
  expect(kept.closed).toBe(true);
});

test("misuse is answered with the option, the value and what was expected", async () => {
  expect(() => channel(-1)).toThrow(
    new RangeError("Cannot create a channel: capacity must be an integer of at least 0 or Infinity, got -1"),
  );
  expect(() => channel(1.5)).toThrow(RangeError);
  expect(() => channel(0, { overflow: "drop-oldest" })).toThrow(/capacity must be at least 1/);
  // @ts-expect-error: not a policy
  expect(() => channel(1, { overflow: "grow" })).toThrow(/overflow must be one of wait, .*got "grow"/);
  // @ts-expect-error: not a signal
  await expect(channel(1).recv({ signal: 5 })).rejects.toThrow(/signal must be an AbortSignal or a Context, got 5/);
});

test("the stack of a refused sender shows who was sending", async () => {
  const jobs = channel<string>();
  async function unluckySender() {
    await jobs.send("never taken");
  }
  const sending = unluckySender();
  await flush();
  jobs.close();
  await expect(sending).rejects.toHaveProperty("stack", expect.stringContaining("unluckySender"));
});

test("one long-lived signal keeps nothing of the waits that are over", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  const jobs = channel<number>();
  for (let i = 0; i < 1_000; i++) {
    const wait = jobs.recv({ signal });
    expect(listeners).toBe(1);
    jobs.trySend(i);
    await wait;
  }
  expect(listeners).toBe(0);
});

type Step =
  | { readonly kind: "send" | "recv" | "trySend" | "tryRecv" | "close" }
  | { readonly kind: "abort"; readonly nth: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom("send", "recv", "trySend", "tryRecv").map((kind): Step => ({ kind: kind as "send" })),
  },
  { weight: 6, arbitrary: fc.nat(20).map((nth): Step => ({ kind: "abort", nth })) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "close" }) },
);

/** A channel as one would write it down: three arrays. */
class Model {
  items: number[] = [];
  senders: { id: number; value: number }[] = [];
  receivers: number[] = [];
  closed = false;
  readonly outcomes = new Map<number, string>();
  readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  send(id: number, value: number, waits: boolean): void {
    if (this.closed) this.outcomes.set(id, "refused");
    else if (waits) this.senders.push({ id, value });
    else if (this.receivers.length > 0 || this.items.length < this.capacity) {
      this.senders.push({ id, value });
    } else this.outcomes.set(id, "false");
    this.#move();
  }

  recv(id: number, waits: boolean): void {
    this.receivers.push(id);
    this.#move();
    if (!waits && this.receivers.includes(id)) {
      this.receivers = this.receivers.filter((other) => other !== id);
      this.outcomes.set(id, "nothing");
    }
  }

  abort(id: number): void {
    const waits = this.receivers.includes(id) || this.senders.some((sender) => sender.id === id);
    if (!waits) return;
    this.receivers = this.receivers.filter((other) => other !== id);
    this.senders = this.senders.filter((sender) => sender.id !== id);
    this.outcomes.set(id, "aborted");
  }

  close(): void {
    this.closed = true;
    for (const { id } of this.senders) this.outcomes.set(id, "refused");
    this.senders = [];
    this.#move();
  }

  #move(): void {
    for (;;) {
      const sender = this.senders[0];
      if (sender !== undefined && this.items.length < this.capacity) {
        this.senders.shift();
        this.outcomes.set(sender.id, "sent");
        this.items.push(sender.value);
      } else if (this.receivers.length > 0 && this.items.length > 0) {
        this.outcomes.set(this.receivers.shift() as number, `got ${this.items.shift()}`);
      } else if (sender !== undefined && this.receivers.length > 0) {
        this.senders.shift();
        this.outcomes.set(sender.id, "sent");
        this.outcomes.set(this.receivers.shift() as number, `got ${sender.value}`);
      } else if (this.closed && this.receivers.length > 0) {
        this.outcomes.set(this.receivers.shift() as number, "end");
      } else return;
    }
  }
}

test("any sequence of sends, receives, aborts and a close ends as in a model of three arrays", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 3 }), fc.array(step, { maxLength: 40 }), async (capacity, steps) => {
      const model = new Model(capacity);
      const real = channel<number>(capacity);
      const outcomes = new Map<number, string>();
      const controllers: AbortController[] = [];
      let id = 0;

      const settle = (key: number, promise: Promise<string>) =>
        promise.then(
          (text) => outcomes.set(key, text),
          (reason: unknown) => outcomes.set(key, reason instanceof ClosedError ? "refused" : String(reason)),
        );
      const textOf = (received: ReturnType<typeof real.tryRecv>) =>
        received === undefined ? "nothing" : received.done ? "end" : `got ${received.value}`;

      for (const { kind, ...rest } of steps) {
        const key = id++;
        const controller = new AbortController();
        controllers.push(controller);
        if (kind === "send") {
          model.send(key, key, true);
          void settle(
            key,
            real.send(key, { signal: controller.signal }).then(() => "sent"),
          );
        } else if (kind === "recv") {
          model.recv(key, true);
          void settle(key, real.recv({ signal: controller.signal }).then(textOf));
        } else if (kind === "trySend") {
          model.send(key, key, false);
          void settle(key, (async () => (real.trySend(key) ? "sent" : "false"))());
        } else if (kind === "tryRecv") {
          model.recv(key, false);
          outcomes.set(key, textOf(real.tryRecv()));
        } else if (kind === "close") {
          model.close();
          real.close();
        } else if ("nth" in rest) {
          const target = rest.nth as number;
          model.abort(target);
          controllers[target]?.abort("aborted");
        }
        expect([real.size, real.waitingSenders, real.waitingReceivers]).toEqual([
          model.items.length,
          model.senders.length,
          model.receivers.length,
        ]);
        await flush();
        expect([...outcomes].sort(byKey)).toEqual([...model.outcomes].sort(byKey));
      }
    }),
    { numRuns: propertyRuns(500) },
  );
});

const byKey = ([a]: [number, string], [b]: [number, string]) => a - b;

test("cancelled at any microtask, a transfer neither loses nor doubles an item", async () => {
  for (const capacity of [0, 1]) {
    for (let at = 0; at < 24; at++) {
      const numbers = channel<number>(capacity);
      const caller = new AbortController();
      const { signal } = caller;
      const accepted: number[] = [];
      const received: number[] = [];
      const producing = (async () => {
        for (let n = 1; n <= 4; n++) {
          await numbers.send(n, { signal });
          accepted.push(n);
        }
      })().catch((reason: unknown) => expect(reason).toBe("cancelled"));
      const consuming = (async () => {
        for (;;) {
          const next = await numbers.recv({ signal });
          if (next.done) return;
          received.push(next.value);
        }
      })().catch((reason: unknown) => expect(reason).toBe("cancelled"));

      for (let i = 0; i < at; i++) await Promise.resolve();
      caller.abort("cancelled");
      await producing;
      await consuming;

      expect([numbers.waitingSenders, numbers.waitingReceivers]).toEqual([0, 0]);
      for (let left = numbers.tryRecv(); left !== undefined; left = numbers.tryRecv())
        received.push(left.value as number);
      expect(received).toEqual(accepted);
    }
  }
});
