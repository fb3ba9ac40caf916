// What everything here expects of a lock that one holds at a time.
import { deepEqual, equal, notEqual, rejects } from "node:assert/strict";
import { type ConformanceCase, conformanceCase } from "./conformance.ts";
import { Context, type Task } from "./context.ts";
import type { Permit } from "./permit.ts";
import type { WaitOptions } from "./wait-options.ts";

/** A lock to check: what a `Keyed` needs of one, and a signal for each wait. */
export interface LockUnderTest {
  /** Takes it if it is free, else returns `undefined`. */
  tryAcquire(): Permit | undefined;
  /** Waits for it. */
  acquire(options?: WaitOptions): Promise<Permit>;
  /** Calls the task while holding it. */
  run<T>(task: Task<T>, options?: WaitOptions): Promise<T>;
}

/**
 * Checks a lock that has one holder at a time: your own, to stand in a `Keyed`, or one that wraps another. `make` makes a
 * free one for each check.
 *
 * @example
 * ```ts
 * import { Keyed, Mutex } from "@proj/concurrency";
 * import { lockConformance } from "@proj/concurrency/testing";
 *
 * const suite = lockConformance(() => new Keyed(() => new Mutex()).for("ada"));
 * for (const { run } of suite) await run(); // or: for (const { name, run } of suite) test(name, run);
 * ```
 */
export function lockConformance(make: () => LockUnderTest | PromiseLike<LockUnderTest>): readonly ConformanceCase[] {
  const check = (name: string, body: (lock: LockUnderTest) => unknown): ConformanceCase =>
    // In an object, so that it is not disposed of: that could wait for a holder for ever when a check has failed.
    conformanceCase(
      name,
      async () => ({ lock: await make() }),
      ({ lock }) => body(lock),
    );
  return [
    check("a free lock is taken, by one", async (lock) => {
      const permit = lock.tryAcquire();
      notEqual(permit, undefined);
      equal(lock.tryAcquire(), undefined);
      permit?.release();
      using _again = await lock.acquire();
      equal(lock.tryAcquire(), undefined);
    }),
    check("it is free again with the end of a block, and a second release frees nobody else's", async (lock) => {
      const first = await lock.acquire();
      {
        using _same = first;
      }
      const second = lock.tryAcquire();
      notEqual(second, undefined);
      first.release();
      equal(lock.tryAcquire(), undefined);
      second?.release();
    }),
    check("who waits is served in the order of the calls", async (lock) => {
      const held = await lock.acquire();
      const served: number[] = [];
      const all = [0, 1, 2].map((place) => lock.run(() => served.push(place)));
      held.release();
      await Promise.all(all);
      deepEqual(served, [0, 1, 2]);
    }),
    check("run() gives the result of its task, which nobody disturbs", async (lock) => {
      let inside = 0;
      const work = async (): Promise<number> => {
        equal(++inside, 1);
        await turn();
        return inside--;
      };
      deepEqual(await Promise.all([lock.run(work), lock.run(work), lock.run(work)]), [1, 1, 1]);
    }),
    check("run() rejects with what its task throws, untouched, and the lock is free", async (lock) => {
      const failure = new Error("thrown by the task");
      await rejects(
        lock.run(() => Promise.reject(failure)),
        (error) => error === failure,
      );
      lock.tryAcquire()?.release();
      equal(await lock.run(() => "free"), "free");
    }),
    check("the task runs in the context of its caller, however long it waited", async (lock) => {
      const held = await lock.acquire();
      const caller = Context.derive();
      const seen = Context.run(caller, () => lock.run(() => Context.current().cancelled));
      held.release();
      equal(await seen, false);
      const late = Context.run(caller, () => lock.run(() => caller.cancel("ended")));
      await late;
      equal(caller.cancelled, true);
    }),
    check("who gives up rejects with the reason of its signal, and holds up nobody", async (lock) => {
      const held = await lock.acquire();
      const caller = new AbortController();
      const reason = new Error("given up");
      const waiting = lock.acquire({ signal: caller.signal });
      const behind = lock.run(() => "behind");
      caller.abort(reason);
      await rejects(waiting, (error) => error === reason);
      held.release();
      equal(await behind, "behind");
    }),
    check("a signal that has aborted already takes nothing", async (lock) => {
      const reason = new Error("too late");
      await rejects(lock.acquire({ signal: AbortSignal.abort(reason) }), (error) => error === reason);
      await rejects(
        lock.run(() => "ran", { signal: AbortSignal.abort(reason) }),
        (error) => error === reason,
      );
      using permit = lock.tryAcquire();
      notEqual(permit, undefined);
    }),
    check("the end of the current context ends a wait as well", async (lock) => {
      const held = await lock.acquire();
      const context = Context.derive();
      const waiting = Context.run(context, () => lock.acquire());
      context.cancel("the client has gone");
      await rejects(waiting, (error) => error === "the client has gone");
      held.release();
      equal(await lock.run(() => "free"), "free");
    }),
  ];
}

/** Lets everything that is ready go on. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
