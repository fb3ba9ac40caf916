// A benchmark: one thing done in several ways, ours and those of named peers.
import type { Load } from "./load.ts";

/** A benchmark of either kind, as a `*.bench.ts` file exports them in its array `benchmarks`. */
export type Benchmark = OperationBenchmark | ServerBenchmark;

/** What is measured: called again and again, awaited each time where it returns a promise. */
export type Operation = () => unknown;

interface Comparison {
  /** The case that all others are compared with. */
  readonly ours: string;
  /** By peer: what ours may cost at most, in multiples of that peer (`{ "p-limit": 0.5 }`: half of it). */
  readonly goal?: Readonly<Record<string, number>>;
}

export interface OperationBenchmarkOptions extends Comparison {
  /** By name: a function that sets the case up and returns the operation. Only this case runs in its process. */
  readonly cases: Readonly<Record<string, () => Operation | Promise<Operation>>>;
  /** How many operations one call does; default 1. The results are for one operation. */
  readonly operationsPerCall?: number;
  /** What to compare between the cases before they are measured, made of the result of one call; default: nothing. */
  readonly check?: (result: unknown) => unknown;
}

export interface ServerBenchmarkOptions extends Comparison {
  /** By name: a function that starts the server on a free port and returns its URL. Its process ends with the round. */
  readonly cases: Readonly<Record<string, () => string | Promise<string>>>;
  /** Sends requests to the URL from a process of its own, such as `wrk({ connections: 64 })`. */
  readonly load: Load;
  /** What to compare between the servers before they are measured, such as an answer's body; default: nothing. */
  readonly check?: (url: string) => unknown;
}

export interface OperationBenchmark extends OperationBenchmarkOptions {
  readonly kind: "operation";
  readonly title: string;
}

export interface ServerBenchmark extends ServerBenchmarkOptions {
  readonly kind: "server";
  readonly title: string;
}

/**
 * A benchmark of operations within one process.
 *
 * @example
 * ```ts
 * export const benchmarks = [
 *   benchmark("1,000 tasks, 10 at a time", {
 *     ours: "@proj/concurrency",
 *     operationsPerCall: 1_000,
 *     goal: { "p-limit": 0.5 },
 *     cases: {
 *       "@proj/concurrency": () => {
 *         const run = limit(10);
 *         return () => Promise.all(tasks.map((task) => run(task)));
 *       },
 *       "p-limit": async () => {
 *         const { default: pLimit } = await import("p-limit");
 *         const run = pLimit(10);
 *         return () => Promise.all(tasks.map((task) => run(task)));
 *       },
 *     },
 *     check: (result) => result,
 *   }),
 * ];
 * ```
 */
export function benchmark(title: string, options: OperationBenchmarkOptions): OperationBenchmark {
  const { operationsPerCall = 1 } = options;
  if (!Number.isInteger(operationsPerCall) || operationsPerCall < 1) {
    const found = `operationsPerCall must be a positive integer, got ${operationsPerCall}`;
    throw new RangeError(`Cannot make the benchmark "${title}": ${found}`);
  }
  checkNames(title, options);
  return { kind: "operation", title, ...options };
}

/**
 * A benchmark of servers, each in a process of its own, under the same load.
 *
 * @example
 * ```ts
 * export const benchmarks = [
 *   serverBenchmark("GET of 27 bytes of JSON over HTTP/1.1", {
 *     ours: "@proj/http3",
 *     load: wrk({ connections: 64 }),
 *     cases: {
 *       "@proj/http3": async () => (await serve(() => Response.json({ hello: "world" }))).url,
 *       "node:http": async () => {
 *         const server = createServer((_request, response) => response.end('{"hello":"world"}')).listen(0);
 *         await once(server, "listening");
 *         return `http://localhost:${server.address().port}`;
 *       },
 *     },
 *     check: async (url) => (await fetch(url)).text(),
 *   }),
 * ];
 * ```
 */
export function serverBenchmark(title: string, options: ServerBenchmarkOptions): ServerBenchmark {
  checkNames(title, options);
  return { kind: "server", title, ...options };
}

function checkNames(title: string, { ours, goal = {}, cases }: Comparison & { readonly cases: object }): void {
  for (const name of [ours, ...Object.keys(goal)]) {
    if (Object.hasOwn(cases, name)) continue;
    const known = Object.keys(cases).join(", ");
    throw new TypeError(`Cannot make the benchmark "${title}": there is no case "${name}", only ${known}`);
  }
}
