import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { expectTypeOf, test } from "vitest";
import {
  background,
  Context,
  ContextKey,
  type HeaderSource,
  type HeaderTarget,
  limit,
  type OwnedContext,
  type Permit,
  Semaphore,
  Supervisor,
  type Task,
} from "../index.ts";

test("values come out of a context as they went in", () => {
  const user = new ContextKey<{ name: string }>("user");
  expectTypeOf(Context.current().get(user)).toEqualTypeOf<{ name: string } | undefined>();
  // @ts-expect-error: not a user
  user.of("alice");
});

test("only the maker of a context can cancel it", () => {
  expectTypeOf(Context.derive()).toEqualTypeOf<OwnedContext>();
  expectTypeOf(Context.current()).toEqualTypeOf<Context>();
  expectTypeOf<Context>().not.toHaveProperty("cancel");
});

test("Context.run and Semaphore.run tell what the work returns", () => {
  const semaphore = new Semaphore(1);
  expectTypeOf(Context.run(Context.current(), () => 1)).toEqualTypeOf<number>();
  expectTypeOf(semaphore.run(() => 1)).toEqualTypeOf<Promise<number>>();
  expectTypeOf(semaphore.run(async () => "text")).toEqualTypeOf<Promise<string>>();
  expectTypeOf(semaphore.tryAcquire()).toEqualTypeOf<Permit | undefined>();
  expectTypeOf<(context: Context) => Promise<number>>().toExtend<Task<number>>();
});

test("limit() checks the arguments of what it calls", () => {
  const two = limit(2);
  const add = async (a: number, b: number): Promise<number> => a + b;
  expectTypeOf(two(add, 1, 2)).toEqualTypeOf<Promise<number>>();
  // @ts-expect-error: one argument is missing
  void two(add, 1);
  expectTypeOf(two.map(new Set(["a"]), (item, index) => [item, index] as const)).toEqualTypeOf<
    Promise<(readonly [string, number])[]>
  >();
});

test("a service can depend only on services that there are", () => {
  const start = (): void => {};
  const supervisor = new Supervisor({ store: { start }, http: { dependsOn: ["store"], start } });
  expectTypeOf(supervisor.report()).resolves.toHaveProperty("services");
  expectTypeOf<Awaited<ReturnType<typeof supervisor.report>>["services"][number]["name"]>().toEqualTypeOf<
    "store" | "http"
  >();
  // @ts-expect-error: no service has that name
  new Supervisor({ store: { start }, http: { dependsOn: ["stores"], start } });
});

test("a background service can depend on others as well", () => {
  new Supervisor({ store: { start() {} }, loop: background(async () => {}, { dependsOn: ["store"] }) });
  // @ts-expect-error: no service has that name
  new Supervisor({ store: { start() {} }, loop: background(async () => {}, { dependsOn: ["stores"] }) });
});

test("the headers of Node and of the platform will do", () => {
  expectTypeOf<IncomingHttpHeaders>().toExtend<HeaderSource>();
  expectTypeOf<OutgoingHttpHeaders>().toExtend<HeaderTarget>();
  expectTypeOf<Headers>().toExtend<HeaderTarget>();
  expectTypeOf<Map<string, string>>().toExtend<HeaderTarget>();
  expectTypeOf<Record<string, string>>().toExtend<HeaderSource>();
});
