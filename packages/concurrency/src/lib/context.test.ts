import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { expect, test, vi } from "vitest";
import { CancelledError, Context, ContextKey, type OwnedContext, TimeoutError } from "../index.ts";
import { TestClock } from "../testing.ts";

test("Context.current() outside any is a root that never ends", () => {
  const root = Context.current();
  expect([root.cancelled, root.cause, root.deadline, root.remaining, root.signal.aborted]).toEqual([
    false,
    undefined,
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    false,
  ]);
  expect(root.signal).toBe(root.signal);
  root.throwIfCancelled();
  expect(() => (root as OwnedContext).cancel()).toThrow(/has no owner/);
});

test("Context.run() makes a context current for all that it calls and awaits, and nothing else", async () => {
  const context = Context.derive();
  const outside = Context.current();
  await Context.run(context, async () => {
    expect(Context.current()).toBe(context);
    await Promise.resolve();
    expect(Context.current()).toBe(context);
  });
  expect(Context.current()).toBe(outside);
});

test("Context.run() hands its argument on, so that no closure is needed", () => {
  const context = Context.derive();
  const result = Context.run(context, (n) => [n + 1, Context.current() === context], 1);
  expect(result).toEqual([2, true]);
});

test("Context.derive() inherits from the current context", () => {
  const parent = Context.derive();
  const child = Context.run(parent, () => Context.derive());
  parent.cancel("gone");
  expect(child.cause).toBe("gone");
});

test("cancelling a context ends all below it with the same cause, and nothing above or beside it", () => {
  const top = Context.derive();
  const middle = Context.derive({ parent: top });
  const beside = Context.derive({ parent: top });
  const below = Context.derive({ parent: middle });
  const cause = new Error("enough");
  middle.cancel(cause);
  middle.cancel(new Error("too late"));
  expect([top, middle, beside, below].map((context) => context.cause)).toEqual([undefined, cause, undefined, cause]);
  expect(() => below.throwIfCancelled()).toThrow(cause);
});

test("a cause that was not given is one CancelledError for all that end together", () => {
  const parent = Context.derive();
  const child = Context.derive({ parent });
  parent.cancel();
  expect(child.cause).toBeInstanceOf(CancelledError);
  expect(child.cause).toMatchObject({ name: "AbortError", code: "ERR_CANCELLED" });
  expect(child.cause).toBe(parent.cause);
  expect(child.signal.reason).toBe(parent.cause);
});

test("a timeout counts from the time that its maker has read", () => {
  const clock = new TestClock({ now: 500 });
  const context = Context.derive({ clock, timeout: 100, now: 450 });
  expect([context.deadline, context.remaining]).toEqual([550, 50]);
});

test("a context that was released keeps no timer and no link, and ends only when it is cancelled", async () => {
  const clock = new TestClock();
  const foreign = new AbortController();
  const parent = Context.derive({ clock, timeout: 1_000 });
  const context = Context.derive({ parent, timeout: 100, signal: foreign.signal });
  const below = Context.derive({ parent: context });
  const { signal } = below;
  expect([clock.timers, getEventListeners(foreign.signal, "abort").length]).toEqual([2, 1]);
  context.release();
  context.release();
  expect([clock.timers, getEventListeners(foreign.signal, "abort").length]).toEqual([0, 0]);

  await clock.advance(2_000);
  foreign.abort();
  parent.cancel();
  expect([context.cancelled, below.cancelled, signal.aborted, context.deadline]).toEqual([false, false, false, 100]);
  context.cancel("enough");
  expect([signal.reason, below.cause]).toEqual(["enough", "enough"]);
  context.release();
  expect(context.cause).toBe("enough");
  expect(() => (Context.current() as OwnedContext).release()).toThrow(/has no owner/);
});

test("a cause need not be an error, and null is one", () => {
  const context = Context.derive();
  context.cancel(null);
  expect(context.cause).toBe(null);
  expect(context.signal.reason).toBe(null);
});

test("parents are told before children, each in the order of registration, the signal first", () => {
  const log: string[] = [];
  const parent = Context.derive();
  const child = Context.derive({ parent });
  const grandchild = Context.derive({ parent: child });
  Context.after(grandchild, () => log.push("grandchild"));
  Context.after(child, () => log.push("child"));
  Context.after(parent, () => log.push("parent 1"));
  Context.after(parent, () => log.push("parent 2"));
  child.signal.addEventListener("abort", () => log.push("child signal"));
  parent.cancel();
  expect(log).toEqual(["parent 1", "parent 2", "child signal", "child", "grandchild"]);
});

test("a context below a cancelled one is cancelled before anybody has told it", () => {
  const parent = Context.derive();
  const child = Context.derive({ parent });
  Context.after(child, () => {});
  Context.after(parent, () => expect(child.cancelled).toBe(true));
  let seen: boolean | undefined;
  parent.signal.addEventListener("abort", () => {
    seen = child.cancelled;
  });
  parent.cancel();
  expect(seen).toBe(true);
});

