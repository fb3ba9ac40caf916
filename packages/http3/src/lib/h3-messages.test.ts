import fc from "fast-check";
import { expect, test } from "vitest";
import { checkTrailers, readRequest, writeResponse } from "./h3-messages.ts";

const limits = { maxHeaderSize: 64 * 1024, maxHeaderCount: 200 };
const get = [":method", "GET", ":scheme", "https", ":authority", "example.com", ":path", "/a?b"];

function refusal(list: readonly string[]): string | undefined {
  const head = readRequest(list, limits);
  return "kind" in head ? head.kind : undefined;
}

test("a request is read into its parts", () => {
  expect(readRequest([...get, "accept", "*/*", "te", "trailers"], limits)).toEqual({
    method: "GET",
    scheme: "https",
    authority: "example.com",
    target: "/a?b",
    headers: ["accept", "*/*", "te", "trailers"],
    contentLength: undefined,
  });
});

test("cookie crumbs become one field, at the end", () => {
  const head = readRequest([...get, "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3"], limits);
  expect(head).toMatchObject({ headers: ["x", "y", "cookie", "a=1; b=2; c=3"] });
});

test("host stands in for :authority", () => {
  const list = [":method", "GET", ":scheme", "https", ":path", "/", "host", "example.com:8443"];
  expect(readRequest(list, limits)).toMatchObject({ authority: "example.com:8443" });
});

test("content-length is a number", () => {
  expect(readRequest([...get, "content-length", "42"], limits)).toMatchObject({ contentLength: 42 });
});

test("CONNECT has an authority and nothing else", () => {
  expect(readRequest([":method", "CONNECT", ":authority", "example.com:443"], limits)).toMatchObject({
    method: "CONNECT",
    authority: "example.com:443",
    target: "",
  });
  expect(refusal([":method", "CONNECT", ":authority", "example.com:443", ":path", "/"])).toBe("malformed");
  expect(refusal([":method", "CONNECT"])).toBe("malformed");
});

test("* is a path for OPTIONS alone", () => {
  expect(refusal(get.with(1, "OPTIONS").with(7, "*"))).toBeUndefined();
  expect(refusal(get.with(7, "*"))).toBe("malformed");
});

test.for<[string, string[]]>([
  ["no pseudo-header", ["accept", "*/*"]],
  ["no :method", get.slice(2)],
  ["no :scheme", get.toSpliced(2, 2)],
  ["no :path", get.slice(0, 6)],
  ["neither :authority nor host", get.toSpliced(4, 2)],
  [":method twice", [":method", "GET", ...get]],
  [":path twice", [...get, ":path", "/b"]],
  ["an unknown pseudo-header", [...get, ":unknown", "x"]],
  [":status", [...get, ":status", "200"]],
  [":protocol", [...get, ":protocol", "websocket"]],
  ["a pseudo-header after a field", ["accept", "*/*", ...get]],
  ["a pseudo-header after a cookie", ["cookie", "a=1", ...get]],
  ["an empty method", get.with(1, "")],
  ["a method with a blank", get.with(1, "GET /")],
  ["a scheme that is not HTTP", get.with(3, "ftp")],
  ["an empty :authority", get.with(5, "")],
  ["user information in :authority", get.with(5, "user@example.com")],
  ["a path in :authority", get.with(5, "example.com/")],
  ["an empty host", [...get, "host", ""]],
  ["host other than :authority", [...get, "host", "example.org"]],
  ["host twice", [...get, "host", "example.com", "host", "example.com"]],
  ["an empty :path", get.with(7, "")],
  [":path without a slash", get.with(7, "a")],
  ["an absolute :path", get.with(7, "https://example.com/")],
  ["a fragment in :path", get.with(7, "/a#b")],
  ["a blank in :path", get.with(7, "/a b")],
  ["a line break in :path", get.with(7, "/a\nb")],
  ["a letter outside ASCII in :path", get.with(7, "/ä")],
  ["a name in upper case", [...get, "Accept", "*/*"]],
  ["an empty name", [...get, "", "x"]],
  ["a name with a colon", [...get, "a:b", "x"]],
  ["a name with a blank", [...get, "a b", "x"]],
  ["NUL in a value", [...get, "x", "a\0b"]],
  ["CR in a value", [...get, "x", "a\rb"]],
  ["LF in a value", [...get, "x", "a\nb"]],
  ["DEL in a value", [...get, "x", "a\x7fb"]],
  ["a value that begins with a blank", [...get, "x", " a"]],
  ["a value that ends with a tab", [...get, "x", "a\t"]],
  ["connection", [...get, "connection", "close"]],
  ["keep-alive", [...get, "keep-alive", "timeout=5"]],
  ["proxy-connection", [...get, "proxy-connection", "close"]],
  ["transfer-encoding", [...get, "transfer-encoding", "chunked"]],
  ["upgrade", [...get, "upgrade", "websocket"]],
  ["te other than trailers", [...get, "te", "gzip"]],
  ["content-length that is no number", [...get, "content-length", "1x"]],
  ["content-length with a sign", [...get, "content-length", "+1"]],
  ["content-length twice", [...get, "content-length", "1", "content-length", "1"]],
])("a request is malformed with %s", ([, list]) => {
  expect(refusal(list)).toBe("malformed");
});

