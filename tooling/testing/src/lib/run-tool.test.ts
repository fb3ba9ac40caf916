import { expect, test, vi } from "vitest";
import { runTool } from "./run-tool.ts";

vi.setConfig({ testTimeout: 60_000 }); // processes start slowly on a busy machine

test("a failing program is a result with its code and output", async () => {
  expect(await runTool("sh", ["-c", "echo out; echo err >&2; exit 4"])).toEqual({
    code: 4,
    stdout: "out\n",
    stderr: "err\n",
  });
});

test("input reaches the program, and without any it sees the end at once", async () => {
  expect((await runTool("cat", [], { input: "hello" })).stdout).toBe("hello");
  expect((await runTool("cat")).stdout).toBe("");
});

test("large output is complete", async () => {
  const { stdout } = await runTool(process.execPath, ["--eval", "process.stdout.write('x'.repeat(3_000_000))"]);
  expect(stdout.length).toBe(3_000_000);
});

test("a program that does not end in time is killed, with what it printed in the error", async () => {
  const run = runTool("sh", ["-c", "echo started; sleep 600"], { timeout: 500 });
  await expect(run).rejects.toThrow(/sh did not end within 500 ms.*\nstarted/s);
});

test("a program that does not exist rejects", async () => {
  await expect(runTool("no-such-program")).rejects.toThrow("ENOENT");
});
