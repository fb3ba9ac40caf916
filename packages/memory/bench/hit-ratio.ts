// Prints the hit ratio of each policy on traces, beside the optimum, and the memory that an entry takes.
//
//   node --conditions=@proj/source packages/memory/bench/hit-ratio.ts [--trace FILE[=FORMAT]...] [--memory]
//
// Without a trace: those of test/support/traces.ts. FORMAT tells where the keys are: "1", "2"... for a column of text
// (default 1), "int32" or "int64" for big-endian integers.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { Cache, type PolicyName } from "../src/index.ts";
import { hitRatio, optimum } from "../test/support/hit-ratio.ts";
import { heldOutTraces, knownTraces, type Trace } from "../test/support/traces.ts";

const policies: readonly PolicyName[] = ["lru", "fifo", "lfu", "clock", "tlfu"];

const { values: options } = parseArgs({
  options: {
    trace: { type: "string", multiple: true },
    memory: { type: "boolean", default: false },
    "memory-of": { type: "string" },
  },
});

if (options["memory-of"] !== undefined) console.log(await memoryOf(options["memory-of"]));
else if (options.memory) printMemory();
else if (options.trace === undefined) {
  printRatios("Known traces", knownTraces());
  printRatios("Held-out traces", heldOutTraces());
} else printRatios("Traces from files", options.trace.map(readTrace));

function printRatios(title: string, traces: readonly Trace[]): void {
  console.log(`\n| ${title}, capacity | ${policies.join(" | ")} | optimum |`);
  console.log(`|---|${policies.map(() => "---:").join("|")}|---:|`);
  const saved = new Map<PolicyName, number[]>(policies.map((policy) => [policy, []]));
  for (const { name, keys, capacities } of traces) {
    for (const capacity of capacities) {
      const ratios = policies.map((policy) => hitRatio(policy, capacity, keys));
      const lru = ratios[0] as number;
      for (const [at, policy] of policies.entries()) {
        saved.get(policy)?.push(100 * (1 - (1 - (ratios[at] as number)) / (1 - lru)));
      }
      const cells = [...ratios, optimum(capacity, keys)].map((ratio) => (100 * ratio).toFixed(1));
      console.log(`| ${name}, ${capacity.toLocaleString("en")} | ${cells.join(" | ")} |`);
    }
  }
  const all = [...saved.values()];
  console.log(`| *misses saved against lru, mean, %* | ${all.map((each) => mean(each).toFixed(1)).join(" | ")} | |`);
  console.log(`| *worst, %* | ${all.map((each) => Math.min(...each).toFixed(1)).join(" | ")} | |`);
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

function readTrace(argument: string): Trace {
  const [path = "", format = "1"] = argument.split("=");
  const bytes = readFileSync(path);
  const keys = keysOf(bytes, format);
  const distinct = new Set(keys).size;
  const capacities = [0.01, 0.03, 0.1, 0.3].map((share) => Math.max(10, Math.round(share * distinct)));
  return { name: basename(path), keys, capacities };
}

function keysOf(bytes: Buffer, format: string): Float64Array {
  if (format === "int32") {
    return Float64Array.from({ length: Math.floor(bytes.length / 4) }, (_, index) => bytes.readUInt32BE(4 * index));
  }
  const numbers = new Map<string, number>();
  const numberOf = (key: string): number => {
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    return number;
  };
  if (format === "int64") {
    const { length } = bytes;
    return Float64Array.from({ length: Math.floor(length / 8) }, (_, at) =>
      numberOf(bytes.toString("hex", 8 * at, 8 * at + 8)),
    );
  }
  const keys: number[] = [];
  for (const line of bytes.toString("latin1").split("\n")) {
    const key = line.split(/[ ,\t]+/)[Number(format) - 1];
    if (key !== undefined && key !== "" && key !== "*") keys.push(numberOf(key));
  }
  return Float64Array.from(keys);
}

/** Of a million entries beside their keys and values, each cache in a process of its own. */
function printMemory(): void {
  console.log("| bytes per entry of a million | full | after a million more |");
  console.log("|---|---:|---:|");
  for (const name of ["lru-cache", ...policies]) {
    const args = ["--conditions=@proj/source", "--expose-gc", import.meta.filename, "--memory-of", name];
    const { stdout } = spawnSync(process.execPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
    console.log(`| ${name} | ${stdout.trim()} |`);
  }
}

async function memoryOf(name: string): Promise<string> {
  const gc = globalThis.gc as (() => void) | undefined; // called without arguments, it returns nothing
  if (gc === undefined) throw new Error("Cannot measure memory: run node with --expose-gc");
  const max = 1_000_000;
  const keys = Array.from({ length: 2 * max }, (_, index) => `key ${index}`);
  const value = {};
  const { LRUCache } = await import("lru-cache");
  const before = used(gc);
  const cache: { set(key: string, value: object): unknown; readonly size: number } =
    name === "lru-cache" ? new LRUCache({ max }) : new Cache({ max, policy: name as PolicyName });
  for (const key of keys.slice(0, max)) cache.set(key, value);
  const full = used(gc) - before;
  for (const key of keys.slice(max)) cache.set(key, value);
  const churned = used(gc) - before;
  if (cache.size !== max || keys.length !== 2 * max) throw new Error("all must be alive until here");
  return `${(full / max).toFixed(1)} | ${(churned / max).toFixed(1)}`;
}

function used(gc: () => void): number {
  for (let times = 0; times < 3; times++) gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
