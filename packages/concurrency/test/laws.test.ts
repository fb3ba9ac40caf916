// What holds for every primitive, whatever it is for.
import { Context, ContextKey, pool, Supervisor } from "@proj/concurrency";
import { cancelSweep } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { callers, places, rings, type Work } from "./support/primitives.ts";

test.each(Object.keys(callers))(
  "[p-limit, p-queue, async-mutex] the stack of an error thrown in %s shows the leaf and the caller",
  async (name) => {
    async function leaf(): Promise<never> {
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error("thrown in the leaf");
    }
    async function caller(): Promise<unknown> {
      return await callers[name]?.(leaf, {});
    }
    const { signal } = new AbortController();
    async function callerWithSignal(): Promise<unknown> {
      return await callers[name]?.(leaf, { signal });
    }

    for (const call of [caller, callerWithSignal]) {
      const { stack } = await caught(call);
      expect(stack).toMatch(/at (async )?(Object\.)?leaf /);
      expect(stack).toMatch(new RegExp(`at (async )?${call.name} `));
    }
  },
);

test.each(Object.keys(callers))("Context.current() is right within %s, before and after an await", async (name) => {
  const key = new ContextKey<string>("tenant");
  const outer = Context.derive({ values: [key.of("acme")] });
  const seen: unknown[] = [];
  const work: Work = async (context) => {
    seen.push(Context.current() === context, Context.current().get(key));
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(Context.current() === context, Context.current().get(key));
    throw new Error("done");
  };

  const { message } = await Context.run(outer, () => caught(async () => await callers[name]?.(work, {})));

  expect(message).toBe("done");
  expect(seen.slice(0, 4)).toEqual([true, "acme", true, "acme"]);
});

test("Context.current() is that of the call in every callback of a pool and of a service", async () => {
  const right: Record<string, boolean> = {};
  const look = (what: string) => (context: Context) => {
    right[what] = Context.current() === context;
    return true;
  };
  const things = pool({
    create: (context) => look("create")(context),
    validate: (_thing, context) => look("validate")(context),
    destroy: (_thing, context) => look("destroy")(context),
  });
  await things.run(() => {});
  await things.run(() => {});
  await things.close();
  const supervisor = new Supervisor({
    service: { start: look("start"), health: look("health"), stop: look("stop") },
  });
  await supervisor.start();
  await supervisor.report();
  await supervisor.stop();
  expect(right).toEqual({
    create: true,
    validate: true,
    destroy: true,
    start: true,
    health: true,
    stop: true,
  });
});

test.each(Object.keys(places))(
  "an abort settles %s in the same turn, with its reason, and leaves the line",
  async (name) => {
    const place = await places[name]?.();
    if (place === undefined) return;
    for (const kind of ["signal", "context", "current context"] as const) {
      const context = Context.derive();
      const controller = new AbortController();
      const reason = new Error(`the ${kind} has ended`);
      place.block();
      const waiting =
        kind === "current context"
          ? Context.run(context, () => place.enter({}))
          : place.enter({ signal: kind === "signal" ? controller.signal : context });
      let settled: unknown = "not settled";
      waiting.then(
        (value) => (settled = value),
        (error: unknown) => (settled = error),
      );
      await turn();
      expect(settled).toBe("not settled");

      if (kind === "signal") controller.abort(reason);
      else context.cancel(reason);
      if (!isChain(name)) expect(place.waiting?.() ?? 0).toBe(0);
      await turn();
      expect(settled).toBe(reason);
      expect(place.waiting?.() ?? 0).toBe(0);

      place.pass();
      place.block();
      const next = place.enter({});
      await turn();
      place.pass();
      await next; // whoever comes later is not held up by it
    }
  },
);

test.each(Object.keys({ ...places, ...rings }))(
  "no abort, at whatever moment, leaves an unhandled rejection in %s",
  async (name) => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", listener);
    const random = mulberry32(7);
    try {
      for (let round = 0; round < 40; round++) {
        const place = await (places[name] ?? rings[name])?.();
        if (place === undefined) return;
        place.block();
        const controllers = Array.from({ length: 3 }, () => new AbortController());
        const entered = controllers.map(({ signal }) => place.enter({ signal }).then(ignore, ignore));
        for (const controller of controllers) {
          for (let steps = Math.floor(random() * 8); steps > 0; steps--) await Promise.resolve();
          if (random() < 0.2) place.pass();
          controller.abort(new Error("left"));
        }
        place.pass();
        await Promise.all(entered);
      }
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", listener);
    }
  },
);

test.each(Object.keys(places))(
  "[Effect-TS/effect#6910, getkyo/kyo#1826] %s, cancelled at any microtask, is lost to nobody",
  async (name) => {
    const place = await places[name]?.();
    if (place === undefined) return;
    for (let passAt = 0; passAt < 12; passAt++) {
      await cancelSweep(
        async (context) => {
          place.block();
          const entered = place.enter({ signal: context }).catch((error: unknown) => {
            if (error !== context.cause) throw error;
          });
          for (let step = 0; step < passAt; step++) await Promise.resolve();
          place.pass();
          await entered;
          expect(place.waiting?.() ?? 0).toBe(0);

          place.block();
          const next = place.enter({});
          await turn();
          place.pass();
          await next;
          place.block(); // takes it at once: it is free
          place.pass();
        },
        { steps: 20 },
      );
    }
  },
);

/** Those where the news has to go from one stage to the next. */
function isChain(name: string): boolean {
  return name.startsWith("pipe") || name === "merge";
}

async function caught(call: () => Promise<unknown>): Promise<Error> {
  try {
    await call();
  } catch (error) {
    return error as Error; // all that is thrown here
  }
  throw new Error("nothing was thrown");
}

/** Lets every promise callback run, and nothing else. */
async function turn(): Promise<void> {
  for (let step = 0; step < 100; step++) await Promise.resolve();
}

function ignore(): void {}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
