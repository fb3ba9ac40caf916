// Runs a program to its end and returns what it printed.
import { type SpawnProcessOptions, spawnProcess } from "./spawn-process.ts";

export interface RunToolOptions extends SpawnProcessOptions {
  /** Milliseconds before the program and its children are killed and the call rejects; default 30,000. */
  readonly timeout?: number;
  /** Text for its standard input; default: none, closed at once. */
  readonly input?: string;
}

export interface ToolResult {
  /** The exit code; `null` when a signal ended the program. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program and waits for its end. A non-zero code is a result, not an error; rejects when the program cannot be
 * started or does not end in time.
 *
 * @example
 * ```ts
 * const { code, stdout } = await runTool(requireTool("curl"), ["--silent", "--http2", "--cacert", caFile, url]);
 * ```
 */
export async function runTool(
  command: string,
  args: readonly string[] = [],
  { timeout = 30_000, input, ...options }: RunToolOptions = {},
): Promise<ToolResult> {
  await using child = spawnProcess(command, args, options);
  child.endInput(input);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    void child[Symbol.asyncDispose]();
  }, timeout);
  try {
    const { code } = await child.exited;
    if (late) throw new Error(`${command} did not end within ${timeout} ms: ${args.join(" ")}\n${child.output}`);
    return { code, stdout: child.stdout, stderr: child.stderr };
  } finally {
    clearTimeout(timer);
  }
}
