// The results as tables for a README.
import type { Machine } from "./machine.ts";
import type { BenchmarkResult, CaseResult } from "./result.ts";
import type { Summary } from "./statistics.ts";

/** One table per benchmark, with a last line that says where it was measured and how to do it again. */
export function toMarkdown(results: readonly BenchmarkResult[], machine: Machine, command: string): string {
  const rounds = results[0]?.rounds.length ?? 0;
  const { node, processor, cores, system, date, load } = machine;
  const where = `Node.js ${node}, ${processor}, ${cores} cores, ${system}, load ${load}, ${date.slice(0, 10)}`;
  return [
    ...results.map(tableOf),
    `Median of ${rounds} alternating rounds, in brackets the lowest and highest; below 1 is cheaper than ours. ${where}. Again: \`${command}\``,
  ].join("\n\n");
}

function tableOf({ title, kind, ours, cases }: BenchmarkResult): string {
  const unit = kind === "server" ? "request" : "operation";
  const withBytes = cases.some(({ bytes }) => bytes !== undefined);
  const head = [
    title,
    `CPU time per ${unit}`,
    "times ours",
    `${unit}s per second`,
    ...(withBytes ? ["allocated"] : []),
  ];
  const rows = cases
    .toSorted((a, b) => a.timesOurs.median - b.timesOurs.median)
    .map((one) => [
      one.name === ours ? `**${one.name}**` : one.name,
      formatTime(one.cpuNs.median),
      one.name === ours ? "1" : formatRatio(one.timesOurs),
      Math.round(one.rate.median).toLocaleString("en"),
      ...(withBytes ? [one.bytes === undefined ? "" : formatBytes(one.bytes.median)] : []),
    ]);
  const lines = [head, head.map((_, column) => (column === 0 ? "---" : "---:")), ...rows];
  const goals = cases.flatMap((one) => describeGoal(one) ?? []);
  const table = lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  return goals.length === 0 ? table : `${table}\n\nGoals: ${goals.join("; ")}.`;
}

function describeGoal({ name, goal }: CaseResult): string | undefined {
  if (goal === undefined) return undefined;
  const is = goal.is < 0.1 ? goal.is.toPrecision(2) : goal.is.toFixed(2);
  return `at most ${Number(goal.atMost.toPrecision(2))} of ${name}, is ${is} (${goal.met ? "met" : "**missed**"})`;
}

export function formatRatio({ median, min, max }: Summary): string {
  return `${significant(median)} (${significant(min)}–${significant(max)})`;
}

export function formatTime(ns: number): string {
  if (ns >= 1e6) return `${significant(ns / 1e6)} ms`;
  if (ns >= 1e3) return `${significant(ns / 1e3)} µs`;
  return `${significant(ns)} ns`;
}

export function formatBytes(bytes: number): string {
  if (bytes >= 1e6) return `${significant(bytes / 1e6)} MB`;
  if (bytes >= 1e3) return `${significant(bytes / 1e3)} kB`;
  return `${Math.round(bytes)} B`;
}

// Three digits that count, never an exponent.
function significant(value: number): string {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.max(Math.abs(value), 0.01))));
  return value.toFixed(Math.min(digits, 3));
}
