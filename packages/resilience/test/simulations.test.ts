// The simulations at a tenth of their size: every law holds, and the same numbers come out as are committed.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scenarios, seed, smallScale } from "../simulations/scenarios.ts";
import { draw } from "../simulations/support/chart.ts";
import type { Report } from "../simulations/support/report.ts";

const folder = join(import.meta.dirname, "../simulations");

interface Result extends Pick<Report, "laws" | "table"> {
  readonly small: Pick<Report, "laws" | "table">;
}

for (const { name, title, run } of scenarios) {
  test(`${title}: the laws hold, and the committed results come again from their seed`, async () => {
    const committed = JSON.parse(readFileSync(join(folder, "results", `${name}.json`), "utf8")) as Result;
    const { laws, table, charts } = await run(seed, smallScale);

    // Another number after a change of a policy is no mistake: look at it, then run simulations/main.ts.
    expect(JSON.parse(JSON.stringify({ laws, table }))).toEqual(committed.small);
    expect([...laws, ...committed.laws].filter(({ holds }) => !holds)).toEqual([]);
    for (const chart of Object.values(charts)) expect(draw(chart)).not.toMatch(/NaN|undefined|Infinity/);
  });
}
