// Proves that what a package declares is what its users get: the entries of `src`, `exports`, and the packed tarball.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { environment, run, temporaryFolder, twoAtATime } from "./process.ts";
import {
  type ExportTarget,
  entriesOf,
  type Findings,
  manifestProblem,
  type Package,
  type Problem,
  publicPackages,
  subpathOf,
  type Workspace,
} from "./workspace.ts";

export async function exports(workspace: Workspace): Promise<Findings> {
  const packages = publicPackages(workspace);
  const problems = packages.flatMap((pkg) => declarationProblems(workspace, pkg));
  await twoAtATime(packages, async (pkg) => {
    problems.push(...(await packedProblems(workspace, pkg)));
  });
  return { problems };
}

/** Each `src/<name>.ts` has its key in `exports` and `publishConfig.exports` with the paths that belong to it. */
function declarationProblems(workspace: Workspace, pkg: Package): Problem[] {
  const problem = (text: string, message: string) => manifestProblem(workspace, pkg, text, message);
  const entries = entriesOf(pkg).map(subpathOf);
  const tables = [
    ["exports", pkg.manifest.exports ?? {}, true],
    ["publishConfig.exports", pkg.manifest.publishConfig?.exports ?? {}, false],
  ] as const;

  return tables.flatMap(([table, declared, source]) => {
    const missing = entries
      .filter((subpath) => declared[subpath] === undefined)
      .map((subpath) =>
        problem("exports", `${table} lacks "${subpath}": add ${JSON.stringify(wanted(subpath, source))}`),
      );
    const wrong = Object.entries(declared).flatMap(([subpath, target]) => {
      if (subpath === "./package.json") return [];
      if (!entries.includes(subpath)) {
        return [problem(subpath, `${table} has "${subpath}", but there is no src/${fileName(subpath)}.ts: remove one`)];
      }
      const right = JSON.stringify(wanted(subpath, source));
      return JSON.stringify(target) === right ? [] : [problem(subpath, `${table}["${subpath}"] must be ${right}`)];
    });
    const manifest = declared["./package.json"] === "./package.json";
    return manifest
      ? [...missing, ...wrong]
      : [...missing, ...wrong, problem("exports", `${table} lacks "./package.json"`)];
  });
}

// The order counts: the first condition that holds is taken.
function wanted(subpath: string, source: boolean): ExportTarget {
  const name = fileName(subpath);
  return {
    ...(source ? { "@proj/source": `./src/${name}.ts` } : {}),
    types: `./dist/${name}.d.ts`,
    default: `./dist/${name}.js`,
  };
}

function fileName(subpath: string): string {
  return subpath === "." ? "index" : subpath.slice(2);
}

async function packedProblems(workspace: Workspace, pkg: Package): Promise<Problem[]> {
  const problem = (message: string) => manifestProblem(workspace, pkg, "name", message);
  const unbuilt = entriesOf(pkg).filter(
    (file) => !existsSync(join(pkg.folder, "dist", `${fileName(subpathOf(file))}.js`)),
  );
  if (unbuilt.length > 0) {
    return unbuilt.map((file) => problem(`${relative(pkg.folder, file)} is not built: run \`pnpm run build\` first`));
  }

  using folder = temporaryFolder();
  const env = { ...environment, NO_COLOR: "1" };
  const packing = await run("pnpm", ["pack", "--pack-destination", folder.path], { cwd: pkg.folder, env });
  const [tarball] = readdirSync(folder.path);
  if (packing.code !== 0 || tarball === undefined) return [problem(`pnpm pack failed: ${packing.output.trim()}`)];

  const path = join(folder.path, tarball);
  const problems = await contentProblems(folder.path, path, problem);
  const linters = [
    ["publint", ["--strict", path]],
    ["attw", ["--profile", "esm-only", "--format", "ascii", path]],
  ] as const;
  for (const [tool, args] of linters) {
    const { code, output } = await run(tool, args, { cwd: folder.path, env });
    if (code !== 0) problems.push(problem(`${tool} refuses the packed tarball:\n${indent(output)}`));
  }
  return problems;
}

const alwaysPacked = ["package.json", "README.md", "LICENSE"];

async function contentProblems(
  folder: string,
  tarball: string,
  problem: (message: string) => Problem,
): Promise<Problem[]> {
  const unpacking = await run("tar", ["-xzf", tarball, "-C", folder], { cwd: folder });
  if (unpacking.code !== 0) return [problem(`the tarball cannot be unpacked: ${unpacking.output.trim()}`)];

  const content = join(folder, "package");
  const names = readdirSync(content);
  const manifest = readFileSync(join(content, "package.json"), "utf8");
  return [
    ...alwaysPacked
      .filter((name) => !names.includes(name))
      .map((name) => problem(`the tarball has no ${name}: add it to the package (LICENSE: to the root)`)),
    ...names
      .filter((name) => name !== "dist" && name !== "CHANGELOG.md" && !alwaysPacked.includes(name))
      .map((name) => problem(`the tarball contains ${name}: leave only "dist" in "files"`)),
    ...["workspace:", "catalog:", "@proj/source"]
      .filter((text) => manifest.includes(text))
      .map((text) => problem(`package.json in the tarball still says "${text}": publishConfig must replace it`)),
    ...readdirSync(content, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.test(-d)?\.(js|d\.ts)/.test(name))
      .map((name) => problem(`the tarball contains the test ${name}: exclude tests in tsconfig.build.json`)),
  ];
}

function indent(text: string): string {
  return text.trim().replaceAll(/^/gm, "    ");
}
