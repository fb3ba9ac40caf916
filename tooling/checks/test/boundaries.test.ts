import { expect, test } from "vitest";
import { boundaries } from "../src/boundaries.ts";
import { type Files, linesOf, manifest, plant } from "./plant.ts";

function found(files: Files = {}): string[] {
  using planted = plant(files);
  return linesOf(boundaries(planted.workspace));
}

const concurrency = "packages/concurrency";
const onConcurrency = { dependencies: { "@proj/concurrency": "workspace:^" } };
const resilience = { "packages/resilience/package.json": manifest("@proj/resilience", onConcurrency) };

test("a sound workspace has nothing to report", () => {
  expect(
    found({
      ...resilience,
      "packages/resilience/src/index.ts":
        'export { retry } from "./lib/retry.ts";\nexport type { Policy } from "./lib/retry.ts";\n',
      "packages/resilience/src/lib/retry.ts":
        'import { double } from "@proj/concurrency";\nimport { once } from "node:events";\nexport const retry = [double, once];\nexport type Policy = 1;\n',
      "packages/resilience/src/lib/retry.test.ts":
        'import { test } from "vitest";\nimport "@proj/resilience";\ntest;\n',
      "apps/web/package.json": { name: "web", private: true, ...onConcurrency },
      "apps/web/src/main.ts": 'import { double } from "@proj/concurrency";\ndouble(1);\n',
    }),
  ).toEqual([]);
});

test.each([
  ["a plain import", 'import { retry } from "@proj/resilience";'],
  ["a type import", 'import type { Policy } from "@proj/resilience";'],
  ["an import for its effects", 'import "@proj/resilience";'],
  ["a re-export", 'export { retry } from "@proj/resilience";'],
  ["a dynamic import", 'export const late = () => import("@proj/resilience");'],
  ["an import inside a type", 'export type Policy = import("@proj/resilience").Policy;'],
  ["require", 'export const old = require("@proj/resilience");'],
  ["import.meta.resolve", 'export const url = import.meta.resolve("@proj/resilience");'],
])("%s that points upwards is reported with its line", (_, code) => {
  expect(found({ ...resilience, [`${concurrency}/src/lib/up.ts`]: `\n${code}\n` })).toEqual([
    `${concurrency}/src/lib/up.ts:2 @proj/concurrency → @proj/resilience: may import nothing but node:; declare the smallest interface that you call instead`,
  ]);
});

test.each(["src/lib/up.test.ts", "src/lib/up.test-d.ts", "test/up.test.ts", "bench/up.bench.ts"])(
  "an import that points upwards is reported in %s too",
  (file) => {
    const [line, ...others] = found({
      ...resilience,
      [`${concurrency}/${file}`]: 'import "@proj/resilience";\n',
    });
    expect(line).toContain(`${concurrency}/${file}:1 @proj/concurrency → @proj/resilience`);
    expect(others).toEqual([]);
  },
);

test("packages of one layer do not know one another", () => {
  const [line] = found({
    ...resilience,
    "packages/memory/package.json": manifest("@proj/memory", {}),
    "packages/memory/src/lib/cache.ts": 'import "@proj/resilience";\n',
  });
  expect(line).toContain("@proj/memory → @proj/resilience: may import only @proj/concurrency");
});

test.each(["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"])(
  "an upward edge in %s of a manifest is reported with its line",
  (kind) => {
    const [line, ...others] = found({
      "packages/resilience/package.json": manifest("@proj/resilience"),
      [`${concurrency}/package.json`]: manifest("@proj/concurrency", { [kind]: { "@proj/resilience": "workspace:^" } }),
    });
    expect(line).toMatch(
      new RegExp(`^${concurrency}/package.json:\\d\\d ${kind}: @proj/concurrency → @proj/resilience`),
    );
    expect(others).toEqual([]);
  },
);

test("a path that leads upwards through tooling is reported with every step", () => {
  const lines = found({
    "packages/http3/package.json": manifest("@proj/http3"),
    "tooling/bench/package.json": {
      name: "@tooling/bench",
      private: true,
      dependencies: { "@proj/http3": "workspace:^" },
    },
    [`${concurrency}/package.json`]: manifest("@proj/concurrency", {
      devDependencies: { "@tooling/bench": "workspace:^" },
    }),
  });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain("@proj/concurrency → @tooling/bench → @proj/http3: dependencies lead upwards");
});

test("a circle of packages is reported with every step", () => {
  const lines = found({
    "tooling/one/package.json": {
      name: "@tooling/one",
      private: true,
      dependencies: { "@tooling/two": "workspace:^" },
    },
    "tooling/two/package.json": {
      name: "@tooling/two",
      private: true,
      dependencies: { "@tooling/one": "workspace:^" },
    },
  });
  expect(lines[0]).toContain("@tooling/one → @tooling/two → @tooling/one: a circle of packages");
});

