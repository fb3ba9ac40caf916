import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Exchange } from "./exchange.ts";
import { requestUrl } from "./request-url.ts";

const url = (authority: string, target: string): string =>
  requestUrl({ scheme: "https", authority, target } as Exchange); // all that is read of it

test("requestUrl() writes what the URL parser writes", () => {
  const piece = fc.constantFrom(
    "a",
    "Z",
    "/",
    "//",
    ".",
    "..",
    "%2e",
    "%2E%2e",
    "?",
    "'",
    '"',
    "|",
    "^",
    "\\",
    "{",
    "é",
    "%",
    "#",
    "<",
    " ",
    "+",
    ";",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const target = `/${pieces.join("")}`;
      expect(url("example.org", target)).toBe(new URL(`https://example.org${target}`).href);
    }),
  );
});

test.each([
  ["EXAMPLE.org:443", "https://example.org/"],
  ["example.org:8443", "https://example.org:8443/"],
  ["[::1]:8443", "https://[::1]:8443/"],
  ["", "https://localhost/"],
])("the authority %j is written like the parser does", (authority, expected) => {
  expect(url(authority, "/")).toBe(expected);
});

test.each(["a/b", "a@b", "a b", "a?b", "a#b", "a\\b", "a:99999", "["])("the authority %j is refused", (authority) => {
  expect(() => url(authority, "/")).toThrow(TypeError);
});
