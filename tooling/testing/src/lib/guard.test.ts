import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { spawnProcess } from "./spawn-process.ts";

const folderSource = new URL("./temporary-folder.ts", import.meta.url).href;
const spawnSource = new URL("./spawn-process.ts", import.meta.url).href;

// A process like a test's: it has a folder and a child that has a child, and then it does not end as it should.
const victim = `
  import { temporaryFolder } from ${JSON.stringify(folderSource)};
  import { spawnProcess } from ${JSON.stringify(spawnSource)};
  const { path } = await temporaryFolder();
  const shell = spawnProcess("sh", ["-c", "sleep 600 & echo sleeper $!; wait"]);
  const [, sleeper] = await shell.waitForLine(/sleeper (\\d+)/);
  console.log("ready", path, shell.pid, sleeper);
  await new Promise(() => setInterval(() => {}, 1000));
`;

test.for(["SIGKILL", "SIGTERM", "SIGINT"] as const)(
  "children, grandchildren and folders of a process are gone after its %s",
  { timeout: 60_000 },
  async (signal) => {
    await using process = spawnProcess(globalThis.process.execPath, ["--input-type=module", "--eval", victim]);
    const [, folder, shell, sleeper] = await process.waitForLine(/ready (\S+) (\d+) (\d+)/);
    expect(existsSync(folder as string) && isRunning(shell) && isRunning(sleeper)).toBe(true);

    process.signal(signal);
    await process.exited;

    await vi.waitFor(
      () => {
        expect(isRunning(shell) || isRunning(sleeper)).toBe(false);
        expect(existsSync(folder as string)).toBe(false);
      },
      { timeout: 30_000 },
    );
  },
);

// A dead process keeps its id until somebody waits for it, which in a container without an init may be never.
function isRunning(pid: string | undefined): boolean {
  const state = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim();
  return state !== "" && !state.startsWith("Z");
}