test("tooling is for tests and benches, not for what users run", () => {
  const lines = found({
    "tooling/bench/package.json": { name: "@tooling/bench", private: true, exports: { ".": "./src/index.ts" } },
    [`${concurrency}/package.json`]: manifest("@proj/concurrency", {
      dependencies: { "@tooling/bench": "workspace:^" },
    }),
    [`${concurrency}/src/lib/shipped.ts`]: 'import "@tooling/bench";\n',
    [`${concurrency}/bench/fine.bench.ts`]: 'import "@tooling/bench";\n',
  });
  expect(lines).toHaveLength(2);
  expect(lines[0]).toContain("dependencies: @proj/concurrency → @tooling/bench: tooling is private");
  expect(lines[1]).toContain("src/lib/shipped.ts:1 @proj/concurrency → @tooling/bench: tooling is private");
});

test("a third-party dependency needs its place in the table", () => {
  const [line] = found({
    [`${concurrency}/package.json`]: manifest("@proj/concurrency", { dependencies: { "left-pad": "1.0.0" } }),
  });
  expect(line).toContain("dependencies: left-pad is not allowed for @proj/concurrency");
});

test("a dependency that the table calls optional stays optional", () => {
  const http3 = (kind: string) => ({
    "packages/http3/package.json": manifest("@proj/http3", { [kind]: { "@currentspace/http3": "1.0.0" } }),
  });
  expect(found(http3("optionalDependencies"))).toEqual([]);
  expect(found(http3("dependencies"))[0]).toContain("@currentspace/http3 must stay optional");
});

test("a package without a row in the table is reported", () => {
  const [line] = found({ "packages/new/package.json": manifest("@proj/new") });
  expect(line).toContain("@proj/new has no row in tooling/checks/src/graph.ts");
});

test("what is imported is declared, and for users when users run it", () => {
  const lines = found({
    ...resilience,
    "packages/resilience/package.json": manifest("@proj/resilience", { devDependencies: { zod: "4.0.0" } }),
    "packages/resilience/src/lib/a.ts": 'import "zod/v4";\nimport "vitest";\nimport "@proj/concurrency";\n',
    "packages/resilience/src/lib/a.test.ts": 'import "zod";\nimport "vitest";\nimport "fast-check";\n',
  });
  expect(lines).toEqual([
    'packages/resilience/src/lib/a.test.ts:3 "fast-check" is not declared in package.json: declare it or do without it',
    'packages/resilience/src/lib/a.ts:1 "zod" is only a devDependency: users do not have it',
    'packages/resilience/src/lib/a.ts:2 "vitest" is not declared in package.json: declare it or do without it',
    'packages/resilience/src/lib/a.ts:3 "@proj/concurrency" is not declared in package.json: add "@proj/concurrency": "workspace:^" to dependencies',
  ]);
});

test.each([
  ['import "@proj/concurrency/lib/double";', "is not a declared subpath of @proj/concurrency (., ./package.json)"],
  ['import "@proj/concurrency/src/lib/double.ts";', "is not a declared subpath"],
  ['import "../../../concurrency/src/index.ts";', "leaves the package: import the other package by name"],
  ['import "@proj/resilience";', "import your own package by a relative path"],
  ['export { double } from "@proj/concurrency";', "do not re-export from @proj/concurrency"],
  ['import "./other";', "write the file's extension"],
  ['import "fs/promises";', 'write "node:fs/promises"'],
  ['import "#other";', "subpath imports are not used here"],
])("%s is reported", (code, message) => {
  const [line, ...others] = found({ ...resilience, "packages/resilience/src/lib/a.ts": `${code}\n` });
  expect(line).toContain("packages/resilience/src/lib/a.ts:1 ");
  expect(line).toContain(message);
  expect(others).toEqual([]);
});

test.each([
  'export * from "./lib/double.ts";',
  'export * as all from "./lib/double.ts";',
  'export { double as default } from "./lib/double.ts";',
  "export const here = 1;",
  'import "./lib/double.ts";',
])("an entry with %s is reported", (code) => {
  const lines = found({
    [`${concurrency}/src/index.ts`]: `export { double } from "./lib/double.ts";\n${code}\n`,
  });
  expect(lines).toEqual([`${concurrency}/src/index.ts:2 an entry holds named re-exports only: move this to src/lib`]);
});

test("files that import each other in a circle are reported with the way round", () => {
  const lines = found({
    [`${concurrency}/src/lib/a.ts`]: 'import "./b.ts";\n',
    [`${concurrency}/src/lib/b.ts`]: 'import { type C } from "./c.ts";\nexport type B = C;\n',
    [`${concurrency}/src/lib/c.ts`]: 'import "./a.ts";\nexport type C = 1;\n',
  });
  expect(lines).toEqual([
    `${concurrency}/src/lib/a.ts:1 files import each other in a circle: src/lib/a.ts → src/lib/b.ts → src/lib/c.ts → src/lib/a.ts; move what they share below both`,
  ]);
});

test("files that know each other only by type are no circle", () => {
  const lines = found({
    [`${concurrency}/src/lib/a.ts`]: 'import "./b.ts";\nexport type A = 1;\n',
    [`${concurrency}/src/lib/b.ts`]: 'import type { A } from "./a.ts";\nexport type B = A | import("./a.ts").A;\n',
  });
  expect(lines).toEqual([]);
});

test("text that only looks like an import is left alone", () => {
  const code = '// import "@proj/resilience"\nexport const text = `import "@proj/resilience"`;\n';
  expect(found({ ...resilience, [`${concurrency}/src/lib/text.ts`]: code })).toEqual([]);
});
