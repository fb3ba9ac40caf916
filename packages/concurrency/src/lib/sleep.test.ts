import { expect, test } from "vitest";
import { abortable } from "./abortable.ts";
import { Context } from "./context.ts";
import { sleep } from "./sleep.ts";
import { TestClock } from "./test-clock.ts";

test("sleep() resolves when its time has passed and not before", async () => {
  const clock = new TestClock();
  let awake = false;
  const sleeping = sleep(100, { clock }).then(() => {
    awake = true;
  });

  await clock.advance(99);
  expect(awake).toBe(false);

  await clock.advance(1);
  await sleeping;
  expect(awake).toBe(true);
});

test("sleep() takes the clock of its context", async () => {
  const clock = new TestClock();
  using context = Context.derive({ clock });
  const sleeping = sleep(1_000_000, { signal: context });

  await clock.advance(1_000_000);

  await sleeping;
});

test("sleep() ends with the reason of its signal, untouched, and leaves no timer", async () => {
  const clock = new TestClock();
  const caller = new AbortController();
  const sleeping = sleep(100, { clock, signal: caller.signal });
  const reason = { any: "value" };

  caller.abort(reason);

  await expect(sleeping).rejects.toBe(reason);
  expect(clock.timers).toBe(0);
});

test("sleep() does not begin when its signal has ended", async () => {
  const clock = new TestClock();
  await expect(sleep(100, { clock, signal: AbortSignal.abort("early") })).rejects.toBe("early");
  expect(clock.timers).toBe(0);
});

test.each([
  [-1, RangeError],
  [Number.NaN, RangeError],
  ["1" as unknown as number, TypeError],
])("sleep() refuses %s as a duration", async (ms, type) => {
  await expect(sleep(ms)).rejects.toThrow(type);
});

test("abortable() settles as its promise does", async () => {
  const failure = new Error("failed");
  await expect(abortable(Promise.resolve(1))).resolves.toBe(1);
  await expect(abortable(Promise.reject(failure))).rejects.toBe(failure);
});

test("abortable() ends with its signal, and a later rejection of the promise is not unhandled", async () => {
  const caller = new AbortController();
  const late = Promise.withResolvers<never>();
  const waiting = abortable(late.promise, { signal: caller.signal });

  caller.abort("gone");

  await expect(waiting).rejects.toBe("gone");
  late.reject(new Error("late"));
});

test("abortable() ends with the context it runs in", async () => {
  using context = Context.derive();
  const waiting = Context.run(context, () => abortable(new Promise(() => {})));
  context.cancel("over");
  await expect(waiting).rejects.toBe("over");
});
