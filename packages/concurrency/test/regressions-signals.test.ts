// What signals have done to users of the platform and of other packages. In brackets: where it was reported.
import { getEventListeners, getMaxListeners, once, setMaxListeners } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Context, Event, limit, Mutex, pool, RwLock, Semaphore, scope, singleflight } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { places } from "./support/primitives.ts";
import { runModule } from "./support/run-module.ts";

/** The names of the warnings that the process gives meanwhile. */
async function warningsOf(work: () => Promise<unknown>): Promise<string[]> {
  const warnings: string[] = [];
  const listener = ({ name }: Error): void => void warnings.push(name);
  process.on("warning", listener);
  try {
    await work();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("warning", listener);
  }
  return warnings;
}

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, "abort").length;

test("[nodejs/node#52635] two hundred operations after one another on a long-lived signal leave nothing on it", async () => {
  const { signal } = new AbortController();
  const things = pool({ create: () => ({}), max: 1 });
  const lock = new RwLock();
  const warnings = await warningsOf(async () => {
    for (let i = 0; i < 200; i++) {
      (await things.acquire({ signal })).release();
      await lock.write(() => i, { signal });
      expect(listenersOf(signal)).toBeLessThanOrEqual(1);
    }
  });
  expect([warnings, listenersOf(signal)]).toEqual([[], 0]);
});

test("[nodejs/node#47449] waits of all kinds at a time on one signal are one listener; the user's own limit for warnings stays", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  setMaxListeners(3, signal);
  const waiting: Promise<unknown>[] = [];
  const warnings = await warningsOf(async () => {
    for (const make of Object.values(places)) {
      for (let i = 0; i < 10; i++) {
        const place = await make();
        place.block();
        waiting.push(place.enter({ signal }).catch((error: unknown) => error));
      }
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect([listenersOf(signal), getMaxListeners(signal)]).toEqual([1, 3]);
    controller.abort("enough");
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["enough"]));
  });
  expect([warnings, listenersOf(signal)]).toEqual([[], 0]);
});

test("[nodejs/node#35990] a signal of the whole process bears any number of operations that hang on it and are forgotten", async () => {
  const shutdown = new AbortController();
  const warnings = await warningsOf(async () => {
    for (let i = 0; i < 1_000; i++) {
      const operation = Context.derive({ signal: shutdown.signal });
      Context.after(operation, () => {}); // nobody lets go of either
      operation.signal.addEventListener("abort", () => {});
    }
    expect(listenersOf(shutdown.signal)).toBe(1);
  });
  const late = Context.derive({ signal: shutdown.signal });
  const told = new Promise((resolve) => Context.after(late, resolve));
  shutdown.abort("SIGTERM");
  expect([warnings, await told, listenersOf(shutdown.signal)]).toEqual([[], "SIGTERM", 0]);
});

