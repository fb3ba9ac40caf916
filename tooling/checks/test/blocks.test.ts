import { expect, test } from "vitest";
import { type Block, findBlocks, missingOutput, promisedOutput } from "../src/blocks.ts";

const fence = "```";
const block = (label: string, code = "code", before = "") => `${before}\n${fence}${label}\n${code}\n${fence}\n`;

function only(text: string): Block | undefined {
  const { blocks, complaints } = findBlocks(text);
  expect(complaints).toEqual([]);
  expect(blocks.length).toBeLessThanOrEqual(1);
  return blocks[0];
}

test.each([
  ["ts", "ts"],
  ["sh", "sh"],
  ["shell", "sh"],
  ["bash", "sh"],
])("a block labelled %s is found with its first line of code", (label, language) => {
  const mode = { kind: "run", where: "empty folder" };
  expect(only(`# Title\n${block(label, "one\n\n  two")}`)).toEqual({ language, line: 4, code: "one\n\n  two", mode });
});

test.each(["text", "json", "", "yaml", "diff"])("a block labelled %j is left alone", (label) => {
  expect(only(block(label))).toBeUndefined();
});

test.each(["js", "javascript", "typescript", "tsx", "zsh", "console"])(
  "label %s, which would not be checked, is refused",
  (label) => {
    expect(findBlocks(block(label)).complaints[0]?.message).toMatch(/^label this block (ts|sh)/);
  },
);

test("a block in a list loses its indent", () => {
  expect(only(`- item\n\n  ${fence}sh\n  one\n    two\n  ${fence}\n`)?.code).toBe("one\n  two");
});

test("a fence inside a longer fence is text", () => {
  expect(only(`${fence}\`md\n${fence}ts\ncode\n${fence}\n${fence}\`\n`)).toBeUndefined();
});

test.each([
  ["types-only, needs a browser", "ts", { kind: "types only" }],
  ["skip, it deletes things", "ts", { kind: "skip" }],
  ["skip, it deletes things", "sh", { kind: "skip" }],
  ["root", "sh", { kind: "run", where: "root" }],
  ["server https://localhost:8443/healthz", "sh", { kind: "server", url: "https://localhost:8443/healthz" }],
  ["server http://localhost:8080/", "ts", { kind: "server", url: "http://localhost:8080/" }],
])("marker %s before a %s block is understood", (marker, label, mode) => {
  expect(only(block(label, "code", `<!-- check: ${marker} -->\n`))?.mode).toEqual(mode);
});

test.each([
  ["skip", "ts", '"skip" needs a reason'],
  ["types-only", "ts", '"types-only" needs a reason'],
  ["types-only, because", "sh", "unknown marker"],
  ["root", "ts", "unknown marker"],
  ["server", "sh", "unknown marker"],
  ["servr http://localhost/", "sh", "unknown marker"],
  ["skip, because", "json", "belongs to no ts or sh block"],
])("marker %s before a %s block is refused", (marker, label, message) => {
  const { blocks, complaints } = findBlocks(block(label, "code", `<!-- check: ${marker} -->`));
  expect(blocks).toEqual([]);
  expect(complaints).toEqual([{ line: 1, message: expect.stringContaining(message) }]);
});

test("a marker with text between it and the block is refused", () => {
  expect(findBlocks(`<!-- check: root -->\nSome text.\n${block("sh")}`).complaints[0]?.message).toContain(
    "belongs to no block",
  );
});

test("promised output is read from comments of both languages", () => {
  const code = "f(); // prints: a b\n// prints: c\necho d # prints: d\n// comment";
  expect(promisedOutput({ language: "ts", line: 1, code, mode: { kind: "skip" } })).toEqual(["a b", "c", "d"]);
});

test.each([
  [["a", "c"], "a\nb\nc\n", undefined],
  [["c", "a"], "a\nb\nc\n", "a"],
  [["a", "a"], "a\n", "a"],
  [["port … is open"], "port 8443 is open\n", undefined],
  [["a.c"], "abc\n", "a.c"],
])("promises %j against output %j miss %j", (promised, output, missing) => {
  expect(missingOutput(promised, output)).toBe(missing);
});
