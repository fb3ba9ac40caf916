import { expect, test } from "vitest";
import { replaceBetweenMarks } from "./readme.ts";

const readme =
  "# Title\n<!-- bench:start a -->\nold\n<!-- bench:end a -->\nmiddle\n<!-- bench:start b -->\n<!-- bench:end b -->\n";

test("only what is between the marks of that name changes", () => {
  expect(replaceBetweenMarks(readme, "a", "| new |")).toBe(readme.replace("old", "| new |"));
  expect(replaceBetweenMarks(readme, "b", "| new |")).toContain(
    "<!-- bench:start b -->\n| new |\n<!-- bench:end b -->",
  );
});

test("doing it twice is doing it once", () => {
  const once = replaceBetweenMarks(readme, "a", "new");
  expect(replaceBetweenMarks(once, "a", "new")).toBe(once);
});

test("a README without the marks is refused with the lines it lacks", () => {
  expect(() => replaceBetweenMarks(readme, "c", "new")).toThrow("lacks the lines <!-- bench:start c --> and");
});
