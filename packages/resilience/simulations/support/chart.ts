// Pictures of results: plain SVG that can be read on light and dark pages, large and small.
import type { BarChart, Chart, LineChart, Plot } from "./report.ts";

const width = 640;
const plot = { left: 64, right: 620, top: 84, bottom: 286 };

const style = `
  .page { fill: #ffffff; stroke: #d1d9e0 }
  text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #59636e }
  .title { font-size: 17px; font-weight: 600; fill: #1f2328 }
  .value { font-size: 13px; fill: #1f2328 }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .span { fill: #59636e; fill-opacity: .12 }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round }
  .aside { stroke: #818b98; stroke-width: 1.5; stroke-dasharray: 5 5 }
  .bad { stroke: #d1242f } .fair { stroke: #bf8700 } .good { stroke: #0969da }
  .fill-bad { fill: #d1242f } .fill-fair { fill: #bf8700 } .fill-good { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #3d444d }
    text { fill: #9198a1 }
    .title, .value { fill: #f0f6fc }
    .grid { stroke: #2f353d }
    .span { fill: #9198a1; fill-opacity: .18 }
    .aside { stroke: #9198a1 }
    .bad { stroke: #ff7b72 } .fair { stroke: #e3b341 } .good { stroke: #58a6ff }
    .fill-bad { fill: #ff7b72 } .fill-fair { fill: #e3b341 } .fill-good { fill: #58a6ff }
  }`;

/** An SVG document. */
export function draw(chart: Chart): string {
  return chart.kind === "lines" ? drawLines(chart) : drawBars(chart);
}

function drawLines(chart: LineChart): string {
  const solid = chart.plots.filter(({ style: kind }) => kind !== "dashed");
  const points = chart.plots.flatMap((each) => each.points);
  const xs = scale(Math.min(...points.map(([x]) => x)), Math.max(...points.map(([x]) => x)), plot.left, plot.right);
  const yMax = chart.yMax ?? Math.max(...points.map(([, y]) => y));
  const ticks = ticksTo(yMax);
  const ys = scale(0, ticks.at(-1) as number, plot.bottom, plot.top); // there are two at least
  const spans = (chart.spans ?? []).map(({ from, to, label }) => {
    const middle = (xs(from) + xs(to)) / 2;
    return `<rect class="span" x="${px(xs(from))}" y="${plot.top}" width="${px(xs(to) - xs(from))}" height="${plot.bottom - plot.top}"/>
<text x="${px(Math.max(middle, plot.left + label.length * 3.6))}" y="${plot.top + 17}" text-anchor="middle">${escapeXml(label)}</text>`;
  });
  const last = points.reduce((most, [x]) => Math.max(most, x), 0);
  const across = ticksTo(last, 6)
    .filter((x) => x <= last)
    .map((x) => `<text x="${px(xs(x))}" y="${plot.bottom + 20}" text-anchor="middle">${x}</text>`);
  const legend = chart.plots.map((each) => ({
    name: each.name,
    tone: toneOf(each, solid),
    dashed: each.style === "dashed",
  }));
  return page(chart.title, [
    ...spans,
    ...gridOf(ticks, ys),
    ...across,
    `<text x="${plot.right}" y="${plot.bottom + 40}" text-anchor="end">${escapeXml(chart.x)}</text>`,
    `<text x="16" y="${plot.bottom + 40}">${escapeXml(chart.y)}</text>`,
    ...chart.plots.map((each) => `<path class="line ${toneOf(each, solid)}" d="${pathOf(each, xs, ys)}"/>`),
    ...legendOf(legend),
  ]);
}

