// Imports a bench file and hands out what it exports.
import { pathToFileURL } from "node:url";
import type { Benchmark } from "./benchmark.ts";

export async function loadBenchmarks(file: string): Promise<readonly Benchmark[]> {
  const { benchmarks } = (await import(pathToFileURL(file).href)) as { benchmarks?: unknown };
  if (Array.isArray(benchmarks) && benchmarks.every(isBenchmark)) return benchmarks;
  throw new TypeError(`Cannot use ${file}: it must export an array "benchmarks" made with benchmark()`);
}

function isBenchmark(value: unknown): value is Benchmark {
  const kind = (value as { kind?: unknown } | null)?.kind;
  return kind === "operation" || kind === "server";
}
