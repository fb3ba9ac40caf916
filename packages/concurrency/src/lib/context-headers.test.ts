import fc from "fast-check";
import { expect, test } from "vitest";
import { Context } from "../index.ts";
import { TestClock } from "../testing.ts";

const clock = new TestClock();
const timeOf = (headers: Parameters<typeof Context.extract>[0]): number =>
  Context.extract(headers, { clock }).remaining;
const never = Number.POSITIVE_INFINITY;

test.each([
  [{ "x-deadline-ms": "250" }, 250],
  [{ "grpc-timeout": "2S" }, 2_000],
  [{ "grpc-timeout": "1H" }, 3_600_000],
  [{ "grpc-timeout": "3M" }, 180_000],
  [{ "grpc-timeout": "250m" }, 250],
  [{ "grpc-timeout": "5000u" }, 5],
  [{ "grpc-timeout": "2000000n" }, 2],
  [{ "connect-timeout-ms": "1500" }, 1_500],
  [{ "x-envoy-expected-rq-timeout-ms": "75" }, 75],
  [{ "x-deadline-ms": "900", "grpc-timeout": "800m", "connect-timeout-ms": "700" }, 700],
  [{ "x-deadline-ms": ["300", "200"] }, 200],
  [{ "x-deadline-ms": "300, 200" }, 200],
  [{ "x-deadline-ms": "0" }, 0],
  [{}, never],
  [{ "x-deadline-ms": "" }, never],
  [{ "x-deadline-ms": "-5" }, never],
  [{ "x-deadline-ms": "1e3" }, never],
  [{ "x-deadline-ms": "Infinity" }, never],
  [{ "x-deadline-ms": "9".repeat(400) }, never],
  [{ "grpc-timeout": "123456789S" }, never],
  [{ "grpc-timeout": "10" }, never],
  [{ "connect-timeout-ms": "12345678901" }, never],
])("Context.extract(%j) has %s ms left", (headers, expected) => {
  expect(timeOf(headers)).toBe(expected);
});

test("Context.extract() reads Headers and Maps", () => {
  expect(timeOf(new Headers({ "X-Deadline-Ms": "40" }))).toBe(40);
  expect(timeOf(new Map([["x-deadline-ms", "40"]]))).toBe(40);
});

test("Context.extract() never throws, whatever the headers are", () => {
  const name = fc.constantFrom("x-deadline-ms", "grpc-timeout", "connect-timeout-ms", "x-envoy-expected-rq-timeout-ms");
  const value = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.array(fc.string({ maxLength: 5 }), { maxLength: 3 }),
    fc.double(),
    fc.constant(undefined),
  );
  fc.assert(
    fc.property(fc.dictionary(name, value), (headers) => {
      expect(timeOf(headers)).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 1_000 },
  );
});

test("a hop can shorten the time, never extend it", () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.nat(10_000), fc.nat(10_000), (parentLeft, asked, cap) => {
      const parent = Context.derive({ clock, timeout: parentLeft });
      const headers = { "x-deadline-ms": String(asked) };
      const context = Context.extract(headers, { parent, timeout: cap, allowance: 10 });
      expect(context.remaining).toBe(Math.min(parentLeft, cap, Math.max(0, asked - 10)));
    }),
  );
});

test("Context.inject() writes the time left in whole milliseconds", async () => {
  const time = new TestClock();
  const context = Context.derive({ clock: time, timeout: 100.9 });
  const headers = new Headers();
  Context.inject(context, headers);
  expect(headers.get("x-deadline-ms")).toBe("100");
  await time.advance(500);
  const record: Record<string, string> = {};
  Context.inject(context, record);
  expect(record).toEqual({ "x-deadline-ms": "0" });
});

test("Context.inject() without a deadline writes nothing, and leaves a shorter time as it is", () => {
  const headers = new Map([["x-deadline-ms", "50"]]);
  Context.inject(Context.derive(), headers);
  Context.inject(Context.derive({ clock, timeout: 100 }), headers);
  expect(headers.get("x-deadline-ms")).toBe("50");
  Context.inject(Context.derive({ clock, timeout: 20 }), headers);
  expect(headers.get("x-deadline-ms")).toBe("20");
  const garbage = { "x-deadline-ms": "soon" };
  Context.inject(Context.derive({ clock, timeout: 20 }), garbage);
  expect(garbage["x-deadline-ms"]).toBe("20");
});
