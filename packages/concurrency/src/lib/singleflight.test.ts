import { getEventListeners } from "node:events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Context } from "./context.ts";
import { ContextKey } from "./context-key.ts";
import { singleflight } from "./singleflight.ts";

test("callers of one key at the same time share one run; the next call starts another", async () => {
  const flights = singleflight<string, number>();
  let runs = 0;
  const load = async () => {
    await Promise.resolve();
    return ++runs;
  };
  expect(await Promise.all([flights.run("a", load), flights.run("a", load), flights.run("b", load)])).toEqual([
    1, 1, 2,
  ]);
  expect(flights.size).toBe(0);
  expect(await flights.run("a", load)).toBe(3);
});

test("all who joined get the same error object", async () => {
  const flights = singleflight<string, number>();
  const { promise, reject } = Promise.withResolvers<number>();
  const { signal } = new AbortController();
  const waits = [flights.run("a", () => promise), flights.run("a", () => promise, { signal })];
  const error = new Error("down");
  reject(error);
  for (const wait of waits) await expect(wait).rejects.toBe(error);
});

test("a task that throws at once rejects its callers and leaves no flight", async () => {
  const flights = singleflight<string, number>();
  const failing = flights.run("a", () => {
    throw new Error("at once");
  });
  await expect(failing).rejects.toThrow("at once");
  expect(flights.size).toBe(0);
});

test("a caller that aborts leaves alone; the flight goes on for the others", async () => {
  const flights = singleflight<string, string>();
  const { promise, resolve } = Promise.withResolvers<string>();
  const [first, second] = [new AbortController(), new AbortController()];
  let context: Context | undefined;
  const leaving = flights.run(
    "a",
    (own) => {
      context = own;
      return promise;
    },
    { signal: first.signal },
  );
  const staying = flights.run("a", () => "not called", { signal: second.signal });
  first.abort("left");
  await expect(leaving).rejects.toBe("left");
  expect(context?.cancelled).toBe(false);
  resolve("landed");
  expect(await staying).toBe("landed");
});

test("when the last caller leaves, the flight is cancelled with its reason, and the next call starts a new one", async () => {
  const flights = singleflight<string, string>();
  const callers = [new AbortController(), new AbortController()];
  const causes: unknown[] = [];
  const never = (context: Context) =>
    new Promise<string>((_, reject) => {
      Context.after(context, (cause) => {
        causes.push(cause);
        reject(cause);
      });
    });
  const waits = callers.map(({ signal }) => flights.run("a", never, { signal }));
  callers[0]?.abort("first left");
  expect(causes).toEqual([]);
  callers[1]?.abort("last left");
  expect(causes).toEqual(["last left"]);
  expect(flights.size).toBe(0);
  expect(await flights.run("a", () => "fresh")).toBe("fresh");
  expect(await Promise.allSettled(waits)).toMatchObject([{ reason: "first left" }, { reason: "last left" }]);
});

test("a flight that was left does not remove the one that followed it when it lands at last", async () => {
  const flights = singleflight<string, string>();
  const old = Promise.withResolvers<string>();
  const fresh = Promise.withResolvers<string>();
  const caller = new AbortController();
  const left = flights.run("a", () => old.promise, { signal: caller.signal });
  caller.abort("left");
  await expect(left).rejects.toBe("left");
  const joined = [flights.run("a", () => fresh.promise)];
  old.resolve("late");
  await old.promise;
  await Promise.resolve();
  joined.push(flights.run("a", () => "not called"));
  fresh.resolve("fresh");
  expect(await Promise.all(joined)).toEqual(["fresh", "fresh"]);
});

test("a caller who cannot leave keeps the flight in the air", async () => {
  const flights = singleflight<string, string>();
  const { promise, resolve } = Promise.withResolvers<string>();
  const caller = new AbortController();
  let cancelled = false;
  const leaving = flights.run(
    "a",
    (context) => {
      Context.after(context, () => {
        cancelled = true;
      });
      return promise.then((value) => (cancelled ? "cancelled" : value));
    },
    { signal: caller.signal },
  );
  const staying = flights.run("a", () => "not called");
  caller.abort("left");
  resolve("landed");
  expect(await staying).toBe("landed");
  await expect(leaving).rejects.toBe("left");
});

test("the task sees the values of the caller that started it, but not its deadline", async () => {
  const flights = singleflight<string, string>();
  const tenant = new ContextKey<string>("tenant");
  using context = Context.derive({ values: [tenant.of("acme")], timeout: 60_000 });
  const seen = await Context.run(context, () =>
    flights.run("a", async (own) => {
      await Promise.resolve();
      return `${own.get(tenant)} ${Context.current() === own} ${own.deadline}`;
    }),
  );
  expect(seen).toBe("acme true Infinity");
});

