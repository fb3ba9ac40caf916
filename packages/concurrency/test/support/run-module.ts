// Runs TypeScript in a Node process of its own, with this package's sources.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type ModuleProcess = ChildProcessByStdio<null, Readable, Readable>;

const root = pathToFileURL(`${import.meta.dirname}/../../src/`);

/** `source` imports from `"@proj/concurrency"` and `"@proj/concurrency/testing"`. Dispose to be sure that it has ended. */
export function startModule(source: string, flags: readonly string[] = []): ModuleProcess & Disposable {
  const code = source
    .replaceAll('"@proj/concurrency"', `"${root}index.ts"`)
    .replaceAll('"@proj/concurrency/testing"', `"${root}testing.ts"`);
  const args = ["--no-warnings=ExperimentalWarning", ...flags, "--input-type=module-typescript", "--eval", code];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  return Object.assign(child, { [Symbol.dispose]: () => void child.kill("SIGKILL") });
}

/** Runs it to its end. */
export async function runModule(source: string, flags: readonly string[] = []): Promise<Outcome> {
  using child = startModule(source, flags);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: child.exitCode, stdout, stderr };
}
