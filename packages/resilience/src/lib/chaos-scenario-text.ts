// A scenario in words.
import type { ScenarioReport } from "./chaos-scenario-report.ts";

const bars = ["·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/** The report as text, some twenty lines of up to 80 columns. */
export function writeScenario(report: ScenarioReport): string {
  const { name, passed, events, buckets, calls, errors, verdicts } = report;
  const failed = Object.values(errors).reduce((sum, count) => sum + count, 0);
  const codes = Object.entries(errors).map(([code, count]) => `${code} ${count}`);
  const most = Math.max(1, ...buckets.map(({ ok, failed }) => Math.max(ok, failed)));
  const bar = (count: number): string => bars[count === 0 ? 0 : Math.ceil((count / most) * 8)] ?? "";
  const left = [
    report.skipped > 0 ? `, ${report.skipped} skipped` : "",
    report.unfinished > 0 ? `, ${report.unfinished} unfinished` : "",
  ];
  return [
    `${name}: ${passed ? "as expected" : "NOT AS EXPECTED"}, ${recovery(report)}`,
    "",
    `  ok      ${buckets.map(({ ok }) => bar(ok)).join("")}`,
    `  failed  ${buckets.map(({ failed }) => bar(failed)).join("")}`,
    `          ${marks(report)}`,
    `          one column is ${time(report.bucketMs)}; ! fault, + heal`,
    "",
    ...events.map(({ at, kind, label }) => `  ${time(at).padStart(9)}  ${kind.padEnd(5)}  ${label}`),
    "",
    `  ${calls.length} calls, ${failed} failed${codes.length > 0 ? ` (${codes.join(", ")})` : ""}${left.join("")}`,
    ...verdicts.map(({ name, met, detail }) => `  ${met ? "yes" : "NO "}  ${name}: ${detail}`),
  ].join("\n");
}

/** Milliseconds for people. */
export function time(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}

function recovery({ healedAt, recoveryMs }: ScenarioReport): string {
  if (healedAt === undefined) return "never healed";
  return recoveryMs === undefined ? "not recovered" : `recovered in ${time(recoveryMs)}`;
}

function marks({ events, buckets, bucketMs }: ScenarioReport): string {
  const line = buckets.map(() => " ");
  for (const { at, tookMs, kind } of events) {
    if (kind === "note") continue;
    const place = Math.floor((kind === "heal" ? at + tookMs : at) / bucketMs);
    line[Math.min(line.length - 1, place)] = kind === "fault" ? "!" : "+";
  }
  return line.join("").trimEnd();
}