test("the limits of a header section count fields, and bytes with 32 for each field", () => {
  const size = get.join("").length + 4 * 32;
  expect("kind" in readRequest(get, { maxHeaderSize: size, maxHeaderCount: 4 })).toBe(false);
  expect(readRequest(get, { maxHeaderSize: size - 1, maxHeaderCount: 4 })).toMatchObject({ kind: "too-large" });
  expect(readRequest(get, { maxHeaderSize: size, maxHeaderCount: 3 })).toMatchObject({ kind: "too-large" });
});

test("trailers have fields and no pseudo-headers", () => {
  expect(checkTrailers(["x-checksum", "abc"], limits)).toBeUndefined();
  expect(checkTrailers([":path", "/"], limits)).toMatchObject({ kind: "malformed" });
  expect(checkTrailers(["connection", "close"], limits)).toMatchObject({ kind: "malformed" });
  expect(checkTrailers(["x", "a".repeat(70_000)], limits)).toMatchObject({ kind: "too-large" });
});

test("an answer starts with :status and has no fields of HTTP/1.1 connections", () => {
  expect(writeResponse(200, ["connection", "close", "x", "y", "transfer-encoding", "chunked"])).toEqual([
    ":status",
    "200",
    "x",
    "y",
  ]);
  expect(writeResponse(204, ["content-length", "0"])).toEqual([":status", "204"]);
});

test.for([100, 103, 199, 600, 200.5, Number.NaN])("%d is no status of an answer", (status) => {
  expect(() => writeResponse(status, [])).toThrow(TypeError);
});

test.for<[string, string]>([
  ["X-Upper", "a"],
  [":path", "/"],
  ["", "a"],
  ["x", "a\r\nset-cookie: b"],
  ["x", "a\0"],
])("an answer with the field %j: %j is not sent", (field) => {
  expect(() => writeResponse(200, field)).toThrow(TypeError);
});

// The naive model: character by character, from the grammar.
function isFieldNaively(name: string, value: string): boolean {
  const symbols = "!#$%&'*+-.^_`|~";
  if (name === "" || ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].includes(name))
    return false;
  for (const c of name) if (!((c >= "a" && c <= "z") || (c >= "0" && c <= "9") || symbols.includes(c))) return false;
  for (const c of value) if (c !== "\t" && (c < " " || c === "\x7f")) return false;
  return value === value.replace(/^[ \t]+|[ \t]+$/g, "");
}

const spice = fc.constantFrom(":", " ", "\t", "\r", "\n", "\0", "\x7f", "é", "A", "-", "", "connection", "upgrade");
const name = fc.oneof(
  fc.stringMatching(/^[a-z0-9-]{1,10}$/),
  fc.array(spice, { maxLength: 3 }).map((parts) => parts.join("a")),
);
const value = fc.oneof(
  fc.string(),
  fc.array(spice, { maxLength: 4 }).map((parts) => parts.join("b")),
);

test("trailers are accepted exactly when each field is one by the grammar", () => {
  const lists = fc.array(fc.tuple(name, value), { maxLength: 5 });
  fc.assert(
    fc.property(lists, (fields) => {
      const expected = fields.every(([n, v]) => isFieldNaively(n, v));
      expect(checkTrailers(fields.flat(), limits) === undefined).toBe(expected);
    }),
  );
});

test("what readRequest() accepts has one value for each part, and only good fields", () => {
  const pseudo = fc.constantFrom<[string, string]>(
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "a.b"],
    [":path", "/"],
    [":path", ""],
    [":status", "200"],
    [":x", "y"],
  );
  const lists = fc.array(fc.oneof({ weight: 4, arbitrary: pseudo }, { weight: 1, arbitrary: fc.tuple(name, value) }), {
    maxLength: 7,
  });
  fc.assert(
    fc.property(lists, (fields) => {
      const names = fields.map(([n]) => n);
      const firstRegular = names.findIndex((n) => !n.startsWith(":"));
      const regular = firstRegular < 0 ? [] : fields.slice(firstRegular);
      const pseudos = firstRegular < 0 ? fields : fields.slice(0, firstRegular);
      const wanted = [":authority", ":method", ":path", ":scheme"];
      const good =
        pseudos
          .map(([n]) => n)
          .sort()
          .join() === wanted.join() &&
        pseudos.every(([n, v]) => n !== ":path" || v === "/") &&
        regular.every(([n, v]) => isFieldNaively(n, v));
      expect("kind" in readRequest(fields.flat(), limits)).toBe(!good);
    }),
    { numRuns: 2_000 },
  );
});
