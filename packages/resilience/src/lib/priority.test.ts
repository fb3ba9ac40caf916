// A priority on its way through services.
import { Context } from "@proj/concurrency";
import { expect, test } from "vitest";
import { callPriority, extractPriority, injectPriority } from "../index.ts";

test("a priority travels in a header", () => {
  const headers = new Headers();
  injectPriority(Context.derive({ values: [callPriority.of(7)] }), headers);

  expect(extractPriority(headers)).toBe(7);
});

test("no header is written for the priority that everybody has", () => {
  const headers = new Headers();
  injectPriority(Context.derive(), headers);
  injectPriority(Context.derive({ values: [callPriority.of(0)] }), headers);

  expect([...headers]).toEqual([]);
});

test("nothing a peer sends makes extractPriority() throw or return anything but a modest integer", () => {
  const texts = ["", "1.5", "1e3", "99999", "1001", "-1001", "0x1", "a", "1, 2", "NaN", "1\n2"];
  for (const text of texts) expect(extractPriority({ "x-priority": text })).toBeUndefined();
  expect(extractPriority({ "x-priority": ["1", "2"] })).toBeUndefined();
  expect(extractPriority(new Map([["x-priority", " -1000 "]]))).toBe(-1_000);
});

test("a priority that is out of range is cut, not dropped", () => {
  const headers = new Headers();
  injectPriority(Context.derive({ values: [callPriority.of(Number.POSITIVE_INFINITY)] }), headers);

  expect(headers.get("x-priority")).toBe("1000");
});
