// The command `npm run bench`: measures ours and its peers in turn and reports how they compare.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type BenchFile, displayPath, findBenchFiles } from "./lib/find-files.ts";
import { loadBenchmarks } from "./lib/load-benchmarks.ts";
import { describeMachine } from "./lib/machine.ts";
import { toMarkdown } from "./lib/markdown.ts";
import { showProgress } from "./lib/progress.ts";
import { replaceBetweenMarks } from "./lib/readme.ts";
import { type BenchmarkResult, evaluate } from "./lib/result.ts";
import { type Effort, runBenchmark } from "./lib/run-benchmark.ts";

const help = `Usage: npm run bench -- [filter...] [options]

Runs packages/*/bench/*.bench.ts: all of them, or those that a filter means,
which is a package name (@proj/concurrency), a file, or a part of a path.

  --rounds N        rounds, in each of which every case is measured once (9; with --quick 3)
  --quick           short measurements, to see whether it works
  --json FILE       write machine, date and all samples
  --markdown FILE   write the tables
  --write-readme    write the tables into the README of the package, between
                    <!-- bench:start NAME --> and <!-- bench:end NAME --> for NAME.bench.ts
  --help            this text
`;

const full: Effort = {
  rounds: 9,
  operation: { warmup: 300, duration: 500 },
  server: { warmup: 1_000, duration: 3_000 },
};
const quick: Effort = {
  rounds: 3,
  operation: { warmup: 30, duration: 50 },
  server: { warmup: 1_000, duration: 1_000 },
};

const root = join(import.meta.dirname, "..", "..", "..");
const progress = showProgress(process.stderr);

try {
  await main(process.argv.slice(2));
} catch (error) {
  progress.clear();
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function main(argv: string[]): Promise<void> {
  const { values: options, positionals: filters } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      markdown: { type: "string" },
      "write-readme": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (options.help) return void process.stdout.write(help);
  const effort = { ...(options.quick ? quick : full) };
  if (options.rounds !== undefined) effort.rounds = readRounds(options.rounds);

  const files = await findBenchFiles(root, filters);
  if (files.length === 0) throw new Error(`There is no bench file for ${filters.join(" ") || "packages/*/bench"}`);
  const machine = describeMachine();
  const all: BenchmarkResult[] = [];
  const tables: string[] = [];
  for (const file of files) {
    const results = await runFile(file, effort);
    const table = toMarkdown(results, machine, `npm run bench -- ${displayPath(root, file.path)}`);
    console.log(`\n${table}`);
    all.push(...results);
    tables.push(table);
    if (options["write-readme"]) await writeReadme(file, table);
  }
  if (options.json !== undefined) {
    await writeFile(options.json, `${JSON.stringify({ machine, benchmarks: all }, undefined, 2)}\n`);
  }
  if (options.markdown !== undefined) await writeFile(options.markdown, `${tables.join("\n\n")}\n`);
}

async function runFile(file: BenchFile, effort: Effort): Promise<BenchmarkResult[]> {
  const path = displayPath(root, file.path);
  const results: BenchmarkResult[] = [];
  for (const benchmark of await loadBenchmarks(file.path)) {
    const rounds = await runBenchmark(file.path, benchmark, effort, (step) => {
      progress.show(`${path}: ${benchmark.title}: ${step}`);
    }).catch((error: Error) => {
      throw new Error(`${path}: ${benchmark.title}: ${error.message}`, { cause: error });
    });
    results.push(evaluate(path, benchmark, rounds));
  }
  progress.clear();
  return results;
}

async function writeReadme({ packageFolder, name }: BenchFile, table: string): Promise<void> {
  const path = join(packageFolder, "README.md");
  await writeFile(path, replaceBetweenMarks(await readFile(path, "utf8"), name, table));
}

function readRounds(text: string): number {
  const rounds = Number(text);
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds must be a positive integer, got ${text}`);
  return rounds;
}
