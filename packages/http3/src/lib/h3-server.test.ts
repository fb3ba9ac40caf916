// The listener over a scripted engine: every order of events that a network can bring, without one.
import { TestClock } from "@proj/concurrency/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Http3Endpoint, Http3Engine, Sink } from "./engine.ts";
import type { Exchange } from "./exchange.ts";
import { H3_REQUEST_CANCELLED, H3_REQUEST_REJECTED } from "./h3-codes.ts";
import { processBudgets } from "./h3-limits.ts";
import { type ListenHttp3Options, listenHttp3 } from "./h3-server.ts";

const head = [":method", "POST", ":scheme", "https", ":authority", "localhost", ":path", "/"];

/** A listener whose events the test makes, and a record of what it sent. */
async function script(options: Partial<ListenHttp3Options> = {}) {
  const sent: string[] = [];
  const exchanges: Exchange[] = [];
  const scripted: { sink?: Sink } = {};
  const endpoint: Http3Endpoint = {
    port: 1,
    headers: (_connection, stream, list, fin) => sent.push(`${stream} head ${list[1]}${fin ? " fin" : ""}`) > 0,
    data: (_connection, stream, chunk, fin) => sent.push(`${stream} data ${chunk.length}${fin ? " fin" : ""}`) > 0,
    respond: (_connection, stream, list, body) => sent.push(`${stream} answer ${list[1]} ${body.length}`) > 0,
    reset: (_connection, stream, code) => void sent.push(`${stream} reset ${code}`),
    closeConnection: (connection, code) => void sent.push(`close ${connection} ${code}`),
    stats: () => ({ packetsOut: sent.length, rttMs: 1 }),
    close: () => Promise.resolve(),
  };
  const engine: Http3Engine = {
    name: "scripted",
    listen(_options, sink) {
      scripted.sink = sink;
      return endpoint;
    },
    connect() {
      throw new Error("Cannot connect: there is no network");
    },
  };
  const clock = new TestClock();
  const base = { port: 0, host: "127.0.0.1", key: "", cert: "", engine, clock };
  const listener = await listenHttp3({ ...base, ...options }, (exchange) => exchanges.push(exchange));
  const { sink } = scripted;
  if (sink === undefined) throw new Error("The listener did not listen");
  sink.opened(7, "192.0.2.1", 4433);
  return { listener, sink, sent, exchanges, clock };
}

test("a client that takes nothing of its answer loses it after sendTimeout", async () => {
  const { listener, sink, sent, exchanges, clock } = await script({ sendTimeout: 5_000 });
  sink.headers(7, 0, head, true);
  const causes: Error[] = [];
  exchanges[0]?.onAbort((cause) => causes.push(cause));
  exchanges[0]?.head(200, []);
  for (let second = 0; second < 4; second += 1) {
    sink.blocked(7, 0);
    await clock.advance(1_000);
  }
  expect(listener.active).toBe(1);
  for (let second = 0; second < 3; second += 1) {
    sink.blocked(7, 0);
    await clock.advance(1_000);
  }
  expect(sent.at(-1)).toBe(`0 reset ${H3_REQUEST_CANCELLED}`);
  expect(causes).toHaveLength(1);
  expect(listener.active).toBe(0);
});

test("while draining, a connection is closed once its packets have come to rest", async () => {
  const { listener, sink, sent, exchanges, clock } = await script();
  sink.headers(7, 0, head, true);
  listener.drain();
  sink.headers(7, 4, head, true);
  expect(sent).toEqual([`4 reset ${H3_REQUEST_REJECTED}`]);
  await clock.advance(10_000);
  exchanges[0]?.respond(200, [], "done");
  await clock.advance(50);
  expect(sent.at(-1)).toBe("0 answer 200 4");
  await clock.advance(200);
  expect(sent.at(-1)).toBe(`close 7 ${0x100}`);
});

test("the server's end of life does not wait for a client that does not answer", async () => {
  const { listener, clock, sink, exchanges } = await script();
  sink.headers(7, 0, head, true);
  const causes: string[] = [];
  exchanges[0]?.onAbort((cause) => causes.push(cause.message));
  const closing = listener.close();
  await clock.advance(2_000);
  await closing;
  expect(causes).toEqual(["The server closes"]);
  expect(listener.active).toBe(0);
});

