// Runs the programs that checks need: with a time limit, in a process group of their own that is always ended.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const toolBin = join(import.meta.dirname, "../../../node_modules/.bin");
const { PATH = "" } = process.env;

/** The environment of this process, with the tools of this workspace first on its PATH. */
export const environment = { ...process.env, PATH: `${toolBin}${delimiter}${PATH}` };

export interface RunOptions {
  readonly cwd: string;
  /** Milliseconds after which the group is killed. Default: 60 s. */
  readonly timeout?: number;
  readonly env?: NodeJS.ProcessEnv;
}

export interface Run {
  /** Exit code; `undefined` after a signal, a time-out or when the program could not start. */
  readonly code: number | undefined;
  readonly output: string;
  readonly stdout: string;
  readonly timedOut: boolean;
}

const live = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of live) signalGroup(child, "SIGKILL");
});

export function start(file: string, args: readonly string[], { cwd, env = environment }: RunOptions): ChildProcess {
  const child = spawn(file, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  live.add(child);
  child.once("close", () => live.delete(child));
  return child;
}

export function run(file: string, args: readonly string[], options: RunOptions): Promise<Run> {
  const { promise, resolve } = Promise.withResolvers<Run>();
  const child = start(file, args, options);
  let output = "";
  let stdout = "";
  let timedOut = false;
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const timer = setTimeout(() => {
    timedOut = true;
    signalGroup(child, "SIGKILL");
  }, options.timeout ?? 60_000);
  const finish = (code: number | undefined, more = "") => {
    clearTimeout(timer);
    signalGroup(child, "SIGKILL"); // what the program left behind
    resolve({ code, output: output + more, stdout, timedOut });
  };
  child.once("error", (error) => finish(undefined, `${file}: ${error.message}`));
  child.once("close", (code) => finish(code ?? undefined));
  return promise;
}

/** Signals a program and all that it started; nothing happens when they are gone. */
export function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // no such group any more
  }
}

/** Calls `task` for each item, two at a time: the least machine that this has to run on has two cores. */
export async function twoAtATime<T>(items: readonly T[], task: (item: T) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]();
  const worker = async () => {
    for (const item of rest) await task(item);
  };
  await Promise.all([worker(), worker()]);
}

export interface TemporaryFolder extends Disposable {
  readonly path: string;
}

const folders = new Set<string>();
process.on("exit", () => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

/** A new empty folder, gone with its disposal or at the latest with this process. */
export function temporaryFolder(prefix = join(tmpdir(), "proj-checks-")): TemporaryFolder {
  const path = mkdtempSync(prefix);
  folders.add(path);
  return {
    path,
    [Symbol.dispose]() {
      folders.delete(path);
      rmSync(path, { recursive: true, force: true });
    },
  };
}
