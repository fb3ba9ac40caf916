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

export interface H2loadOptions {
  /** Default `"http/1.1"`. */
  readonly protocol?: "http/1.1" | "h2";
  /** Connections open at the same time; default 64. */
  readonly connections?: number;
  /** Requests in flight on one connection; default 1. HTTP/1.1 pipelines them, which servers may refuse. */
  readonly streams?: number;
  /** Added to the server's URL; default `"/"`. */
  readonly path?: string;
  /** Sent as the body of POST requests; default: GET without a body. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Makes requests with h2load, one thread of a process that costs far less than the servers it asks. */
export function h2load(options: H2loadOptions = {}): Load {
  const { protocol = "http/1.1", connections = 64, streams = 1, path = "/", body, headers = {} } = options;
  return async ({ url, seconds }) => {
    const { requireTool, runTool } = await import("@tooling/testing"); // heavy, and of no use to the other processes
    const folder = await mkdtemp(join(tmpdir(), "proj-bench-"));
    try {
      const bodyFile = join(folder, "body");
      if (body !== undefined) await writeFile(bodyFile, body);
      const args = [
        ...[`--duration=${seconds}`, `--clients=${connections}`, `--max-concurrent-streams=${streams}`, "--threads=1"],
        ...(protocol === "http/1.1" ? ["--h1"] : []),
        ...(body === undefined ? [] : [`--data=${bodyFile}`]),
        ...Object.entries(headers).map(([name, value]) => `--header=${name}: ${value}`),
        new URL(path, url).href,
      ];
      const { code, stdout, stderr } = await runTool(requireTool("h2load"), args, {
        timeout: 30_000 + seconds * 1_000,
      });
      if (code !== 0) throw new Error(`h2load ended with ${code}: ${stderr || stdout}`);
      return parseH2load(stdout);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

/** Reads h2load's report. */
export function parseH2load(report: string): LoadResult {
  const finished = /finished in ([\d.]+)(us|ms|s|m)\b/.exec(report);
  const statuses = /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(report);
  const requests = /(\d+) failed, (\d+) errored, (\d+) timeout/.exec(report);
  if (finished === null || statuses === null || requests === null)
    throw new Error(`Cannot read h2load's report: ${report}`);
  const unit = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }[finished[2] as "us" | "ms" | "s" | "m"];
  return {
    requests: Number(statuses[1]),
    failed: Number(requests[1]) + Number(statuses[2]) + Number(statuses[3]) + Number(statuses[4]),
    seconds: Number(finished[1]) * unit,
  };
}