test("a body that is read only after the answer fails, since nothing more of it will come", async () => {
  const { listener, sink, exchanges } = await script();
  sink.headers(7, 0, head, false);
  exchanges[0]?.respond(200, [], "done");

  const read = exchanges[0]?.body()[Symbol.asyncIterator]().next();

  await expect(read).rejects.toThrow("The answer was complete before its request was read");
  expect(listener.active).toBe(0);
});

type Move =
  | { readonly kind: "begin" | "end" | "reset" | "read" | "leave" | "answer" | "stream" | "cut"; readonly at: number }
  | { readonly kind: "data"; readonly at: number; readonly size: number };

test("whatever the order of data, end, reset, reading and answering: bytes stay in order, aborts come once, nothing leaks", async () => {
  const at = fc.integer({ min: 0, max: 2 });
  const simple = fc.constantFrom("begin", "begin", "end", "reset", "read", "read", "leave", "answer", "stream", "cut");
  const move: fc.Arbitrary<Move> = fc.oneof(
    fc.record({ kind: simple, at }) as fc.Arbitrary<Move>,
    fc.record({ kind: fc.constant("data" as const), at, size: fc.integer({ min: 0, max: 3_000 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(move, { maxLength: 40 }), async (moves) => {
      const { listener, sink, exchanges } = await script({ maxBufferedBody: 1_500 });
      const streams = [0, 4, 8].map((id) => ({
        id,
        exchange: undefined as Exchange | undefined,
        reader: undefined as AsyncIterator<Uint8Array> | undefined,
        sent: [] as Buffer[],
        got: [] as Uint8Array[],
        ended: false,
        aborts: 0,
      }));
      const reads: Promise<unknown>[] = [];
      for (const step of moves) {
        const stream = streams[step.at];
        if (stream === undefined) continue;
        const { id, exchange } = stream;
        if (step.kind === "begin") {
          if (exchange !== undefined) continue;
          sink.headers(7, id, head, false);
          stream.exchange = exchanges.at(-1);
          stream.exchange?.onAbort(() => {
            stream.aborts += 1;
          });
        } else if (step.kind === "data") {
          const chunk = Buffer.alloc(step.size, stream.sent.length + 1);
          if (exchange !== undefined && !stream.ended) {
            stream.sent.push(chunk);
            sink.data(7, id, chunk);
          }
        } else if (step.kind === "end") {
          if (exchange !== undefined) stream.ended = true;
          sink.end(7, id);
        } else if (step.kind === "reset") {
          sink.reset(7, id, 0x10c);
        } else if (exchange !== undefined) {
          if (step.kind === "read") {
            stream.reader ??= exchange.body()[Symbol.asyncIterator]();
            const keep = ({ value }: IteratorResult<Uint8Array>): void => {
              if (value !== undefined) stream.got.push(value);
            };
            reads.push(stream.reader.next().then(keep, () => {}));
          } else if (step.kind === "leave") {
            reads.push(Promise.resolve(stream.reader?.return?.()));
          } else if (step.kind === "answer") {
            try {
              exchange.respond(200, [], "x");
            } catch (error) {
              expect(error).toBeInstanceOf(TypeError); // a second answer
            }
          } else if (step.kind === "stream") {
            try {
              exchange.head(200, []);
              void exchange.write(Buffer.from("x"));
            } catch (error) {
              expect(error).toBeInstanceOf(TypeError);
            }
          } else {
            exchange.reset(new Error("cut"));
          }
        }
        await Promise.resolve();
      }
      sink.closed(7, 0, "");
      await Promise.all(reads);
      for (const { sent, got, aborts } of streams) {
        const all = Buffer.concat(sent);
        const part = Buffer.concat(got);
        expect(part.equals(all.subarray(0, part.length))).toBe(true);
        expect(aborts).toBeLessThanOrEqual(1);
      }
      expect(listener.active).toBe(0);
      expect(processBudgets).toMatchObject({ memory: { used: 0 }, disk: { used: 0 } });
      await listener.close();
    }),
    { numRuns: 300 },
  );
});
