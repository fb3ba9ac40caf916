import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { channel } from "./channel.ts";
import type { Clock, Timer } from "./clock.ts";
import { ClosedError } from "./closed-error.ts";
import { Context } from "./context.ts";
import { after, type SelectCase, select, sending, trySelect } from "./select.ts";

const flush = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

/** A clock that fires when told to, and knows how many timers are set. */
class HandClock implements Clock {
  readonly timers = new Set<() => void>();
  now = () => 0;
  wall = () => 0;

  setTimeout<A>(callback: (arg: A) => void, _ms: number, arg?: A): Timer {
    const fire = () => callback(arg as A);
    this.timers.add(fire);
    return { clear: () => void this.timers.delete(fire), ref: () => {} };
  }

  fire(): void {
    for (const fire of this.timers) {
      this.timers.delete(fire);
      fire();
    }
  }
}

test("select() gives the key and the value of the case that happened first", async () => {
  const jobs = channel<string>();
  const other = channel<number>();
  const selecting = select({ job: jobs, other });
  await jobs.send("resize");
  expect(await selecting).toEqual({ key: "job", done: false, value: "resize" });
});

test("ready cases win in the order of their keys", async () => {
  const first = channel<number>(1);
  const second = channel<number>(1);
  await second.send(2);
  await first.send(1);
  expect(await select({ first, second })).toMatchObject({ key: "first", value: 1 });
  expect(await select({ first, second })).toMatchObject({ key: "second", value: 2 });
});

test("with order: random every ready case gets its chance", async () => {
  const seen = new Set<string>();
  for (const draw of [0, 0.5, 0.99]) {
    const a = channel<number>(1);
    const b = channel<number>(1);
    await a.send(1);
    await b.send(1);
    seen.add((await select({ a, b }, { order: "random", random: () => draw })).key);
  }
  expect(seen).toEqual(new Set(["a", "b"]));
});

test("the losers are left at once: no waiter, no timer, no listener stays", async () => {
  const clock = new HandClock();
  const won = channel<string>();
  const lost = channel<string>();
  const full = channel<string>();
  const context = Context.derive();
  const controller = new AbortController();
  const never = new Promise(() => {});
  const selecting = select({
    won,
    lost,
    out: sending(full, "unsent"),
    tick: after(100, { clock }),
    context,
    signal: controller.signal,
    never,
  });
  expect([lost.waitingReceivers, full.waitingSenders, clock.timers.size]).toEqual([1, 1, 1]);

  won.trySend("x");

  expect([won.waitingReceivers, lost.waitingReceivers, full.waitingSenders, clock.timers.size]).toEqual([0, 0, 0, 0]);
  expect(full.tryRecv()).toBeUndefined();
  controller.abort("too late");
  context.cancel("too late");
  expect(await selecting).toMatchObject({ key: "won", value: "x" });
});

test("a send case happens when the item is accepted, and only then", async () => {
  const out = channel<string>();
  const selecting = select({ sent: sending(out, "hello"), never: new Promise(() => {}) });
  expect(out.waitingSenders).toBe(1);
  expect(await out.recv()).toEqual({ done: false, value: "hello" });
  expect(await selecting).toEqual({ key: "sent", value: undefined });
});

test("a select does not meet itself in a channel that it both sends to and receives from", async () => {
  const both = channel<string>();
  const one = select({ in: both, out: sending(both, "one") });
  await flush();
  expect([both.waitingReceivers, both.waitingSenders]).toEqual([1, 1]);
  const two = select({ in: both, out: sending(both, "two") });
  expect(await two).toEqual({ key: "in", done: false, value: "one" });
  expect(await one).toEqual({ key: "out", value: undefined });
  expect([both.waitingReceivers, both.waitingSenders]).toEqual([0, 0]);
});

test("after() counts from the call of select, each time anew", async () => {
  const clock = new HandClock();
  const late = after(100, { clock });
  for (let i = 0; i < 2; i++) {
    const selecting = select({ late, never: new Promise(() => {}) });
    expect(clock.timers.size).toBe(1);
    clock.fire();
    expect(await selecting).toEqual({ key: "late", value: undefined });
  }
});

test("a context or a signal that ends is a case like any other, with its cause", async () => {
  const jobs = channel<string>();
  const context = Context.derive();
  const selecting = select({ stop: context, job: jobs });
  context.cancel("shutdown");
  expect(await selecting).toEqual({ key: "stop", value: "shutdown" });
  expect(await select({ job: jobs, stop: AbortSignal.abort("gone") })).toEqual({ key: "stop", value: "gone" });
});

test("the current context rejects a select, unless it is one of the cases", async () => {
  const jobs = channel<string>(1);
  const context = Context.derive();
  const [rejected, won] = Context.run(context, () => [select({ jobs }), select({ jobs, stop: context })] as const);
  context.cancel("shutdown");
  await expect(rejected).rejects.toBe("shutdown");
  expect(await won).toEqual({ key: "stop", value: "shutdown" });
  await jobs.send("left alone", { signal: Context.current() });
  await expect(Context.run(context, () => select({ jobs }))).rejects.toBe("shutdown");
  expect(await Context.run(context, () => select({ jobs, stop: context }))).toEqual({ key: "stop", value: "shutdown" });
  expect(jobs.size).toBe(1);
});

test("a channel that ends says so; one closed with a cause rejects the select", async () => {
  const ended = channel<string>();
  const broken = channel<string>();
  const waiting = select({ ended });
  ended.close();
  broken.close("why");
  expect(await waiting).toEqual({ key: "ended", done: true, value: undefined });
  await expect(select({ broken, ended })).rejects.toBe("why");
});

