// What it costs to make a scope of cancellation, to wait for its end, and to end it.
import { benchmark } from "@tooling/bench";

const noop = (): void => {};

/** `count` others wait for the same signal all the time. */
function subscribing(count: number) {
  return {
    "@proj/concurrency": async () => {
      const { Context } = await import("@proj/concurrency");
      const { signal } = new AbortController();
      const context = Context.derive({ signal });
      for (let i = 0; i < count; i++) Context.after(context, noop);
      return () => Context.after(context, noop)[Symbol.dispose]();
    },
    addEventListener: () => {
      const { signal } = new AbortController();
      for (let i = 0; i < count; i++) signal.addEventListener("abort", () => {});
      return () => {
        const listener = (): void => {};
        signal.addEventListener("abort", listener);
        signal.removeEventListener("abort", listener);
      };
    },
  };
}

export const benchmarks = [
  benchmark("Make a child and let it go", {
    ours: "@proj/concurrency",
    goal: { "AbortSignal.any": 0.01, AbortController: 0.2 },
    cases: {
      "@proj/concurrency": async () => {
        const { Context } = await import("@proj/concurrency");
        const parent = Context.derive();
        return () => Context.derive({ parent })[Symbol.dispose]();
      },
      "AbortSignal.any": () => {
        const { signal } = new AbortController();
        return () => void AbortSignal.any([signal, new AbortController().signal]);
      },
      AbortController: () => {
        const { signal } = new AbortController();
        return () => {
          const child = new AbortController();
          const listener = (): void => child.abort(signal.reason);
          signal.addEventListener("abort", listener);
          signal.removeEventListener("abort", listener);
        };
      },
    },
  }),
  benchmark("Make a child with a timeout that somebody waits for, and let it go", {
    ours: "@proj/concurrency",
    goal: { "AbortSignal.any": 0.2 },
    cases: {
      "@proj/concurrency": async () => {
        const { Context } = await import("@proj/concurrency");
        const parent = Context.derive();
        return () => {
          const child = Context.derive({ parent, timeout: 60_000 });
          Context.after(child, noop)[Symbol.dispose]();
          child[Symbol.dispose]();
        };
      },
      "AbortSignal.any": () => {
        const { signal } = new AbortController();
        return () => {
          const child = new AbortController();
          const timer = setTimeout(() => child.abort(), 60_000);
          const either = AbortSignal.any([signal, child.signal]);
          either.addEventListener("abort", noop);
          either.removeEventListener("abort", noop);
          clearTimeout(timer);
        };
      },
    },
  }),
  benchmark("Wait for the end and stop waiting, while 10 others wait", {
    ours: "@proj/concurrency",
    goal: { addEventListener: 0.1 },
    cases: subscribing(10),
  }),
  benchmark("Wait for the end and stop waiting, while 1,000 others wait", {
    ours: "@proj/concurrency",
    goal: { addEventListener: 0.001 },
    cases: subscribing(1_000),
  }),
  benchmark("Cancel 10,000 children that somebody waits for, per child, its making included", {
    ours: "@proj/concurrency",
    operationsPerCall: 10_000,
    goal: { "AbortSignal.any": 0.01 },
    cases: {
      "@proj/concurrency": async () => {
        const { Context } = await import("@proj/concurrency");
        return () => {
          const parent = Context.derive();
          for (let i = 0; i < 10_000; i++) Context.after(Context.derive({ parent }), noop);
          parent.cancel("end");
        };
      },
      "AbortSignal.any": () => () => {
        const parent = new AbortController();
        for (let i = 0; i < 10_000; i++) AbortSignal.any([parent.signal]).addEventListener("abort", noop);
        parent.abort("end");
      },
    },
  }),
  // What to take off from the one above, to know what the cancelling alone costs: a parent can be cancelled only once.
  benchmark("Make 10,000 children that somebody waits for, per child, and drop them", {
    ours: "@proj/concurrency",
    operationsPerCall: 10_000,
    cases: {
      "@proj/concurrency": async () => {
        const { Context } = await import("@proj/concurrency");
        return () => {
          const parent = Context.derive();
          for (let i = 0; i < 10_000; i++) Context.after(Context.derive({ parent }), noop);
        };
      },
      "AbortSignal.any": () => () => {
        const parent = new AbortController();
        for (let i = 0; i < 10_000; i++) AbortSignal.any([parent.signal]).addEventListener("abort", noop);
      },
    },
  }),
];
