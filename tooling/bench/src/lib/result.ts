// What a benchmark found: the raw samples, and what they say about ours and each peer.
import type { Benchmark } from "./benchmark.ts";
import type { Round } from "./run-benchmark.ts";
import { type Summary, summarize, summarizeRatios } from "./statistics.ts";

export interface CaseResult {
  readonly name: string;
  readonly cpuNs: Summary;
  readonly rate: Summary;
  readonly bytes: Summary | undefined;
  /** The CPU time of this case in multiples of ours, over the rounds. */
  readonly timesOurs: Summary;
  /** What ours may cost at most in multiples of this case, and what it does cost (median). */
  readonly goal: { readonly atMost: number; readonly is: number; readonly met: boolean } | undefined;
}

export interface BenchmarkResult {
  readonly file: string;
  readonly title: string;
  readonly kind: Benchmark["kind"];
  readonly ours: string;
  readonly cases: readonly CaseResult[];
  /** One object per round, with the cases in the order they ran. */
  readonly rounds: readonly object[];
}

export function evaluate(file: string, benchmark: Benchmark, rounds: readonly Round[]): BenchmarkResult {
  const costs = (name: string): number[] => rounds.flatMap((round) => round.get(name)?.cpuNs ?? []);
  const cases = Object.keys(benchmark.cases).map((name): CaseResult => {
    const samples = rounds.flatMap((round) => round.get(name) ?? []);
    const bytes = samples.flatMap((sample) => sample.bytes ?? []);
    const timesOurs = summarizeRatios(costs(name), costs(benchmark.ours));
    const atMost = benchmark.goal?.[name];
    const is = 1 / timesOurs.median;
    return {
      name,
      cpuNs: summarize(samples.map(({ cpuNs }) => cpuNs)),
      rate: summarize(samples.map(({ rate }) => rate)),
      bytes: bytes.length === 0 ? undefined : summarize(bytes),
      timesOurs,
      goal: atMost === undefined ? undefined : { atMost, is, met: is <= atMost },
    };
  });
  const { title, kind, ours } = benchmark;
  return { file, title, kind, ours, cases, rounds: rounds.map((round) => Object.fromEntries(round)) };
}
