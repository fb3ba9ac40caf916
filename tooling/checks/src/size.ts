// Keeps each entry small and quick to load: its built code, bundled and zipped, and the CPU time that its import takes.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { run } from "./process.ts";
import {
  entriesOf,
  type Findings,
  manifestProblem,
  type Package,
  type Problem,
  publicPackages,
  subpathOf,
  type Workspace,
} from "./workspace.ts";

interface Budget {
  /** Own code of the entry, minified and zipped; other packages not counted. */
  readonly bytes: number;
  /** CPU time of the import, best of several fresh processes, other packages included. */
  readonly milliseconds: number;
}

// An entry without a row gets the standard.
const standard: Budget = { bytes: 15_000, milliseconds: 40 };
const budgets: Readonly<Record<string, Budget>> = {
  "@proj/concurrency": { bytes: 30_000, milliseconds: 15 },
  // Its suites bring along what they check, locks and limiters in Redis included.
  "@proj/concurrency/testing": { bytes: 20_000, milliseconds: 40 },
  // Some 38 ms of both are Node's own Request and Response, which it loads on first use.
  "@proj/http3": { bytes: 30_000, milliseconds: 70 },
  "@proj/http3/router": { bytes: 15_000, milliseconds: 50 },
  // All policies, balancers and limits; a bundler takes what is used.
  "@proj/resilience": { bytes: 35_000, milliseconds: 30 },
  "@proj/resilience/chaos": { bytes: 22_000, milliseconds: 30 },
  // The policies again, as a stack is what it runs; some 90 ms are undici itself.
  "@proj/resilience/undici": { bytes: 26_000, milliseconds: 110 },
  // All caches, pools and arenas; a bundler takes what is used.
  "@proj/memory": { bytes: 32_000, milliseconds: 30 },
};

const attempts = 5;

export async function size(workspace: Workspace): Promise<Findings> {
  const problems: Problem[] = [];
  for (const pkg of publicPackages(workspace)) {
    for (const entry of entriesOf(pkg)) {
      const subpath = subpathOf(entry);
      const built = join(pkg.folder, "dist", subpath === "." ? "index.js" : `${subpath.slice(2)}.js`);
      if (!existsSync(built)) {
        problems.push(
          manifestProblem(workspace, pkg, subpath, `${subpath} is not built: run \`pnpm run build\` first`),
        );
        continue;
      }
      const name = pkg.name + subpath.slice(1);
      problems.push(...(await overBudget(workspace, pkg, name, built)));
    }
  }
  return { problems };
}

async function overBudget(workspace: Workspace, pkg: Package, name: string, built: string): Promise<Problem[]> {
  const budget = budgets[name] ?? standard;
  const subpath = `.${name.slice(pkg.name.length)}`;
  const problem = (what: string) =>
    manifestProblem(
      workspace,
      pkg,
      subpath,
      `${name} ${what}: make it lighter, or raise its row in tooling/checks/src/size.ts`,
    );

  const bytes = await zippedBytes(built);
  const milliseconds = await importTime(built);
  return [
    ...(bytes > budget.bytes ? [problem(`takes ${bytes} bytes zipped, its budget is ${budget.bytes}`)] : []),
    ...(milliseconds > budget.milliseconds
      ? [problem(`takes ${milliseconds.toFixed(1)} ms of CPU time to import, its budget is ${budget.milliseconds} ms`)]
      : []),
  ];
}

interface Bundler {
  build(options: object): Promise<{ readonly outputFiles: readonly { readonly contents: Uint8Array }[] }>;
}

async function zippedBytes(file: string): Promise<number> {
  // The bundler that tsup builds with; only the part of its API that is used here is typed.
  const { build } = createRequire(import.meta.resolve("tsup"))("esbuild") as Bundler;
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "node",
    packages: "external",
    logLevel: "error",
    supported: { using: true },
  });
  return outputFiles.reduce((sum, { contents }) => sum + gzipSync(contents).length, 0);
}

async function importTime(file: string): Promise<number> {
  const url = JSON.stringify(pathToFileURL(file).href);
  const script = `const start = process.cpuUsage(); await import(${url});
    const { user, system } = process.cpuUsage(start); console.log((user + system) / 1_000)`;
  const times: number[] = [];
  for (let attempt = 0; attempt < attempts; attempt++) {
    const { stdout, code, output } = await run(process.execPath, ["--input-type=module", "-e", script], { cwd: "/" });
    if (code !== 0) throw new Error(`Cannot import ${file}: ${output.trim()}`);
    times.push(Number(stdout));
  }
  return Math.min(...times);
}
