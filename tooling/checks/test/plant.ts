// Makes a workspace in a temporary folder, so that a test can plant in it what a check must find.
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryFolder } from "../src/process.ts";
import { type Findings, readWorkspace, type Workspace } from "../src/workspace.ts";

/** Texts of files by their path; an object is written as JSON; `undefined` leaves the file out. */
export type Files = Readonly<Record<string, string | object | undefined>>;

export interface Planted extends Disposable {
  readonly workspace: Workspace;
}

/** `files` on top of a sound workspace with one package, @proj/concurrency. */
export function plant(files: Files = {}): Planted {
  const folder = temporaryFolder();
  symlinkSync(join(import.meta.dirname, "../../../node_modules"), join(folder.path, "node_modules"), "dir");
  for (const [name, content] of Object.entries({ ...sound, ...files })) {
    if (content === undefined) continue;
    const path = join(folder.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content, undefined, 2));
  }
  return { workspace: readWorkspace(folder.path), [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** A manifest of a public package with the given entries. */
export function manifest(name: string, more: object = {}, entries: readonly string[] = ["index"]): object {
  const table = (source: boolean) =>
    Object.fromEntries([
      ...entries.map((entry) => [
        entry === "index" ? "." : `./${entry}`,
        {
          ...(source ? { "@proj/source": `./src/${entry}.ts` } : {}),
          types: `./dist/${entry}.d.ts`,
          default: `./dist/${entry}.js`,
        },
      ]),
      ["./package.json", "./package.json"],
    ]);
  return {
    name,
    version: "1.0.0",
    license: "MIT",
    type: "module",
    files: ["dist"],
    exports: table(true),
    publishConfig: { access: "public", exports: table(false) },
    ...more,
  };
}

const sound: Files = {
  "package.json": {
    name: "root",
    private: true,
    type: "module",
    packageManager: "pnpm@12.21.0",
    devDependencies: { vitest: "*" },
  },
  "pnpm-workspace.yaml": "packages: [packages/*, apps/*, tooling/*]\npmOnFail: ignore\n",
  LICENSE: "MIT\n",
  "packages/concurrency/package.json": manifest("@proj/concurrency"),
  "packages/concurrency/README.md": "# concurrency\n",
  "packages/concurrency/src/index.ts": 'export { double } from "./lib/double.ts";\n',
  "packages/concurrency/src/lib/double.ts": `/**
 * Twice the number.
 *
 * @example
 * \`\`\`ts
 * import { double } from "@proj/concurrency";
 *
 * console.log(double(21)); // prints: 42
 * \`\`\`
 */
export function double(n: number): number {
  return 2 * n;
}
`,
};

/** What a check found, one line per problem as the runner prints it. */
export function linesOf({ problems }: Findings): string[] {
  return problems.map(({ file, line, message }) => `${file}:${line} ${message}`);
}
