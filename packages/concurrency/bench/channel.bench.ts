// What it costs to hand items from one task to another through a bounded channel.
import { once } from "node:events";
import { benchmark } from "@tooling/bench";

const count = 1_000;

export const benchmarks = [
  benchmark("One item through a channel of 16", {
    ours: "channel",
    goal: { "@thi.ng/csp": 0.25, effect: 0.04, "ts-chan": 0.04 },
    operationsPerCall: count,
    cases: {
      channel: async () => {
        const { channel } = await import("@proj/concurrency");
        return async () => {
          const items = channel<number>(16);
          const producing = (async () => {
            for (let i = 0; i < count; i++) await items.send(i);
            items.close();
          })();
          let sum = 0;
          for (;;) {
            const { done, value } = await items.recv();
            if (done) break;
            sum += value;
          }
          await producing;
          return sum;
        };
      },
      "@thi.ng/csp": async () => {
        const { channel } = await import("@thi.ng/csp");
        return async () => {
          const items = channel<number>(16);
          const producing = (async () => {
            for (let i = 0; i < count; i++) await items.write(i);
            items.close();
          })();
          let sum = 0;
          for (;;) {
            const item = await items.read();
            if (item === undefined) break;
            sum += item;
          }
          await producing;
          return sum;
        };
      },
      effect: async () => {
        const { Effect, Queue } = await import("effect");
        const program = Effect.gen(function* () {
          const items = yield* Queue.bounded<number>(16);
          yield* Effect.forkChild(
            Effect.gen(function* () {
              for (let i = 0; i < count; i++) yield* Queue.offer(items, i);
            }),
          );
          let sum = 0;
          for (let i = 0; i < count; i++) sum += yield* Queue.take(items);
          return sum;
        });
        return () => Effect.runPromise(program);
      },
      "ts-chan": async () => {
        const { Chan } = await import("ts-chan");
        return async () => {
          const items = new Chan<number>(16);
          const producing = (async () => {
            for (let i = 0; i < count; i++) await items.send(i);
            items.close();
          })();
          let sum = 0;
          for (;;) {
            const { done, value } = await items.recv();
            if (done) break;
            sum += value;
          }
          await producing;
          return sum;
        };
      },
      // Node's own object stream: backpressure too, but no fan-in, no select and no abort of one wait.
      PassThrough: async () => {
        const { PassThrough } = await import("node:stream");
        return async () => {
          const items = new PassThrough({ objectMode: true, highWaterMark: 16 });
          const producing = (async () => {
            for (let i = 0; i < count; i++) if (!items.write(i + 1)) await once(items, "drain");
            items.end();
          })();
          let sum = 0;
          for await (const item of items) sum += (item as number) - 1;
          await producing;
          return sum;
        };
      },
    },
    check: (sum) => sum,
  }),
  benchmark("One select over three channels", {
    ours: "select",
    cases: {
      select: async () => {
        const { channel, select } = await import("@proj/concurrency");
        const [a, b, c] = [channel<number>(1), channel<number>(1), channel<number>(1)];
        return async () => {
          const selecting = select({ a, b, c });
          c.trySend(1);
          return (await selecting).key;
        };
      },
      "@thi.ng/csp": async () => {
        const { channel, select } = await import("@thi.ng/csp");
        const [a, b, c] = [channel<number>(1), channel<number>(1), channel<number>(1)];
        return async () => {
          const selecting = select(a, b, c);
          c.offer(1);
          const [, won] = await selecting;
          return won === c ? "c" : "another";
        };
      },
    },
    check: (key) => key,
  }),
];
