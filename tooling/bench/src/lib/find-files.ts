// Finds the bench files of the workspace that a filter means.
import { existsSync } from "node:fs";
import { glob, readFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";

export interface BenchFile {
  readonly path: string;
  /** `semaphore` of `semaphore.bench.ts`. */
  readonly name: string;
  /** The folder of the package it belongs to. */
  readonly packageFolder: string;
}

/**
 * Returns the bench files that any of the filters means, all without a filter: a file that exists, a package by its
 * name, or a part of a path.
 */
export async function findBenchFiles(root: string, filters: readonly string[]): Promise<readonly BenchFile[]> {
  const asFiles = filters.filter((filter) => filter.endsWith(".bench.ts") && existsSync(filter)).map((f) => resolve(f));
  const others = filters.filter((filter) => !asFiles.includes(resolve(filter)));
  const found = asFiles.map(describe);
  if (filters.length > 0 && others.length === 0) return found;
  for await (const path of glob("{packages,apps}/*/bench/*.bench.ts", { cwd: root })) {
    const file = describe(join(root, path));
    const { name } = JSON.parse(await readFile(join(file.packageFolder, "package.json"), "utf8")) as { name: string };
    if (filters.length === 0 || others.some((filter) => filter === name || path.includes(filter))) found.push(file);
  }
  return found.sort((a, b) => a.path.localeCompare(b.path));
}

/** The path as it is told to people. */
export function displayPath(root: string, path: string): string {
  const short = relative(root, path);
  return short.startsWith("..") ? path : short;
}

function describe(path: string): BenchFile {
  return { path, name: basename(path, ".bench.ts"), packageFolder: dirname(dirname(path)) };
}
