import { expectTypeOf, test } from "vitest";
import { Condition } from "./condition.ts";
import { Keyed } from "./keyed.ts";
import { Mutex } from "./mutex.ts";
import type { Permit } from "./permit.ts";
import { RwLock } from "./rw-lock.ts";
import { Semaphore } from "./semaphore.ts";

test("locks give what their tasks give", () => {
  expectTypeOf(new Mutex().run(() => 1)).toEqualTypeOf<Promise<number>>();
  expectTypeOf(new RwLock().read(async () => "text")).toEqualTypeOf<Promise<string>>();
  expectTypeOf(new RwLock().tryAcquireWrite()).toEqualTypeOf<Permit | undefined>();
  expectTypeOf(new Keyed((key: string) => new Mutex({ name: key })).for("a").run(() => 1)).toEqualTypeOf<
    Promise<number>
  >();
});

test("misuse is refused", () => {
  // @ts-expect-error: a mutex has no weights
  void new Mutex().acquire({ weight: 2 });
  // @ts-expect-error: readers have no priority, it would break the order of batches
  void new RwLock().read(() => 1, { priority: 1 });
  // @ts-expect-error: a condition belongs to a mutex
  new Condition(new Semaphore(1));
  // @ts-expect-error: this one's keys are text
  new Keyed((key: string) => new Mutex({ name: key })).for(1);
  // @ts-expect-error: a read-write lock has no run(): see use()
  new Keyed(() => new RwLock()).for("a");
});
