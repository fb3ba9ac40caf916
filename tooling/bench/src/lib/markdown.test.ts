import { expect, test } from "vitest";
import { benchmark } from "./benchmark.ts";
import type { Machine } from "./machine.ts";
import { formatBytes, formatTime, toMarkdown } from "./markdown.ts";
import { evaluate } from "./result.ts";

const machine: Machine = {
  node: "26.0.0",
  system: "Linux x64",
  processor: "Some CPU",
  cores: 2,
  memoryBytes: 8e9,
  date: "2026-01-02T03:04:05Z",
  load: 0.1,
};

test("a table tells cost, ratio with its range, rate and goal, the cheapest first", () => {
  const operation = () => () => 1;
  const sum = benchmark("sum", {
    ours: "mine",
    cases: { slow: operation, mine: operation, fast: operation },
    goal: { slow: 0.5, fast: 1 },
  });
  const rounds = [1, 2, 3].map(
    (slowness) =>
      new Map([
        ["slow", { cpuNs: 300 * slowness, rate: 1_000 }],
        ["mine", { cpuNs: 100 * slowness, rate: 3_000, bytes: 64 }],
        ["fast", { cpuNs: 50 * slowness, rate: 1_234_567 }],
      ]),
  );
  expect(toMarkdown([evaluate("sum.bench.ts", sum, rounds)], machine, "npm run bench -- sum")).toMatchInlineSnapshot(`
    "| sum | CPU time per operation | times ours | operations per second | allocated |
    | --- | ---: | ---: | ---: | ---: |
    | fast | 100 ns | 0.500 (0.500–0.500) | 1,234,567 |  |
    | **mine** | 200 ns | 1 | 3,000 | 64 B |
    | slow | 600 ns | 3.00 (3.00–3.00) | 1,000 |  |

    Goals: at most 0.5 of slow, is 0.33 (met); at most 1 of fast, is 2.00 (**missed**).

    Median of 3 alternating rounds, in brackets the lowest and highest; below 1 is cheaper than ours. Node.js 26.0.0, Some CPU, 2 cores, Linux x64, load 0.1, 2026-01-02. Again: \`npm run bench -- sum\`"
  `);
});

test("numbers keep three digits that count and a fitting unit", () => {
  expect([0.123, 1, 45.67, 999, 1_500, 2_345_678, 3e9].map(formatTime)).toMatchInlineSnapshot(`
    [
      "0.123 ns",
      "1.00 ns",
      "45.7 ns",
      "999 ns",
      "1.50 µs",
      "2.35 ms",
      "3000 ms",
    ]
  `);
  expect([0, 63.6, 1_234, 5_678_901].map(formatBytes)).toEqual(["0 B", "64 B", "1.23 kB", "5.68 MB"]);
});
