import { expect, test, vi } from "vitest";
import { exports } from "../src/exports.ts";
import { type Files, linesOf, manifest, plant } from "./plant.ts";

vi.setConfig({ testTimeout: 90_000 }); // starts programs, on slow machines too

const folder = "packages/concurrency";
const built: Files = {
  "README.md": "# root\n",
  [`${folder}/dist/index.js`]: "export const double = (n) => 2 * n;\n",
  [`${folder}/dist/index.d.ts`]: "export declare const double: (n: number) => number;\n",
};
const withManifest = (more: object, entries?: readonly string[]) => ({
  [`${folder}/package.json`]: manifest("@proj/concurrency", more, entries),
});

async function found(files: Files): Promise<string[]> {
  using planted = plant({ ...built, ...files });
  return linesOf(await exports(planted.workspace));
}

test("a package whose source, exports and tarball agree has nothing to report", async () => {
  expect(await found({ [`${folder}/CHANGELOG.md`]: "# Changes\n" })).toEqual([]);
});

test("an entry that no export names is reported for both tables", async () => {
  const lines = await found({ [`${folder}/src/redis.ts`]: "export {};\n", [`${folder}/dist/redis.js`]: "" });
  const wanted = '"types":"./dist/redis.d.ts","default":"./dist/redis.js"}';
  expect(lines).toEqual([
    expect.stringMatching(/package.json:\d+ exports lacks ".\/redis": add \{"@proj\/source":".\/src\/redis.ts",/),
    expect.stringContaining(`publishConfig.exports lacks "./redis": add {${wanted}`),
  ]);
});

test("an export without an entry is reported for both tables", async () => {
  const lines = await found(withManifest({}, ["index", "gone"]));
  expect(lines[0]).toContain('exports has "./gone", but there is no src/gone.ts');
  expect(lines[1]).toContain('publishConfig.exports has "./gone", but there is no src/gone.ts');
});

test.each([
  ["a wrong source", { "@proj/source": "./src/other.ts", types: "./dist/index.d.ts", default: "./dist/index.js" }],
  ["a wrong order", { "@proj/source": "./src/index.ts", default: "./dist/index.js", types: "./dist/index.d.ts" }],
  ["no types", { "@proj/source": "./src/index.ts", default: "./dist/index.js" }],
])("an export with %s is reported", async (_, target) => {
  const lines = await found(withManifest({ exports: { ".": target, "./package.json": "./package.json" } }));
  expect(lines[0]).toContain('exports["."] must be {"@proj/source":"./src/index.ts",');
});

test("publishConfig that keeps the source condition is reported, in the manifest and in the tarball", async () => {
  const target = { "@proj/source": "./src/index.ts", types: "./dist/index.d.ts", default: "./dist/index.js" };
  const lines = await found(
    withManifest({ publishConfig: { exports: { ".": target, "./package.json": "./package.json" } } }),
  );
  expect(lines[0]).toContain('publishConfig.exports["."] must be {"types":');
  expect(lines.join("\n")).toContain('package.json in the tarball still says "@proj/source"');
});

test("./package.json is exported too", async () => {
  const target = { "@proj/source": "./src/index.ts", types: "./dist/index.d.ts", default: "./dist/index.js" };
  expect((await found(withManifest({ exports: { ".": target } })))[0]).toContain('exports lacks "./package.json"');
});

test("a package that is not built says how to build it", async () => {
  const lines = await found({ [`${folder}/dist/index.js`]: undefined });
  expect(lines).toEqual([`${folder}/package.json:2 src/index.ts is not built: run \`pnpm run build\` first`]);
});

test.each([
  ["lacks a README", { [`${folder}/README.md`]: undefined }, "the tarball has no README.md"],
  ["lacks a licence", { LICENSE: undefined }, "the tarball has no LICENSE"],
  ["contains sources", withManifest({ files: ["dist", "src"] }), "the tarball contains src"],
  ["contains tests", { [`${folder}/dist/lib/a.test.d.ts`]: "" }, "the tarball contains the test dist/lib/a.test.d.ts"],
])("a tarball that %s is reported", async (_, files, message) => {
  expect((await found(files)).join("\n")).toContain(message);
});

test("publint's refusal is reported with its reason", async () => {
  const lines = await found({ [`${folder}/dist/index.d.ts`]: undefined });
  expect(lines.join("\n")).toContain("publint refuses the packed tarball:");
  expect(lines.join("\n")).toContain("./dist/index.d.ts but the file does not exist");
});

test("attw's refusal is reported with its reason", async () => {
  const lines = await found({
    [`${folder}/dist/index.d.ts`]: 'export { double } from "./double";\n',
    [`${folder}/dist/double.d.ts`]: "export declare const double: (n: number) => number;\n",
  });
  expect(lines.join("\n")).toContain("attw refuses the packed tarball:");
  expect(lines.join("\n")).toMatch(/Internal resolution error/i);
});
