import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runTool, type TemporaryFolder, type ToolResult, temporaryFolder } from "@tooling/testing";
import { expect, test, vi } from "vitest";

vi.setConfig({ testTimeout: 120_000 }); // every sample is a process

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const index = JSON.stringify(new URL("../src/index.ts", import.meta.url).href);

// A package with a README and one bench file, `sample.bench.ts`.
async function packageWith(source: string): Promise<TemporaryFolder & { readonly bench: string }> {
  const folder = await temporaryFolder();
  await mkdir(join(folder.path, "bench"));
  const bench = join(folder.path, "bench", "sample.bench.ts");
  await writeFile(bench, `import { benchmark, serverBenchmark } from ${index};\n${source}`);
  await writeFile(join(folder.path, "README.md"), "<!-- bench:start sample -->\n<!-- bench:end sample -->\n");
  return { ...folder, bench };
}

function run(...args: string[]): Promise<ToolResult> {
  return runTool(process.execPath, ["--conditions=@proj/source", main, ...args], { timeout: 100_000 });
}

const spin = "(n) => () => () => { let sum = 0; for (let i = 0; i < n; i++) sum += Math.sqrt(i); return n > 0; }";

test("operations are measured in turn and reported as JSON, Markdown and in the README", async () => {
  await using folder = await packageWith(`
    const spin = ${spin};
    export const benchmarks = [
      benchmark("square roots", {
        ours: "mine",
        cases: { mine: spin(1_000), twenty: spin(20_000), two: spin(2_000) },
        check: (result) => result,
        goal: { twenty: 0.5 },
      }),
    ];`);
  const json = join(folder.path, "out.json");
  const markdown = join(folder.path, "out.md");
  const args = [folder.bench, "--quick", "--rounds", "2", "--json", json, "--markdown", markdown, "--write-readme"];
  const { code, stdout, stderr } = await run(...args);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toContain("| square roots | CPU time per operation | times ours |");

  const { machine, benchmarks } = JSON.parse(await readFile(json, "utf8"));
  expect(machine.node).toBe(process.versions.node);
  const [{ rounds, cases }] = benchmarks;
  expect(rounds.map((round: object) => Object.keys(round))).toEqual([
    ["mine", "twenty", "two"],
    ["twenty", "two", "mine"],
  ]);
  expect(cases[1]).toMatchObject({ name: "twenty", goal: { atMost: 0.5, met: true } });
  expect(cases[1].timesOurs.median).toBeGreaterThan(4); // 20 but for noise

  const table = await readFile(markdown, "utf8");
  expect(stdout).toContain(table.trim());
  expect(await readFile(join(folder.path, "README.md"), "utf8")).toContain(table.trim());
});

test("servers are measured by their CPU time under a load from another process", async () => {
  await using folder = await packageWith(`
    import { once } from "node:events";
    import { createServer } from "node:http";
    const server = (work) => async () => {
      const http = createServer((request, response) => {
        for (let i = 0, sum = 0; i < work; i++) sum += Math.sqrt(i);
        response.end("hello");
      }).listen(0);
      await once(http, "listening");
      return "http://127.0.0.1:" + http.address().port;
    };
    const load = async ({ url, seconds }) => {
      let requests = 0;
      const start = performance.now();
      for (; performance.now() - start < seconds * 1000; requests++) await (await fetch(url)).text();
      return { requests, failed: 0, seconds: (performance.now() - start) / 1000 };
    };
    export const benchmarks = [
      serverBenchmark("hello", {
        ours: "light",
        load,
        cases: { light: server(0), heavy: server(2_000_000) },
        check: async (url) => (await fetch(url)).text(),
      }),
    ];`);
  const json = join(folder.path, "out.json");
  const { code, stderr } = await run(folder.bench, "--quick", "--rounds", "1", "--json", json);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const { benchmarks } = JSON.parse(await readFile(json, "utf8"));
  expect(benchmarks[0].cases[1].timesOurs.median).toBeGreaterThan(2);
});

test.for([
  ["throws", '() => () => { throw new Error("no luck") }', '"peer" failed: Error: no luck'],
  ["rejects", '() => async () => { throw new Error("no luck") }', '"peer" failed: Error: no luck'],
  ["gives another result", "() => () => 2", 'Cannot compare "peer" with "mine": it gives 2, ours 1'],
  ["ends its process", "() => () => process.exit(7)", 'The process of "peer" ended with 7'],
])("a case that %s fails the run and names itself", async ([, peer, message]) => {
  await using folder = await packageWith(`
    export const benchmarks = [
      benchmark("one", { ours: "mine", cases: { mine: () => () => 1, peer: ${peer} }, check: (result) => result }),
    ];`);
  const { code, stderr } = await run(folder.bench, "--quick");
  expect(code).toBe(1);
  expect(stderr).toContain(`sample.bench.ts: one: ${message}`);
});

test("a server that fails requests fails the run", async () => {
  await using folder = await packageWith(`
    export const benchmarks = [
      serverBenchmark("one", {
        ours: "mine",
        load: async ({ seconds }) => ({ requests: 10, failed: 2, seconds }),
        cases: { mine: () => "http://localhost" },
      }),
    ];`);
  const { code, stderr } = await run(folder.bench, "--quick");
  expect(code).toBe(1);
  expect(stderr).toContain('"mine" cannot be measured: 2 requests failed');
});

test("what cannot be run is refused with the reason", async () => {
  await using folder = await packageWith("export const benchmarks = 5;");
  expect(await run(folder.bench)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('export an array "benchmarks"'),
  });
  expect(await run("no-such-package")).toMatchObject({
    code: 1,
    stderr: "There is no bench file for no-such-package\n",
  });
  expect(await run("--rounds", "0")).toMatchObject({ code: 1, stderr: "--rounds must be a positive integer, got 0\n" });
  expect((await run("--no-such-option")).code).toBe(1);
});

test("--help tells the options", async () => {
  const { code, stdout } = await run("--help");
  expect(code).toBe(0);
  for (const option of ["--rounds", "--quick", "--json", "--markdown", "--write-readme"])
    expect(stdout).toContain(option);
});
