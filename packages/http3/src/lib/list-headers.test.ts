import * as fc from "fast-check";
import { expect, test } from "vitest";
import { asHeaders, ListHeaders, toHeaderList } from "./list-headers.ts";

const name = fc.constantFrom("a", "B", "Set-Cookie", "set-cookie", "cookie", "Accept", "x-y", "bad name", "", "é");
const value = fc.oneof(
  fc.constantFrom("", "v", " padded\t", "a, b", "naïve", "line\nbreak", "nul\0", "snow ☃"),
  fc.string({ maxLength: 5 }),
);
const operation = fc.oneof(
  fc.record({ verb: fc.constantFrom("append", "set"), name, value }),
  fc.record({ verb: fc.constantFrom("delete", "get", "has"), name, value: fc.constant("") }),
);

/** What an operation gives, or that it throws. */
function apply(headers: Headers, verb: string, field: string, text: string): unknown {
  try {
    if (verb === "append") return headers.append(field, text);
    if (verb === "set") return headers.set(field, text);
    if (verb === "delete") return headers.delete(field);
    return verb === "get" ? headers.get(field) : headers.has(field);
  } catch (error) {
    return (error as Error).constructor.name;
  }
}

test("ListHeaders does what the platform's Headers does", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 20 }), (operations) => {
      const ours = asHeaders(new ListHeaders([]));
      const platform = new Headers();
      for (const { verb, name: field, value: text } of operations) {
        // The platform joins several Cookie fields with a comma, which would change them: the one difference wanted.
        if (field === "cookie" && verb === "append" && platform.has("cookie")) continue;
        expect(apply(ours, verb, field, text)).toEqual(apply(platform, verb, field, text));
      }
      expect([...ours]).toEqual([...platform]);
      expect([...ours.keys()]).toEqual([...platform.keys()]);
      expect([...ours.values()]).toEqual([...platform.values()]);
      expect(ours.getSetCookie()).toEqual(platform.getSetCookie());
      expect([...new Headers(ours)]).toEqual([...new Headers([...platform])]);
    }),
  );
});

test("ListHeaders leaves a list alone that was given to it", () => {
  const list = ["a", "1", "b", "2"];
  const headers = new ListHeaders(list);

  headers.set("a", "changed");
  headers.append("c", "3");
  headers.delete("b");

  expect(list).toEqual(["a", "1", "b", "2"]);
  expect([...headers]).toEqual([
    ["a", "changed"],
    ["c", "3"],
  ]);
});

test("ListHeaders is a Headers, and joins cookies of a request as RFC 9113 says", () => {
  const headers = asHeaders(new ListHeaders(["cookie", "a=1", "cookie", "b=2"]));

  expect(headers).toBeInstanceOf(Headers);
  expect(Object.prototype.toString.call(headers)).toBe("[object Headers]");
  expect(headers.get("cookie")).toBe("a=1; b=2");
});

test("forEach() gives value, name and the headers", () => {
  const headers = asHeaders(new ListHeaders(["b", "2", "a", "1"]));
  const seen: unknown[] = [];

  headers.forEach((...args) => void seen.push(args));

  expect(seen).toEqual([
    ["1", "a", headers],
    ["2", "b", headers],
  ]);
});

test.each<[string, unknown]>([
  ["nothing", undefined],
  ["a record", { A: "1", b: "2" }],
  [
    "pairs",
    [
      ["A", "1"],
      ["a", "2"],
    ],
  ],
  [
    "platform headers",
    new Headers([
      ["set-cookie", "a"],
      ["set-cookie", "b"],
    ]),
  ],
  ["a map", new Map([["a", "1"]])],
  ["a pair too short", [["a"]]],
  ["a pair too long", [["a", "b", "c"]]],
  ["a bad name", { "a b": "1" }],
  ["a string", "a: b"],
])("toHeaderList() takes what new Headers() takes: %s", (_name, init) => {
  const pairs = (): unknown => {
    const list = toHeaderList(init);
    return [...new ListHeaders(list)];
  };
  const platform = (): unknown => [...new Headers(init as Record<string, string>)]; // some are none, on purpose
  let expected: unknown;
  try {
    expected = platform();
  } catch {
    expect(pairs).toThrow(TypeError);
    return;
  }
  expect(pairs()).toEqual(expected);
});