test("a send case on a closed channel rejects, now or while waiting", async () => {
  const out = channel<string>();
  const waiting = select({ out: sending(out, "x") });
  out.close();
  await expect(waiting).rejects.toBeInstanceOf(ClosedError);
  await expect(select({ out: sending(out, "x") })).rejects.toBeInstanceOf(ClosedError);
});

test("a promise gives its value, or rejects the select with its reason", async () => {
  const jobs = channel<string>();
  expect(await select({ jobs, answer: Promise.resolve(42) })).toEqual({ key: "answer", value: 42 });
  await expect(select({ jobs, answer: Promise.reject("no") })).rejects.toBe("no");
  expect(jobs.waitingReceivers).toBe(0);
});

test("a loop of selects over one promise that never settles adds one reaction to it, not one each", async () => {
  let reactions = 0;
  const never: PromiseLike<void> = {
    // biome-ignore lint/suspicious/noThenProperty: a thenable that counts is the point
    then() {
      reactions++;
      return new Promise<never>(() => {});
    },
  };
  const jobs = channel<number>(1);
  for (let i = 0; i < 100; i++) {
    const selecting = select({ never, jobs });
    jobs.trySend(i);
    await selecting;
  }
  expect(reactions).toBe(1);
});

test("trySelect() takes what is ready and never waits", async () => {
  const jobs = channel<string>(1);
  const out = channel<string>(1);
  expect(trySelect({ jobs })).toBeUndefined();
  expect(trySelect({ jobs, out: sending(out, "x") })).toEqual({ key: "out", value: undefined });
  expect(trySelect({ jobs, out: sending(out, "y") })).toBeUndefined();
  await jobs.send("job");
  expect(trySelect({ jobs, stop: AbortSignal.abort() })).toEqual({ key: "jobs", done: false, value: "job" });
  expect([jobs.waitingReceivers, out.waitingSenders]).toEqual([0, 0]);
});

test("misuse is answered with the case and what it was", async () => {
  await expect(select({})).rejects.toThrow(/at least one case/);
  const wrong = { job: 5 } as unknown as Record<string, SelectCase>;
  await expect(select(wrong)).rejects.toThrow(/case "job" must be a channel, .* got 5/);
  expect(() => sending(channel(1, { overflow: "error" }), 1)).toThrow(/overflow of the channel must be "wait"/);
  expect(() => after(-1)).toThrow(RangeError);
});

test("whatever happens in whatever order, selects and plain receivers get each item exactly once", async () => {
  const action = fc.record({
    kind: fc.constantFrom("select", "recv", "send", "selectSend", "abort"),
    a: fc.nat(2),
    b: fc.nat(2),
    nth: fc.nat(30),
  });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 }), fc.array(action, { maxLength: 40 }), async (capacity, actions) => {
      const channels = [0, 1, 2].map(() => channel<number>(capacity));
      const at = (index: number) => channels[index] as (typeof channels)[number];
      const controllers: AbortController[] = [];
      const sent: number[] = [];
      const got: number[] = [];
      const keep = ({ done, value }: { done: boolean; value: number | undefined }) => {
        if (!done) got.push(value as number);
      };
      const ignore = (reason: unknown) => expect(reason).toBe("aborted");
      const work: Promise<unknown>[] = [];
      let item = 0;

      for (const { kind, a, b, nth } of actions) {
        const controller = new AbortController();
        controllers.push(controller);
        const { signal } = controller;
        const n = item++;
        if (kind === "select") work.push(select({ a: at(a), b: at(b) }, { signal }).then(keep, ignore));
        else if (kind === "recv") work.push(at(a).recv({ signal }).then(keep, ignore));
        else if (kind === "send")
          work.push(
            at(a)
              .send(n, { signal })
              .then(() => sent.push(n), ignore),
          );
        else if (kind === "selectSend") {
          const cases = { in: at(a), out: sending(at(b), n) };
          const done = (won: Awaited<ReturnType<typeof select<typeof cases>>>) => {
            if (won.key === "out") sent.push(n);
            else keep(won);
          };
          work.push(select(cases, { signal }).then(done, ignore));
        } else controllers[nth]?.abort("aborted");
        if (nth % 3 === 0) await flush();
      }
      for (const controller of controllers) controller.abort("aborted");
      await Promise.all(work);
      for (const { waitingReceivers, waitingSenders } of channels)
        expect([waitingReceivers, waitingSenders]).toEqual([0, 0]);
      for (const each of channels) {
        for (let left = each.tryRecv(); left !== undefined; left = each.tryRecv()) keep(left);
      }
      expect(got.sort()).toEqual(sent.sort());
    }),
    { numRuns: propertyRuns(500) },
  );
});

test("cancelled at any microtask, a select has taken an item or has not, never half", async () => {
  for (let at = 0; at < 12; at++) {
    const jobs = channel<number>();
    const other = channel<number>();
    const caller = new AbortController();
    const got: number[] = [];
    const selecting = select({ other, jobs }, { signal: caller.signal }).then(
      (won) => got.push(won.value as number),
      (reason: unknown) => expect(reason).toBe("cancelled"),
    );
    const sending = (async () => {
      for (let i = 0; i < 5; i++) await Promise.resolve();
      return jobs.trySend(7);
    })();
    for (let i = 0; i < at; i++) await Promise.resolve();
    caller.abort("cancelled");
    await selecting;
    expect(got).toEqual((await sending) ? [7] : []);
    expect([jobs.waitingReceivers, other.waitingReceivers]).toEqual([0, 0]);
  }
});
