// Runs one benchmark: checks that all cases do the same, then measures them in turn, round after round.
import type { Benchmark } from "./benchmark.ts";
import { Child, runJob } from "./child-process.ts";
import type { CaseAddress } from "./job.ts";
import type { LoadResult } from "./load.ts";
import type { Sample } from "./measure-operation.ts";
import { orderOfRound } from "./statistics.ts";

/** How long and how often to measure; times in milliseconds. */
export interface Effort {
  readonly rounds: number;
  readonly operation: { readonly warmup: number; readonly duration: number };
  readonly server: { readonly warmup: number; readonly duration: number };
}

/** One round: the sample of each case, in the order they were taken. */
export type Round = ReadonlyMap<string, Sample>;

/**
 * Measures all cases of a benchmark alternately, each sample in a process of its own.
 * Rejects when a case throws, loses a request, or gives another result than ours.
 */
export async function runBenchmark(
  file: string,
  benchmark: Benchmark,
  effort: Effort,
  onStep: (step: string) => void,
): Promise<readonly Round[]> {
  const names = Object.keys(benchmark.cases);
  const addressOf = (name: string): CaseAddress => ({ file, title: benchmark.title, name });

  const results = new Map<string, unknown>();
  for (const name of names) {
    onStep(`checking ${name}`);
    results.set(name, await checkCase(benchmark.kind, addressOf(name)));
  }
  const expected = results.get(benchmark.ours);
  for (const [name, result] of results) {
    if (result === expected) continue;
    throw new Error(`Cannot compare "${name}" with "${benchmark.ours}": it gives ${result}, ours ${expected}`);
  }

  const measure = benchmark.kind === "operation" ? measureOperationCase : measureServerCase;
  const rounds: Round[] = [];
  for (let round = 0; round < effort.rounds; round++) {
    const samples = new Map<string, Sample>();
    for (const name of orderOfRound(names, round)) {
      onStep(`round ${round + 1} of ${effort.rounds}, ${name}`);
      samples.set(name, await measure(addressOf(name), effort));
    }
    rounds.push(samples);
  }
  return rounds;
}

async function checkCase(kind: Benchmark["kind"], address: CaseAddress): Promise<unknown> {
  if (kind === "operation") return await runJob({ ...address, task: "check-operation" });
  await using server = new Child({ ...address, task: "serve" });
  const url = (await server.receive()) as string;
  return await runJob({ ...address, task: "check-server", url });
}

async function measureOperationCase(address: CaseAddress, { operation }: Effort): Promise<Sample> {
  return (await runJob({ ...address, task: "measure-operation", options: operation })) as Sample;
}

async function measureServerCase(address: CaseAddress, { server: times }: Effort): Promise<Sample> {
  await using server = new Child({ ...address, task: "serve" });
  const url = (await server.receive()) as string;
  const load = async (ms: number): Promise<LoadResult> =>
    (await runJob({ ...address, task: "load", target: { url, seconds: ms / 1_000 } })) as LoadResult;

  await load(times.warmup);
  const before = await server.cpuTime();
  const { requests, failed, seconds } = await load(times.duration);
  const used = (await server.cpuTime()) - before;
  if (failed > 0 || requests === 0) {
    throw new Error(`"${address.name}" cannot be measured: ${failed} requests failed, ${requests} were answered`);
  }
  return { cpuNs: (used * 1_000) / requests, rate: requests / seconds };
}
