// Runs the checks of this repository that no ready-made tool does: all of them, or those that are named.
//
//   node tooling/checks/src/main.ts [check...]
//
// Exit code 0 when all pass, 1 when one fails, 2 for a wrong command line.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { boundaries } from "./boundaries.ts";
import { docs } from "./docs.ts";
import { exports } from "./exports.ts";
import { size } from "./size.ts";
import { snippets } from "./snippets.ts";
import { text } from "./text.ts";
import { type Check, type Problem, readWorkspace } from "./workspace.ts";

const checks: Readonly<Record<string, { readonly run: Check; readonly about: string }>> = {
  boundaries: { run: boundaries, about: "packages import only downwards, in sources and manifests" },
  docs: { run: docs, about: "every public export has a doc comment, functions and classes an example" },
  text: { run: text, about: "no file names a package registry's host, a path of one machine or unfinished work" },
  exports: { run: exports, about: "src, exports and the packed tarball agree (needs a build)" },
  size: { run: size, about: "each entry stays within its budget of bytes and import time (needs a build)" },
  snippets: { run: snippets, about: "every code block of every README and every @example runs" },
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in checks));
if (unknown.length > 0) {
  const asked = unknown.includes("--help") || unknown.includes("-h");
  console.log(asked ? help() : `Unknown check ${unknown.join(", ")}\n\n${help()}`);
  process.exit(asked ? 0 : 2);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130)); // cleans up on its way

const workspace = readWorkspace(findRoot(process.cwd()));
const chosen = Object.entries(checks).filter(([name]) => names.length === 0 || names.includes(name));
let failed = 0;
for (const [name, { run }] of chosen) {
  const started = performance.now();
  const { problems, notes = [] } = await run(workspace);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (problems.length > 0) failed++;
  const verdict = problems.length === 0 ? "ok  " : "FAIL";
  console.log(
    `${verdict} ${name.padEnd(12)}${seconds.padStart(5)} s${problems.length > 0 ? `  ${problems.length} found` : ""}`,
  );
  for (const problem of problems.toSorted(byPlace)) console.log(`  ${line(problem)}`);
  for (const note of notes.toSorted(byPlace)) console.log(`  note: ${line(note)}`);
}
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

// The workspace around `folder`: its root has the pnpm-workspace.yaml.
function findRoot(folder: string): string {
  if (existsSync(join(folder, "pnpm-workspace.yaml"))) return folder;
  if (dirname(folder) === folder)
    throw new Error(`Cannot find a workspace around ${process.cwd()}: run this inside of one`);
  return findRoot(dirname(folder));
}

function line({ file, line, message }: Problem): string {
  return `${file}:${line} ${message}`;
}

function byPlace(a: Problem, b: Problem): number {
  return a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1;
}

function help(): string {
  const width = Math.max(...Object.keys(checks).map((name) => name.length));
  const list = Object.entries(checks).map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`);
  return `Usage: node tooling/checks/src/main.ts [check...]\n\nChecks (all when none is named):\n${list.join("\n")}`;
}