test("a caller whose context has ended does not start anything", async () => {
  const flights = singleflight<string, string>();
  let runs = 0;
  const wait = flights.run("a", () => `${++runs}`, { signal: AbortSignal.abort("gone") });
  await expect(wait).rejects.toBe("gone");
  expect(runs).toBe(0);
});

test("a task that joins its own flight is told so instead of waiting for itself", async () => {
  const flights = singleflight<string, string>();
  await expect(flights.run("a", () => flights.run("a", () => "never"))).rejects.toThrow(/its own task/);
});

test("the stack of an error reaches from the task to the caller", async () => {
  const flights = singleflight<string, string>();
  const { signal } = new AbortController();
  async function failingTask(): Promise<string> {
    await Promise.resolve();
    throw new Error("deep");
  }
  for (const options of [{}, { signal }]) {
    async function caller() {
      return await flights.run("a", failingTask, options);
    }
    const error: Error = (await caller().catch((error: Error) => error)) as Error;
    expect(error.stack).toMatch(/failingTask[\s\S]*caller/);
  }
});

test("cancelled at any microtask, a caller gets the value or its reason and the table ends empty", async () => {
  for (let at = 0; at < 12; at++) {
    const flights = singleflight<string, string>();
    const callers = [new AbortController(), new AbortController()];
    const landed = callers.map(({ signal }) =>
      flights
        .run(
          "a",
          async () => {
            for (let i = 0; i < 4; i++) await Promise.resolve();
            return "value";
          },
          { signal },
        )
        .catch((reason: unknown) => reason),
    );
    for (let i = 0; i < at; i++) await Promise.resolve();
    callers[at % 2]?.abort("cancelled");
    const results = await Promise.all(landed);
    expect(["value", "cancelled"]).toContain(results[at % 2]);
    expect(results[1 - (at % 2)]).toBe("value");
    expect(flights.size).toBe(0);
  }
});

test("any order of joins, aborts and landings ends as in a naive model", async () => {
  const action = fc.record({ kind: fc.constantFrom("join", "join", "abort", "land"), nth: fc.nat(12) });
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
      const flights = singleflight<string, number>();
      const callers: { controller: AbortController; outcome: Promise<unknown>; expected: unknown; isOpen: boolean }[] =
        [];
      let model: { id: number; members: Set<number>; land: (id: number) => void; cancelled: unknown } | undefined;
      const started: NonNullable<typeof model>[] = [];

      for (const { kind, nth } of actions) {
        const caller = callers[nth];
        if (kind === "join") {
          const controller = new AbortController();
          let isNew = false;
          const outcome = flights
            .run(
              "key",
              (context) => {
                isNew = true;
                const { promise, resolve } = Promise.withResolvers<number>();
                model = { id: started.length, members: new Set(), land: resolve, cancelled: undefined };
                const own = model;
                Context.after(context, (cause) => (own.cancelled ??= cause));
                started.push(own);
                return promise;
              },
              { signal: controller.signal },
            )
            .catch((reason: unknown) => reason);
          expect(isNew).toBe(flights.size === 1 && model?.members.size === 0);
          model?.members.add(callers.length);
          callers.push({ controller, outcome, expected: undefined, isOpen: true });
        } else if (kind === "abort" && caller?.isOpen) {
          caller.controller.abort(`left ${nth}`);
          caller.expected = `left ${nth}`;
          caller.isOpen = false;
          model?.members.delete(nth);
          if (model?.members.size === 0) {
            expect(model.cancelled).toBe(`left ${nth}`);
            model = undefined;
          }
        } else if (kind === "land" && model !== undefined) {
          model.land(model.id);
          for (const member of model.members) {
            const landed = callers[member] as (typeof callers)[number];
            landed.expected = model.id;
            landed.isOpen = false;
          }
          model = undefined;
          for (let i = 0; i < 8; i++) await Promise.resolve();
        }
        expect(flights.size).toBe(model === undefined ? 0 : 1);
      }
      for (const { outcome, expected, isOpen } of callers) if (!isOpen) expect(await outcome).toBe(expected);
    }),
    { numRuns: propertyRuns(500) },
  );
});

test("a task that throws at once leaves nothing on the signal of its caller", async () => {
  const flights = singleflight<string, number>();
  const { signal } = new AbortController();
  const failure = new Error("at once");
  const call = flights.run(
    "a",
    () => {
      throw failure;
    },
    { signal },
  );
  await expect(call).rejects.toBe(failure);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("a caller whose signal aborts while its task begins leaves, and takes the flight with it", async () => {
  const flights = singleflight<string, void>();
  const caller = new AbortController();
  let cause: unknown;
  const call = flights.run(
    "a",
    (context) => {
      Context.after(context, (given) => {
        cause = given;
      });
      caller.abort("too late");
      return new Promise(() => {});
    },
    { signal: caller.signal },
  );
  await expect(call).rejects.toBe("too late");
  expect([cause, flights.size]).toEqual(["too late", 0]);
});
