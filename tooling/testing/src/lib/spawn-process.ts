// A child process as tests want it: its output collected, its lines awaited, its whole group gone at the end.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { killGroupOnDeath } from "./guard.ts";

export interface SpawnProcessOptions {
  /** Working directory; default: that of this process. */
  readonly cwd?: string;
  /** Added to the environment of this process; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface ProcessExit {
  /** The exit code; `null` when a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface WaitOptions {
  /** Milliseconds before giving up; default 30,000. */
  readonly timeout?: number;
}

/**
 * Starts a program in a process group of its own, which dies with this process at the latest.
 *
 * @example
 * ```ts
 * await using app = spawnProcess(process.execPath, ["server.js"]);
 * const [, port] = await app.waitForLine(/listening on (\d+)/);
 * app.signal("SIGTERM");
 * expect(await app.exited).toEqual({ code: 0, signal: null });
 * ```
 */
export function spawnProcess(
  command: string,
  args: readonly string[] = [],
  { cwd, env }: SpawnProcessOptions = {},
): RunningProcess {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    detached: true, // a group of its own, so that grandchildren can be killed with it
    stdio: ["pipe", "pipe", "pipe"],
  });
  return new RunningProcess(child, [command, ...args].join(" "));
}

/** A process started by {@link spawnProcess}. */
export class RunningProcess implements AsyncDisposable {
  /** Settles when the process has ended and its output is complete; rejects when it could not be started. */
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #command: string;
  readonly #watchers = new Set<() => void>();
  #stdout = "";
  #stderr = "";
  #output = "";

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>, command: string) {
    this.#child = child;
    this.#command = command;
    child.stdin.on("error", () => {}); // the process may end without reading what it was given
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
      this.#collect(text);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
      this.#collect(text);
    });
    const forget = child.pid === undefined ? undefined : killGroupOnDeath(child.pid);
    this.exited = this.#waitForExit().finally(forget);
    this.exited.catch(() => {}); // a test need not ask; waitForLine() tells it too
  }

  /** The id of the process and of its group; `undefined` when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** All of standard output so far. */
  get stdout(): string {
    return this.#stdout;
  }

  /** All of standard error so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Both in the order of arrival. */
  get output(): string {
    return this.#output;
  }

  /**
   * Waits for a line of either output, also one already printed, without its colours. Returns the match.
   * Rejects with the whole output when the process ends without it or the time is over.
   */
  async waitForLine(pattern: RegExp, { timeout = 30_000 }: WaitOptions = {}): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    const look = (): void => {
      for (const line of stripVTControlCharacters(this.#output).split("\n")) {
        const match = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")).exec(line);
        if (match !== null) resolve(match); // the first one counts
      }
    };
    const give = (reason: string): void =>
      reject(new Error(`Cannot find ${pattern} in the output of ${this.#command}: ${reason}\n${this.#output}`));
    const timer = setTimeout(() => give(`nothing within ${timeout} ms`), timeout);
    this.exited.then(
      ({ code, signal }) => give(`the process ended with ${signal ?? code}`),
      (error: Error) => give(error.message),
    );
    this.#watchers.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(look);
    }
  }

  /** Writes to standard input. */
  write(text: string): void {
    this.#child.stdin.write(text);
  }

  /** Closes standard input, after writing the text if there is one. */
  endInput(text?: string): void {
    this.#child.stdin.end(text);
  }

  /** Sends a signal to the process alone, not to its children. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks the process to end with SIGTERM; when it has not after `timeout` (default 10,000 ms), kills its group. */
  async stop({ timeout = 10_000 }: WaitOptions = {}): Promise<ProcessExit> {
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.#killGroup(), timeout);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Kills the process and all its children with SIGKILL. */
  async kill(): Promise<ProcessExit> {
    this.#killGroup();
    return await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill().catch(() => {});
  }

  #collect(text: string): void {
    this.#output += text;
    for (const look of [...this.#watchers]) look();
  }

  async #waitForExit(): Promise<ProcessExit> {
    const closed = once(this.#child, "close");
    closed.catch(() => {}); // the same failure as below
    const [code, signal] = (await once(this.#child, "exit")) as [number | null, NodeJS.Signals | null];
    // A grandchild that outlives the process holds its pipes open: the output is as complete as it gets.
    await Promise.race([closed, delay(500, undefined, { ref: false })]);
    return { code, signal };
  }

  // Also after the process has ended: children of its group may be left.
  #killGroup(): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
