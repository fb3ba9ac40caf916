import { expectTypeOf, test } from "vitest";
import { scope } from "./scope.ts";
import { TaskScope } from "./task-scope.ts";

test("scope() gives the type of its body, and spawn() that of its task", async () => {
  const value = await scope(async (s) => {
    expectTypeOf(s.spawn(() => 1)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(s.spawn(async ({ signal }) => signal.aborted)).toEqualTypeOf<Promise<boolean>>();
    return "value" as const;
  });
  expectTypeOf(value).toEqualTypeOf<"value">();
  expectTypeOf(scope((s) => s.spawn(() => 1), { join: "race" })).toEqualTypeOf<Promise<number>>();
});

test("join() gives what the strategy says", async () => {
  expectTypeOf(new TaskScope().join()).toEqualTypeOf<Promise<undefined>>();
  expectTypeOf(new TaskScope<string, "any">({ join: "any" }).join()).toEqualTypeOf<Promise<string>>();
  const settled = new TaskScope<string, "settled">({ join: "settled" });
  expectTypeOf(settled.join()).toEqualTypeOf<Promise<PromiseSettledResult<string>[]>>();
});

test("misuse is refused", () => {
  const texts = new TaskScope<string>();
  // @ts-expect-error: a task of this scope gives text
  void texts.spawn(() => 1);
  // @ts-expect-error: no such strategy
  void scope(() => {}, { join: "most" });
  // @ts-expect-error: a promise is no task
  void scope((s) => s.spawn(Promise.resolve(1)));
  // @ts-expect-error: the scope was told to settle
  new TaskScope<string, "settled">({ join: "any" });
});
