// A scenario as a picture that can be read on light and dark backgrounds.
import type { ScenarioReport } from "./chaos-scenario-report.ts";
import { time } from "./chaos-scenario-text.ts";

const width = 760;
const height = 300;
const left = 52;
const right = 16;
const top = 64;
const bottom = 46;

/** Draws it. */
export function drawScenario(report: ScenarioReport): string {
  const { name, durationMs, buckets, bucketMs, events, brokenAt, healedAt, recoveryMs, verdicts } = report;
  const x = (ms: number): number => round(left + (Math.min(ms, durationMs) / durationMs) * (width - left - right));
  const most = Math.max(1, ...buckets.map(({ ok, failed }) => ok + failed));
  const y = (count: number): number => round(height - bottom - (count / most) * (height - top - bottom));
  const bar = (at: number, from: number, to: number, kind: string): string =>
    to === from
      ? ""
      : `<rect class="${kind}" x="${x(at)}" y="${y(to)}" width="${round(x(at + bucketMs) - x(at) - 0.6)}" height="${round(y(from) - y(to))}"/>`;

  const parts = [
    `<text class="title" x="${left}" y="22">${escapeXml(name)}</text>`,
    `<text x="${left}" y="40">${escapeXml(summary(report))}</text>`,
    ...legend(),
  ];
  if (brokenAt !== undefined) {
    const end = healedAt ?? durationMs;
    parts.push(
      `<rect class="broken" x="${x(brokenAt)}" y="${top}" width="${round(x(end) - x(brokenAt))}" height="${height - top - bottom}"/>`,
    );
  }
  for (const share of [0, 0.5, 1]) {
    const count = (most * share * 1_000) / bucketMs;
    parts.push(
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(most * share)}" y2="${y(most * share)}"/>`,
    );
    parts.push(`<text class="end" x="${left - 6}" y="${y(most * share) + 4}">${Math.round(count)}/s</text>`);
  }
  for (const { at, ok, failed } of buckets) parts.push(bar(at, 0, ok, "ok"), bar(at, ok, ok + failed, "failed"));
  for (const { at, tookMs, kind } of events) {
    if (kind === "note") continue;
    const place = x(kind === "heal" ? at + tookMs : at);
    parts.push(`<line class="${kind}" x1="${place}" x2="${place}" y1="${top}" y2="${height - bottom}"/>`);
  }
  if (healedAt !== undefined && recoveryMs !== undefined) {
    const place = x(healedAt + recoveryMs);
    parts.push(`<path class="recovered" d="M${place} ${top - 2}l-5 -9h10z"/>`);
  }
  for (let tick = 0; tick <= 4; tick++) {
    const at = (durationMs * tick) / 4;
    parts.push(
      `<text class="${tick === 4 ? "end" : "mid"}" x="${x(at)}" y="${height - bottom + 17}">${time(at)}</text>`,
    );
  }
  const missed = verdicts.filter(({ met }) => !met).length;
  const verdict = missed === 0 ? "all as expected" : `${missed} of ${verdicts.length} not as expected`;
  parts.push(`<text x="${left}" y="${height - 10}">${escapeXml(labels(report))}</text>`);
  parts.push(`<text class="end" x="${width - right}" y="${height - 10}">${verdict}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(`${name}: ${summary(report)}`)}">\n${style}\n${parts.filter((part) => part !== "").join("\n")}\n</svg>\n`;
}

/** The lighter colours are for dark backgrounds; both sets differ in brightness too, not in hue alone. */
const style = `<style>
text { font: 12px system-ui, sans-serif; fill: #57606a; }
.title { font-size: 16px; font-weight: 600; fill: #1f2328; }
.end { text-anchor: end; } .mid { text-anchor: middle; }
.ok { fill: #2f7dc4; } .failed { fill: #c2410c; } .broken { fill: #c2410c; opacity: .12; }
.grid { stroke: #8c959f; stroke-opacity: .35; } .fault { stroke: #c2410c; stroke-dasharray: 4 3; } .heal { stroke: #1a7f37; stroke-dasharray: 4 3; }
.recovered { fill: #1a7f37; }
@media (prefers-color-scheme: dark) {
text { fill: #9da7b3; } .title { fill: #e6edf3; }
.ok { fill: #58a6ff; } .failed { fill: #ff8a4c; } .broken { fill: #ff8a4c; }
.fault { stroke: #ff8a4c; } .heal { stroke: #3fb950; } .recovered { fill: #3fb950; }
}
</style>`;

function legend(): string[] {
  const items = [
    ["ok", "ok"],
    ["failed", "failed"],
    ["recovered", "recovered"],
  ] as const;
  return items.flatMap(([kind, text], index) => {
    const at = width - right - 210 + index * 66;
    return [
      `<rect class="${kind}" x="${at}" y="31" width="10" height="10"/>`,
      `<text x="${at + 14}" y="40">${text}</text>`,
    ];
  });
}

function summary({ calls, errors, healedAt, recoveryMs }: ScenarioReport): string {
  const failed = Object.values(errors).reduce((sum, count) => sum + count, 0);
  const numbers = `${calls.length} calls, ${failed} failed`;
  if (healedAt === undefined) return numbers;
  return `${numbers}, ${recoveryMs === undefined ? "not recovered" : `recovered in ${time(recoveryMs)}`}`;
}

function labels({ events }: ScenarioReport): string {
  const faults = [...new Set(events.filter(({ kind }) => kind === "fault").map(({ label }) => label))];
  const text = faults.join("; ");
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function round(number: number): number {
  return Math.round(number * 100) / 100;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
