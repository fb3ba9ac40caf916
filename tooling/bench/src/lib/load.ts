// Load generators: what makes the requests of a server benchmark.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface LoadTarget {
  readonly url: string;
  /** How long to send requests. */
  readonly seconds: number;
}

export interface LoadResult {
  /** Requests answered well. */
  readonly requests: number;
  /** Requests answered badly or not at all; any makes the benchmark fail. */
  readonly failed: number;
  /** How long it really took. */
  readonly seconds: number;
}

/** Sends requests to the target as fast as it answers them and counts. */
export type Load = (target: LoadTarget) => Promise<LoadResult>;

export interface LoadOptions {
  /** Connections open at the same time; default 64. */
  readonly connections?: number;
  /** Added to the server's URL; default `"/"`. */
  readonly path?: string;
  /** Sent as the body of POST requests; default: GET without a body. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface H2loadOptions extends LoadOptions {
  /** Requests in flight on one connection; default 1. */
  readonly streams?: number;
}

/** Makes requests over HTTP/1.1, one at a time on each connection, with one thread of wrk. */
export function wrk({ connections = 64, path = "/", body, headers = {} }: LoadOptions = {}): Load {
  const script = [
    ...(body === undefined ? [] : ['wrk.method = "POST"', `wrk.body = ${luaString(body)}`]),
    ...Object.entries(headers).map(([name, value]) => `wrk.headers[ ${luaString(name)} ] = ${luaString(value)}`),
  ].join("\n");
  return ({ url, seconds }) =>
    withFile(script, async (file) => {
      const duration = Math.ceil(seconds); // wrk counts whole seconds
      const args = ["--threads=1", `--connections=${connections}`, `--duration=${duration}s`, `--script=${file}`];
      return parseWrk(await run("wrk", [...args, new URL(path, url).href], duration));
    });
}

/** Makes requests over HTTP/2 with one thread of h2load. */
export function h2load({ connections = 64, streams = 1, path = "/", body, headers = {} }: H2loadOptions = {}): Load {
  return ({ url, seconds }) =>
    withFile(body ?? "", async (file) => {
      const args = [
        ...[`--duration=${seconds}`, `--clients=${connections}`, `--max-concurrent-streams=${streams}`, "--threads=1"],
        ...(body === undefined ? [] : [`--data=${file}`]),
        ...Object.entries(headers).map(([name, value]) => `--header=${name}: ${value}`),
        new URL(path, url).href,
      ];
      return parseH2load(await run("h2load", args, seconds));
    });
}

/** Reads wrk's report. */
export function parseWrk(report: string): LoadResult {
  const total = /(\d+) requests in ([\d.]+)(us|ms|s|m),/.exec(report);
  if (total === null) throw new Error(`Cannot read wrk's report: ${report}`);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(report) ?? [];
  const statuses = /Non-2xx or 3xx responses: (\d+)/.exec(report) ?? [];
  const bad = Number(statuses[1] ?? 0);
  return {
    requests: Number(total[1]) - bad,
    failed: bad + sum(sockets.slice(1)),
    seconds: toSeconds(total[2], total[3]),
  };
}

/** Reads h2load's report. */
export function parseH2load(report: string): LoadResult {
  const finished = /finished in ([\d.]+)(us|ms|s|m)\b/.exec(report);
  const requests = /(\d+) failed, (\d+) errored, (\d+) timeout/.exec(report);
  const statuses = /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(report);
  if (finished === null || requests === null || statuses === null) {
    throw new Error(`Cannot read h2load's report: ${report}`);
  }
  // It counts an answer of 400 and above as a failed request already.
  return {
    requests: Number(statuses[1]),
    failed: Number(requests[1]) + Number(statuses[2]),
    seconds: toSeconds(finished[1], finished[2]),
  };
}

async function run(tool: "h2load" | "wrk", args: readonly string[], seconds: number): Promise<string> {
  const { requireTool, runTool } = await import("@tooling/testing"); // heavy, and of no use to the other processes
  const { code, stdout, stderr } = await runTool(requireTool(tool), args, { timeout: 30_000 + seconds * 1_000 });
  // wrk complains about a script it cannot read, then makes plain GET requests and ends with 0.
  if (code !== 0 || (tool === "wrk" && stderr !== "")) {
    throw new Error(`${tool} ended with ${code}: ${stderr || stdout}`);
  }
  return stdout;
}

async function withFile<T>(text: string, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "proj-bench-"));
  try {
    const file = join(folder, "file");
    await writeFile(file, text);
    return await use(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

// Long brackets take every character as it is, but for a line break right after the first. As a key they need a space
// before them: "[[" would begin another one.
function luaString(text: string): string {
  return `[=====[\n${text}]=====]`;
}

function toSeconds(value: string | undefined, unit: string | undefined): number {
  const factor = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }[unit ?? ""] ?? Number.NaN;
  return Number(value) * factor;
}

function sum(digits: readonly string[]): number {
  return digits.reduce((total, value) => total + Number(value), 0);
}