function drawBars(chart: BarChart): string {
  const values = chart.groups.flatMap((group) => group.values);
  const ticks = ticksTo(chart.yMax ?? Math.max(...values) * 1.06);
  const ys = scale(0, ticks.at(-1) as number, plot.bottom, plot.top); // there are two at least
  const room = (plot.right - plot.left) / chart.groups.length;
  const bar = Math.min(46, (room * 0.8) / chart.series.length);
  const bars = chart.groups.flatMap(({ name, values: group }, index) => {
    const middle = plot.left + room * (index + 0.5);
    const start = middle - (bar * group.length) / 2;
    return [
      ...group.map((value, at) => {
        const x = start + bar * at;
        const rectangle = `<rect class="fill-${toneAt(at, chart.series.length)}" x="${px(x + 1)}" y="${px(ys(value))}" width="${px(bar - 2)}" height="${px(Math.max(1, plot.bottom - ys(value)))}" rx="2"/>`;
        const label = `<text class="value" x="${px(x + bar / 2)}" y="${px(ys(value) - 5)}" text-anchor="middle">${short(value)}</text>`;
        return bar >= 26 ? rectangle + label : rectangle;
      }),
      `<text x="${px(middle)}" y="${plot.bottom + 20}" text-anchor="middle">${escapeXml(name)}</text>`,
    ];
  });
  const mark = chart.mark && [
    `<line class="aside" x1="${plot.left}" x2="${plot.right}" y1="${px(ys(chart.mark.value))}" y2="${px(ys(chart.mark.value))}"/>`,
    `<text x="${plot.right}" y="${px(ys(chart.mark.value) - 5)}" text-anchor="end">${escapeXml(chart.mark.label)}</text>`,
  ];
  const unit = chart.unit === undefined ? "" : `, ${chart.unit}`;
  const legend = chart.series.map((name, at) => ({ name, tone: toneAt(at, chart.series.length), dashed: false }));
  return page(chart.title, [
    ...gridOf(ticks, ys),
    ...bars,
    ...(mark ?? []),
    `<text x="16" y="${plot.bottom + 40}">${escapeXml(chart.y + unit)}</text>`,
    ...legendOf(legend),
  ]);
}

function page(title: string, parts: readonly string[]): string {
  const height = plot.bottom + 54;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}">
<style>${style}
</style>
<rect class="page" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>
<text class="title" x="16" y="30">${escapeXml(title)}</text>
${parts.join("\n")}
</svg>
`;
}

interface LegendEntry {
  readonly name: string;
  readonly tone: string;
  readonly dashed: boolean;
}

function legendOf(entries: readonly LegendEntry[]): string[] {
  let x = 16;
  return entries.map(({ name, tone }) => {
    const entry = `<line class="line ${tone}" x1="${x + 2}" x2="${x + 20}" y1="53" y2="53"/><text x="${x + 27}" y="58">${escapeXml(name)}</text>`;
    x += 27 + Math.ceil(name.length * 7.1) + 18;
    return entry;
  });
}

function gridOf(ticks: readonly number[], ys: (y: number) => number): string[] {
  return ticks.map(
    (tick) =>
      `<line class="grid" x1="${plot.left}" x2="${plot.right}" y1="${px(ys(tick))}" y2="${px(ys(tick))}"/><text x="${plot.left - 8}" y="${px(ys(tick) + 5)}" text-anchor="end">${short(tick)}</text>`,
  );
}

/** Ours comes last, and what is worst without it first. */
function toneAt(index: number, count: number): string {
  if (index === count - 1) return "good";
  return index === 0 ? "bad" : "fair";
}

function toneOf(each: Plot, solid: readonly Plot[]): string {
  return each.style === "dashed" ? "aside" : toneAt(solid.indexOf(each), solid.length);
}

function pathOf({ points, style: kind }: Plot, xs: (x: number) => number, ys: (y: number) => number): string {
  let previous: number | undefined;
  return points
    .map(([x, y], index) => {
      const [at, height] = [px(xs(x)), px(ys(y))];
      const command = index === 0 ? "M" : "L";
      const step = kind === "step" && previous !== undefined ? `L${at} ${previous}` : "";
      previous = height;
      return `${step}${command}${at} ${height}`;
    })
    .join("");
}

function scale(from: number, to: number, start: number, end: number): (value: number) => number {
  return (value) => start + ((value - from) / (to - from)) * (end - start);
}

/** Round numbers from 0 to above the highest value. */
function ticksTo(highest: number, most = 5): number[] {
  const rough = highest / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough) as number; // 10 is enough
  const count = Math.ceil(highest / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6)));
}

function short(value: number): string {
  return value >= 1_000 ? value.toLocaleString("en") : String(Number(value.toPrecision(3)));
}

function px(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
