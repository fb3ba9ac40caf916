import { expectTypeOf, test } from "vitest";
import { workers } from "./workers.ts";

interface Module {
  init(data: { readonly url: string }): Promise<void>;
  dispose(): void;
  add(a: number, b?: number): number;
  load(id: string): Promise<{ readonly id: string }>;
  readonly version: string;
}

test("the functions of the module are calls that give promises", () => {
  const pool = workers<Module>("data:text/javascript,", { data: { url: "" } });
  expectTypeOf(pool.run.add).toEqualTypeOf<(a: number, b?: number) => Promise<number>>();
  expectTypeOf(pool.run.load).returns.resolves.toEqualTypeOf<{ readonly id: string }>();
  expectTypeOf(pool.call("load", ["a"], { timeout: 1 })).resolves.toEqualTypeOf<{ readonly id: string }>();
  expectTypeOf(pool.run).not.toHaveProperty("init");
  expectTypeOf(pool.run).not.toHaveProperty("dispose");
  expectTypeOf(pool.run).not.toHaveProperty("version");
});

test("wrong calls do not compile", () => {
  const pool = workers<Module>("data:text/javascript,", { data: { url: "" } });
  // @ts-expect-error: a number is wanted
  void (() => pool.run.add("1"));
  // @ts-expect-error: no such function
  void (() => pool.run.remove());
  // @ts-expect-error: an argument is missing
  void (() => pool.call("load", []));
  // @ts-expect-error: not to be called by hand
  void (() => pool.call("dispose", []));
});

test("data is what init takes, and needed if init needs it", () => {
  // @ts-expect-error: without data
  void (() => workers<Module>("data:text/javascript,"));
  // @ts-expect-error: not what init takes
  void (() => workers<Module>("data:text/javascript,", { data: { url: 1 } }));
  void (() => workers<{ add(a: number): number }>("data:text/javascript,"));
  void (() => workers<{ init(): void }>("data:text/javascript,", { threads: [1, "auto"] }));
});