test("a chain deeper than the stack is cancelled, and let go of, without recursion", () => {
  const top = Context.derive();
  let bottom = top;
  for (let depth = 0; depth < 100_000; depth++) bottom = Context.derive({ parent: bottom });
  Context.after(bottom, () => {})[Symbol.dispose]();
  let told = 0;
  Context.after(bottom, () => told++);
  expect(bottom.cancelled).toBe(false);
  top.cancel("deep");
  expect([told, bottom.cause]).toEqual([1, "deep"]);
});

test("Context.after() calls at once for a context that has ended, and never after its registration is disposed of", () => {
  const context = Context.derive();
  const told: unknown[] = [];
  using _kept = Context.after(context, (cause) => told.push(cause));
  const dropped = Context.after(context, () => told.push("dropped"));
  dropped[Symbol.dispose]();
  dropped[Symbol.dispose]();
  context.cancel("first");
  Context.after(context, (cause) => told.push(`late ${String(cause)}`))[Symbol.dispose]();
  expect(told).toEqual(["first", "late first"]);
});

test("a callback of Context.after() that unregisters another one is obeyed", () => {
  const context = Context.derive();
  const told: string[] = [];
  Context.after(context, () => {
    told.push("first");
    second[Symbol.dispose]();
  });
  const second = Context.after(context, () => told.push("second"));
  context.cancel();
  expect(told).toEqual(["first"]);
});

test("a callback of Context.after() runs in the context in which it was registered", () => {
  const context = Context.derive();
  const registered = Context.derive();
  let current: Context | undefined;
  Context.run(registered, () =>
    Context.after(context, () => {
      current = Context.current();
    }),
  );
  Context.run(Context.derive(), () => context.cancel());
  expect(current).toBe(registered);
});

test("an error in a callback of Context.after() is uncaught and keeps nobody from being told", async () => {
  const context = Context.derive();
  const uncaught: unknown[] = [];
  const nextTick = vi.spyOn(process, "nextTick").mockImplementation((callback) => {
    try {
      callback();
    } catch (error) {
      uncaught.push(error);
    }
  });
  let told = false;
  Context.after(context, () => {
    throw new Error("listener");
  });
  Context.after(context, () => {
    told = true;
  });
  context.cancel();
  nextTick.mockRestore();
  expect(told).toBe(true);
  expect(uncaught).toMatchObject([{ message: "listener" }]);
});

test("disposing of a context cancels it and what is below", () => {
  const parent = Context.derive();
  let child: Context;
  {
    using own = Context.derive({ parent });
    child = Context.derive({ parent: own });
    expect(child.cancelled).toBe(false);
  }
  expect([child.cancelled, parent.cancelled]).toEqual([true, false]);
});

test("a deadline ends the context with a TimeoutError, shared by all below", async () => {
  const clock = new TestClock();
  const parent = Context.derive({ clock, timeout: 100 });
  const child = Context.derive({ parent });
  const told: unknown[] = [];
  Context.after(child, (cause) => told.push(cause));
  await clock.advance(99);
  expect([child.cancelled, child.remaining, child.deadline]).toEqual([false, 1, 100]);
  await clock.advance(1);
  expect(child.cause).toBeInstanceOf(TimeoutError);
  expect(child.cause).toMatchObject({ name: "TimeoutError", code: "ERR_TIMEOUT", timeoutMs: 100 });
  expect(told).toEqual([parent.cause]);
  expect([child.remaining, clock.timers]).toEqual([0, 0]);
});

test("a deadline that nobody watches costs no timer and is noticed when somebody looks", async () => {
  const clock = new TestClock();
  const parent = Context.derive({ clock, timeout: 100 });
  const child = Context.derive({ parent, timeout: 200 });
  expect(clock.timers).toBe(0);
  await clock.advance(100);
  expect(child.cancelled).toBe(true);
  expect(child.cause).toBe(parent.cause);
});

test("one timer serves all who wait for one deadline, and goes with the last of them", () => {
  const clock = new TestClock();
  const parent = Context.derive({ clock, timeout: 100 });
  const registrations = Array.from({ length: 10 }, () =>
    Context.after(Context.derive({ parent, timeout: 500 }), () => {}),
  );
  expect(clock.timers).toBe(1);
  for (const registration of registrations) registration[Symbol.dispose]();
  expect(clock.timers).toBe(0);
});

