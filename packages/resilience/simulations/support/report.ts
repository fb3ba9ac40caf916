// What a simulation tells, in numbers and as a picture.

/** What has to hold, and what came out. */
export interface Law {
  readonly what: string;
  readonly goal: string;
  readonly value: number;
  readonly holds: boolean;
}

/** A line or a set of bars, in the order in which they are drawn. */
export interface Plot {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Dashed lines are for orientation. */
  readonly style?: "line" | "dashed" | "step";
}

export interface LineChart {
  readonly kind: "lines";
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly plots: readonly Plot[];
  /** Spans of x in which something is wrong. */
  readonly spans?: readonly { readonly from: number; readonly to: number; readonly label: string }[];
  readonly yMax?: number;
}

export interface BarChart {
  readonly kind: "bars";
  readonly title: string;
  readonly y: string;
  /** The bars side by side in each group. */
  readonly series: readonly string[];
  readonly groups: readonly { readonly name: string; readonly values: readonly number[] }[];
  /** A line across, for orientation. */
  readonly mark?: { readonly value: number; readonly label: string };
  readonly unit?: string;
  readonly yMax?: number;
}

export type Chart = LineChart | BarChart;

export interface Report {
  readonly laws: readonly Law[];
  /** Columns of the first row name the others. */
  readonly table: readonly (readonly (string | number)[])[];
  readonly charts: Readonly<Record<string, Chart>>;
}

export interface Scenario {
  /** Of its files. */
  readonly name: string;
  readonly title: string;
  /** What happens, in one or two sentences. */
  readonly story: string;
  /** `scale` 1 is the whole thing; less takes less time. */
  readonly run: (seed: number, scale: number) => Promise<Report>;
}

export function atMost(what: string, limit: number, value: number): Law {
  return { what, goal: `<= ${limit}`, value, holds: value <= limit };
}

export function atLeast(what: string, limit: number, value: number): Law {
  return { what, goal: `>= ${limit}`, value, holds: value >= limit };
}
