// Measures memory, pauses and time of the structures that promise to need less of them, each in a process of its own,
// and prints tables: `node --conditions=@proj/source packages/memory/bench/footprint.ts [megabytes] [rounds] [filter]`.
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { join } from "node:path";
import type { Measures } from "./footprint-cases.ts";

interface Comparison {
  readonly title: string;
  readonly ours: readonly string[];
  readonly other: readonly string[];
  /** At most this share of what the other needs, by column. */
  readonly goals: Readonly<Record<string, number>>;
}

const megabytes = process.argv[2] ?? "256";
const rounds = Number(process.argv[3] ?? "1");
const filter = process.argv[4] ?? "";

const comparisons: readonly Comparison[] = [
  {
    title: "256 B values: `ByteCache.get` against lru-cache of Buffers",
    ours: ["values", "get", megabytes, "256"],
    other: ["values", "lru", megabytes, "256"],
    goals: { "RSS / budget": 0.6, "GC, ms": 0.1, "longest pause, ms": 0.05 },
  },
  {
    title: "1 KiB values: `ByteCache.get` against lru-cache of Buffers",
    ours: ["values", "get", megabytes, "1024"],
    other: ["values", "lru", megabytes, "1024"],
    goals: {},
  },
  {
    title: "16 KiB values: `ByteCache.read` against lru-cache of Buffers",
    ours: ["values", "read", megabytes, "16384"],
    other: ["values", "lru", megabytes, "16384"],
    goals: { "RSS / budget": 1.05, "get, ns": 1 / 1.5 },
  },
  {
    title: "16 KiB values: `ByteCache.get` against lru-cache of Buffers",
    ours: ["values", "get", megabytes, "16384"],
    other: ["values", "lru", megabytes, "16384"],
    goals: {},
  },
  ...[4, 64, 1_024].map((kibibytes) => ({
    title: `Buffer of ${kibibytes} KiB, taken, filled and given back: \`BufferPool\` against \`allocUnsafe\``,
    ours: ["buffers", "pool", `${kibibytes * 1_024}`, "1"],
    other: ["buffers", "plain", `${kibibytes * 1_024}`, "1"],
    goals: kibibytes === 64 ? { "time, ns": 1 / 3 } : {},
  })),
  {
    title: "A million rows of six numbers: `records` against an array of objects",
    ours: ["rows", "records", "numbers"],
    other: ["rows", "objects", "numbers"],
    goals: { "build, ns a row": 1 / 4, "all threads, ns a row": 1 / 4, "memory, B a row": 1 / 4 },
  },
  {
    title: "A million rows with two labels: `records` against an array of objects",
    ours: ["rows", "records", "labels"],
    other: ["rows", "objects", "labels"],
    goals: {},
  },
  {
    title: "A million decoded texts of 20 bytes, 200 distinct: `Interner` against `toString`",
    ours: ["texts", "interner"],
    other: ["texts", "plain"],
    goals: { "decode, ns": 1.3, "memory, B a text": 1 / 5 },
  },
  {
    title: "300,000 live objects: `WeakCache` against `Map`",
    ours: ["references", "weak"],
    other: ["references", "map"],
    goals: {},
  },
];

const cases = join(import.meta.dirname, "footprint-cases.ts");

function measure(job: readonly string[]): Measures {
  const flags = ["--conditions=@proj/source", "--max-old-space-size=4096"];
  return JSON.parse(execFileSync(process.execPath, [...flags, cases, ...job], { encoding: "utf8" })) as Measures;
}

/** Of each column by itself. */
function median(all: readonly Measures[]): Measures {
  const columns = Object.keys(all[0] ?? {});
  return Object.fromEntries(
    columns.map((column) => {
      const sorted = all.map((measures) => measures[column] ?? Number.NaN).sort((a, b) => a - b);
      return [column, sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN];
    }),
  );
}

function short(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(value >= 10 ? 3 : 2);
}

function verdict(ratio: number, goal: number | undefined): string {
  if (goal === undefined) return ratio > 1 ? "loses" : "";
  return `${ratio <= goal ? "met" : "**missed**"}: at most ${goal.toFixed(2)}×`;
}

console.log(
  `Node ${process.version}, ${cpus()[0]?.model ?? "unknown CPU"}, budget ${megabytes} MiB, median of ${rounds}\n`,
);
for (const { title, ours, other, goals } of comparisons) {
  if (!title.toLowerCase().includes(filter.toLowerCase())) continue;
  const both = Array.from({ length: rounds }, () => [measure(ours), measure(other)] as const);
  const mine = median(both.map(([one]) => one));
  const theirs = median(both.map(([, one]) => one));
  console.log(`**${title}**\n\n| | ours | other | ratio | goal |\n| --- | ---: | ---: | ---: | --- |`);
  for (const [column, value] of Object.entries(mine)) {
    const against = theirs[column] ?? Number.NaN;
    const ratio = value / against;
    console.log(
      `| ${column} | ${short(value)} | ${short(against)} | ${short(ratio)}× | ${verdict(ratio, goals[column])} |`,
    );
  }
  console.log();
}