test("a deadline is the earliest of the parent's, the signal's, the timeout and the deadline, never later", () => {
  const clock = new TestClock({ now: 1_000 });
  const parent = Context.derive({ clock, timeout: 500 });
  const signal = Context.derive({ clock, timeout: 300 });
  expect(Context.derive({ parent, timeout: 900 }).deadline).toBe(1_500);
  expect(Context.derive({ parent, signal }).deadline).toBe(1_300);
  expect(Context.derive({ parent, timeout: 200, deadline: 1_100 }).deadline).toBe(1_100);
  expect(Context.derive({ parent, timeout: 50, deadline: 1_100 }).deadline).toBe(1_050);
  expect(Context.derive({ parent, timeout: 0 }).cancelled).toBe(true);
});

test("a deadline keeps its distance on another clock", async () => {
  const outer = new TestClock({ now: 5_000 });
  const inner = new TestClock({ now: 70 });
  const parent = Context.derive({ clock: outer, timeout: 100 });
  const child = Context.derive({ parent, clock: inner });
  expect(child.deadline).toBe(170);
  await inner.advance(100);
  expect([child.cancelled, parent.cancelled]).toEqual([true, false]);
});

test("a foreign signal ends a context with its reason, whoever watches", () => {
  for (const watch of [true, false]) {
    const controller = new AbortController();
    const context = Context.derive({ signal: controller.signal });
    const child = Context.derive({ parent: context });
    if (watch) Context.after(child, () => {});
    const reason = new Error("client left");
    controller.abort(reason);
    expect([context.cause, child.cause]).toEqual([reason, reason]);
  }
});

test("many contexts of one signal make one native listener, gone with the last of them", () => {
  const { signal } = new AbortController();
  const contexts = Array.from({ length: 1_000 }, () => Context.derive({ signal }));
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
  for (const context of contexts) void context.signal;
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  for (const context of contexts) context[Symbol.dispose]();
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("a context whose signal was handed out keeps listening when its last child has gone", () => {
  const top = Context.derive();
  const middle = Context.derive({ parent: top });
  const { signal } = middle;
  Context.after(Context.derive({ parent: middle }), () => {})[Symbol.dispose]();
  top.cancel("all");
  expect(signal.reason).toBe("all");
});

test("another context as signal ends a context too", () => {
  const parent = Context.derive();
  const other = Context.derive();
  const context = Context.derive({ parent, signal: other });
  const told: unknown[] = [];
  Context.after(context, (cause) => told.push(cause));
  other.cancel("other");
  expect([context.cause, told, parent.cancelled]).toEqual(["other", ["other"], false]);
  expect(Context.derive({ signal: Context.current() }).cancelled).toBe(false);
});

test("values travel down, are found by key and hidden by nearer ones", () => {
  const tenant = new ContextKey<string>("tenant");
  const attempt = new ContextKey<number>("attempt");
  const parent = Context.derive({ values: [tenant.of("acme"), attempt.of(1)] });
  const child = Context.derive({ parent, values: [attempt.of(2)] });
  expect([child.get(tenant), child.get(attempt), parent.get(attempt)]).toEqual(["acme", 2, 1]);
  expect(child.get(new ContextKey<string>("tenant"))).toBe(undefined);
});

test("Context.detach() keeps values and drops cancellation and deadline", () => {
  const key = new ContextKey<string>("trace");
  const parent = Context.derive({ timeout: 0, values: [key.of("4711")] });
  const detached = Context.run(parent, () => Context.detach());
  expect([detached.cancelled, detached.deadline, detached.get(key)]).toEqual([false, Number.POSITIVE_INFINITY, "4711"]);
});

test("other AsyncLocalStorages are untouched by Context.run()", () => {
  const other = new AsyncLocalStorage<string>();
  other.run("theirs", () => {
    Context.run(Context.derive(), () => expect(other.getStore()).toBe("theirs"));
  });
});

test("Context refuses bad options by name", () => {
  expect(() => Context.derive({ timeout: -1 })).toThrow(
    new RangeError("Cannot derive a context: timeout must be 0 ms or more, got -1"),
  );
  expect(() => Context.derive({ timeout: Number.NaN })).toThrow(RangeError);
  // @ts-expect-error: not a number
  expect(() => Context.derive({ timeout: "1s" })).toThrow(/timeout must be a number of milliseconds, got "1s"/);
  expect(() => Context.derive({ deadline: Number.NaN })).toThrow(/deadline must be a time of its clock/);
  // @ts-expect-error: not a signal
  expect(() => Context.derive({ signal: {} })).toThrow(/signal must be an AbortSignal or a Context, got an object/);
  // @ts-expect-error: not a context
  expect(() => Context.derive({ parent: new AbortController().signal })).toThrow(
    /parent must be made by Context.derive/,
  );
  // @ts-expect-error: not a function
  expect(() => Context.after(Context.derive(), 5)).toThrow(/callback must be a function, got 5/);
});

test("The error of a deadline tells the timeout that was asked for, on a real clock too", () => {
  const context = Context.derive({ timeout: 0.125 });
  while (!context.cancelled);
  expect(context.cause).toMatchObject({ message: "The deadline of 0.125 ms passed", timeoutMs: 0.125 });
});