test("[nodejs/undici#3157] each fetch gets a signal of its own below the long-lived one, which stays clean", async () => {
  const server = createServer((_request, response) => response.end("Hello")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const { signal } = new AbortController();
  const warnings = await warningsOf(async () => {
    for (let i = 0; i < 200; i++) {
      using request = Context.derive({ signal });
      const response = await fetch(`http://127.0.0.1:${port}`, { signal: request.signal });
      expect(await response.text()).toBe("Hello");
      expect(listenersOf(signal)).toBeLessThanOrEqual(1);
    }
  });
  expect([warnings, listenersOf(signal)]).toEqual([[], 0]);
  server.closeAllConnections();
  await once(server.close(), "close");
});

test("[p-timeout#42] a wait with a timeout that is served leaves neither its listener nor its timer", async () => {
  const clock = new TestClock();
  const { signal } = new AbortController();
  const event = new Event({ clock });
  const semaphore = new Semaphore(1, { clock });
  for (let i = 0; i < 100; i++) {
    const waiting = event.wait({ timeout: 1_000, signal });
    expect([listenersOf(signal), clock.timers]).toEqual([1, 1]);
    event.set();
    await waiting;
    event.clear();
    await semaphore.run(() => i, { timeout: 1_000, signal });
  }
  expect([listenersOf(signal), clock.timers]).toEqual([0, 0]);
});

test("[p-retry#71] what ends without an abort takes its listener along, whether it went well or not", async () => {
  const { signal } = new AbortController();
  const flights = singleflight<string, number>();
  const warnings = await warningsOf(async () => {
    for (let i = 0; i < 71; i++) {
      const fail = (): never => {
        throw new Error("attempt failed");
      };
      await expect(scope((tasks) => tasks.spawn(fail), { signal })).rejects.toThrow("attempt failed");
      expect(await scope((tasks) => tasks.spawn(() => i), { signal })).toBe(i);
      expect(await flights.run("key", async () => i, { signal })).toBe(i);
      expect(listenersOf(signal)).toBe(0);
    }
  });
  expect(warnings).toEqual([]);
});

test("[cockatiel#69] primitives inside of one another, again and again, give no warning", async () => {
  const [outer, mutex, inner] = [limit(5), new Mutex(), new Semaphore(2)];
  const { signal } = new AbortController();
  using context = Context.derive({ signal });
  const warnings = await warningsOf(() =>
    Context.run(context, async () => {
      for (let i = 0; i < 50; i++) {
        const call = () => mutex.run(() => inner.run((own) => own.signal.aborted, { timeout: 2_000 }));
        expect(await Promise.all([outer(call), outer(call)])).toEqual([false, false]);
      }
    }),
  );
  expect(warnings).toEqual([]);
  expect(listenersOf(context.signal)).toBe(0);
});

/** One process with a collector that can be called, for all of the tests below. */
let collected: Promise<Record<string, unknown>> | undefined;

function outcomeOf(thread: string): Promise<unknown> {
  collected ??= collect();
  return collected.then((outcomes) => outcomes[thread]);
}

async function collect(): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await runModule(
    `
    import { Context } from "@proj/concurrency";
    const outcome = {};
    const collect = async (done) => {
      for (let round = 0; round < 50 && !done(); round++) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        gc();
      }
    };
    const count = async (make, many = 1_000) => {
      let left = many;
      const registry = new FinalizationRegistry(() => left--);
      for (let i = 0; i < many; i++) registry.register(make(i), undefined);
      await collect(() => left === 0);
      return registry && left; // a registry that is collected itself tells nothing
    };
    const source = new AbortController();
    const parent = Context.derive();

    outcome["54614"] = await count(() => Context.derive({ signal: new AbortController().signal }));
    outcome["55351"] = await count(() => Context.derive({ signal: source.signal }));
    outcome["62367"] = await count(() => {
      using context = Context.derive({ signal: source.signal, timeout: 60_000 });
      context.signal.aborted; // its timeout has not come yet
      return context;
    });
    outcome["64481"] = await count(() => {
      const context = Context.derive({ signal: source.signal });
      context.signal.addEventListener("abort", () => {});
      context.cancel(); // it has ended, the long-lived source has not
      return context;
    });
    outcome["57584"] = await count(() => {
      const owner = { context: Context.derive({ signal: new AbortController().signal }) };
      owner.context.signal.addEventListener("abort", () => console.log(owner));
      return owner;
    }, 100);
    const before = (gc(), process.memoryUsage().heapUsed);
    for (let i = 0; i < 100_000; i++) Context.derive({ signal: source.signal, parent }).cancelled;
    gc();
    outcome["32916"] = Math.round((process.memoryUsage().heapUsed - before) / 100_000);

    const told = [];
    (function register() {
      const tell = (who) => () => told.push(who);
      Context.derive({ signal: source.signal }).signal.addEventListener("abort", tell("signal"));
      Context.derive({ parent: Context.derive({ parent }) }).signal.addEventListener("abort", tell("grandchild"));
      Context.derive({ timeout: 30 }).signal.addEventListener("abort", tell("timeout"));
      Context.after(Context.derive({ signal: AbortSignal.timeout(30) }), tell("signal with a timeout"));
      AbortSignal.any([Context.derive({ parent }).signal]).addEventListener("abort", tell("composite"));
    })();
    await collect(() => told.length === 2);
    outcome["57867"] = told.toSorted();

    let controller = new AbortController();
    const follower = Context.derive({ signal: controller.signal });
    const { signal } = follower;
    controller.abort("stop");
    controller = undefined;
    await collect(() => false);
    outcome["65995"] = [signal.aborted, signal.reason, follower.cause];

    source.abort();
    parent.cancel();
    outcome.told = told.toSorted();
    console.log(JSON.stringify(outcome));
  `,
    ["--expose-gc"],
  );
  expect(stderr).toBe("");
  return JSON.parse(stdout) as Record<string, unknown>;
}

test("[nodejs/node#54614] contexts below short-lived signals are collected with them", async () => {
  expect(await outcomeOf("54614")).toBe(0);
});

test("[nodejs/node#55351] contexts below a long-lived signal are collected while it lives", async () => {
  expect(await outcomeOf("55351")).toBe(0);
});

test("[nodejs/node#57584] an object whose context has a listener that refers to it is collected", async () => {
  expect(await outcomeOf("57584")).toBe(0);
});

test("[nodejs/node#57867] a timeout that somebody waits for comes, though nobody else holds its context", async () => {
  expect(await outcomeOf("57867")).toEqual(["signal with a timeout", "timeout"]);
});

test("[nodejs/node#62367] a context that was disposed of is collected before its timeout comes, though its signal was read", async () => {
  expect(await outcomeOf("62367")).toBe(0);
});

test("[nodejs/node#64481] contexts that were watched and have ended are collected while their source lives", async () => {
  expect(await outcomeOf("64481")).toBe(0);
});

test("[nodejs/node#65995] an abort arrives, though its source is collected before anybody asks", async () => {
  expect(await outcomeOf("65995")).toEqual([true, "stop", "stop"]);
});

test("[denoland/deno#32916] a hundred thousand contexts below a long-lived parent leave nothing in it", async () => {
  expect(await outcomeOf("32916")).toBeLessThan(4); // bytes each: what the collector itself makes of it
});

test("[denoland/deno#29075] no context is collected while somebody waits for its end", async () => {
  const everybody = ["composite", "grandchild", "signal", "signal with a timeout", "timeout"];
  expect(await outcomeOf("told")).toEqual(everybody);
});
