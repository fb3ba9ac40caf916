// Runs the simulations, and writes their results and pictures: all of them, or those that are named.
//
//   node --conditions=@proj/source packages/resilience/simulations/main.ts [scenario...]
//
// Exit code 0 when every law holds, 1 when one does not, 2 for a wrong command line.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scenarios, seed, smallScale } from "./scenarios.ts";
import { draw } from "./support/chart.ts";
import type { Law, Report, Scenario } from "./support/report.ts";

interface Result {
  readonly title: string;
  readonly story: string;
  readonly seed: number;
  readonly laws: readonly Law[];
  readonly table: Report["table"];
  /** What a test repeats: the same at a tenth of the size. */
  readonly small: Pick<Report, "laws" | "table">;
}

const names = process.argv.slice(2);
const unknown = names.filter((name) => scenarios.every((scenario) => scenario.name !== name));
if (unknown.length > 0) {
  console.log(`Unknown scenario ${unknown.join(", ")}. There are: ${scenarios.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}

let failed = 0;
for (const scenario of scenarios) {
  if (names.length > 0 && !names.includes(scenario.name)) continue;
  const started = performance.now();
  const { laws } = await write(scenario);
  console.log(`${scenario.title} (${((performance.now() - started) / 1_000).toFixed(1)} s)`);
  for (const { what, goal, value, holds } of laws) {
    if (!holds) failed++;
    console.log(`  ${holds ? "ok  " : "FAIL"} ${what}: ${value} (${goal})`);
  }
}
writeFileSync(join(import.meta.dirname, "RESULTS.md"), markdown());
process.exitCode = failed === 0 ? 0 : 1;

async function write({ name, title, story, run }: Scenario): Promise<Result> {
  const { laws, table, charts } = await run(seed, 1);
  const small = await run(seed, smallScale);
  const result: Result = { title, story, seed, laws, table, small: { laws: small.laws, table: small.table } };
  writeFileSync(fileOf(name), `${json(result)}\n`);
  for (const [chart, content] of Object.entries(charts)) {
    writeFileSync(join(import.meta.dirname, "../docs", `${chart}.svg`), draw(content));
  }
  return result;
}

/** As the formatter of this repository writes it: a row of numbers on one line, if there is room. */
function json(value: unknown, indent = ""): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const deeper = `${indent}  `;
  if (!Array.isArray(value)) {
    const lines = Object.entries(value).map(([key, each]) => `${deeper}${JSON.stringify(key)}: ${json(each, deeper)}`);
    return `{\n${lines.join(",\n")}\n${indent}}`;
  }
  const items = value.map((item) => json(item, deeper));
  const line = `[${items.join(", ")}]`;
  const isRow = value.every((item) => typeof item !== "object") && indent.length + line.length < 120;
  return isRow ? line : `[\n${items.map((item) => deeper + item).join(",\n")}\n${indent}]`;
}

function fileOf(name: string): string {
  return join(import.meta.dirname, "results", `${name}.json`);
}

/** Of all results that there are, those of other runs included. */
function markdown(): string {
  const sections = scenarios.map(({ name }) => {
    const { title, story, laws, table } = JSON.parse(readFileSync(fileOf(name), "utf8")) as Result;
    const [header = [], ...rows] = table;
    const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
    return [
      `## ${title}\n\n${story}\n`,
      line(header),
      line(header.map((_, index) => (index === 0 ? "---" : "---:"))),
      ...rows.map(line),
      "",
      ...laws.map(({ what, goal, value, holds }) => `- ${holds ? "holds" : "**fails**"}: ${what} ${goal}: ${value}`),
      "",
    ].join("\n");
  });
  return `# Results of the simulations\n\nMade by \`simulations/main.ts\` from seed ${seed}: the policies are the real ones, time and chance are not.\n\n${sections.join("\n")}`;
}
