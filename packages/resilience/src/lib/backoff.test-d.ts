import type { SupervisorOptions } from "@proj/concurrency";
import { expectTypeOf, test } from "vitest";
import { type Backoff, exponential, type PlainBackoff } from "./backoff.ts";
import { breaker } from "./breaker.ts";
import { hedge } from "./hedge.ts";

test("What is made here fits wherever a pause is asked for", () => {
  expectTypeOf(exponential()).toEqualTypeOf<PlainBackoff>();
  expectTypeOf<PlainBackoff>().toExtend<Backoff>();
  expectTypeOf<PlainBackoff>().toExtend<(attempt: number) => number>();
  expectTypeOf<PlainBackoff>().toExtend<SupervisorOptions["backoff"]>();
});

test("Any function of the attempt, the pause before and chance is a backoff", () => {
  breaker({ open: (attempt) => attempt * 1_000 });
  breaker({ open: (_attempt, previousMs: number, random: () => number) => previousMs + random() });
  breaker({ open: 5_000 });
  // @ts-expect-error a text is no pause
  breaker({ open: () => "1s" });
});

test("A hedge must be told when", () => {
  // @ts-expect-error after is missing
  hedge({ max: 1 });
});
