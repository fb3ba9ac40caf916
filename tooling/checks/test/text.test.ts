import { expect, test } from "vitest";
import { text } from "../src/text.ts";
import { linesOf, plant } from "./plant.ts";

function found(file: string, content: string): string[] {
  using planted = plant({ [file]: content });
  return linesOf(text(planted.workspace));
}

// Put together here, because this file is checked too.
const host = `https://registry.${"npmjs"}.org/left-pad`;
const unfinished = "TO" + "DO";

test("a sound workspace has nothing to report", () => {
  expect(found("docs/a.md", "See ./work/ and https://example.org/root/ and a/home/b/ and `work`.\n")).toEqual([]);
});

test.each([
  ["docs/a.md", host, "names the host of a package registry"],
  [".github/workflows/ci.yml", host, "names the host of a package registry"],
  ["packages/concurrency/src/lib/a.ts", `const home = "${"/ro"}ot/.cache/x";`, "names a path of one machine"],
  ["apps/web/README.md", `cd ${"/wo"}rk/main`, "names a path of one machine"],
  ["packages/concurrency/README.md", `ls ${"/ho"}me/ann/proj`, "names a path of one machine"],
  ["packages/concurrency/test/a.test.ts", `// ${unfinished}: more`, "marks unfinished work"],
])("in %s, %s is reported", (file, line, message) => {
  const lines = found(file, `fine\n${line}\n`);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(`${file}:2 `);
  expect(lines[0]).toContain(message);
});

test("what is installed, built or no text is not looked at", () => {
  using planted = plant({
    "packages/concurrency/dist/a.js": unfinished,
    "packages/concurrency/node_modules/a/a.js": unfinished,
    "apps/web/package.json": { name: "web" },
    "apps/web/data/a.txt": unfinished,
    "docs/a.bin": `\0${unfinished}`,
  });
  expect(linesOf(text(planted.workspace))).toEqual([]);
});
