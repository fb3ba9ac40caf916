// The process of one case: does the job that its argument describes and sends back the result.
import type { Benchmark, OperationBenchmark, ServerBenchmark } from "./benchmark.ts";
import type { CaseAddress, Job, Reply } from "./job.ts";
import { loadBenchmarks } from "./load-benchmarks.ts";
import { measureOperation } from "./measure-operation.ts";

process.on("disconnect", () => process.exit()); // the runner is gone

try {
  await reply({ kind: "done", result: await work(JSON.parse(process.argv[2] ?? "") as Job) });
} catch (error) {
  await reply({ kind: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

async function work(job: Job): Promise<unknown> {
  switch (job.task) {
    case "check-operation": {
      const { cases, check } = await find(job, "operation");
      const operation = await cases[job.name]?.();
      const result = await operation?.();
      return check === undefined ? undefined : JSON.stringify(await check(result));
    }
    case "measure-operation": {
      const { cases, operationsPerCall = 1 } = await find(job, "operation");
      const operation = await cases[job.name]?.();
      if (operation === undefined) throw new TypeError(`The case "${job.name}" returned no operation`);
      return await measureOperation(operation, { ...job.options, operationsPerCall });
    }
    case "serve": {
      const { cases } = await find(job, "server");
      process.on("message", () => void reply({ kind: "done", result: process.cpuUsage() }));
      return await cases[job.name]?.();
    }
    case "check-server": {
      const { check } = await find(job, "server");
      return check === undefined ? undefined : JSON.stringify(await check(job.url));
    }
    case "load":
      return await (await find(job, "server")).load(job.target);
  }
}

async function find(address: CaseAddress, kind: "operation"): Promise<OperationBenchmark>;
async function find(address: CaseAddress, kind: "server"): Promise<ServerBenchmark>;
async function find({ file, title }: CaseAddress, kind: Benchmark["kind"]): Promise<Benchmark> {
  const found = (await loadBenchmarks(file)).find((one) => one.title === title && one.kind === kind);
  if (found === undefined) throw new Error(`There is no benchmark "${title}" in ${file} any more`);
  return found;
}

function reply(message: Reply): Promise<void> {
  return new Promise((settle) => process.send?.(message, () => settle()));
}
