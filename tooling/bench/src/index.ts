// What a `*.bench.ts` file needs to say which cases stand against each other.
export {
  type Benchmark,
  benchmark,
  type Operation,
  type OperationBenchmark,
  type OperationBenchmarkOptions,
  type ServerBenchmark,
  type ServerBenchmarkOptions,
  serverBenchmark,
} from "./lib/benchmark.ts";
export {
  type H2loadOptions,
  h2load,
  type Load,
  type LoadOptions,
  type LoadResult,
  type LoadTarget,
  wrk,
} from "./lib/load.ts";
