// Takes memory, CPU time and file descriptors away from others, in a process of its own that cannot take too much.
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import type { Readable, Writable } from "node:stream";
import { checkCount, checkDuration, checkPositive, checkRatio } from "@proj/concurrency/options";
import { type ProxyAddress, parseAddress } from "./chaos-address.ts";
import { type PressureOrder, type PressureReport, pressureProgram } from "./chaos-pressure-host.ts";

/** What can be set on all kinds of pressure. */
export interface PressureOptions {
  /** Milliseconds after which it ends by itself, whatever happens. Default: 300,000. */
  readonly timeout?: number | undefined;
}

/** What can be set on `pressure.memory`. */
export interface MemoryPressureOptions extends PressureOptions {
  /** How much to hold: at most half of what is available when it starts. Each page is written to, so it is really there. */
  readonly bytes: number;
}

/** What can be set on `pressure.cpu`. */
export interface CpuPressureOptions extends PressureOptions {
  /** The share of its time in which each thread is busy, above 0 up to 1. Default: 1. */
  readonly load?: number | undefined;
  /** At most as many as the machine runs at a time, which is also the default. */
  readonly threads?: number | undefined;
}

/** What can be set on `pressure.fds`. */
export interface FdPressureOptions extends PressureOptions {
  /** How many to hold, up to 65,536. Fewer if the system, or the server, gives no more, the server for half a second. */
  readonly count: number;
  /** Connects to this server, so that its own descriptors are used up. Default: opens files, which counts for the system. */
  readonly target?: ProxyAddress | undefined;
}

/** A process that holds something. Disposing it gives all back. */
export interface Pressure extends AsyncDisposable {
  /** What it holds. */
  readonly kind: "memory" | "cpu" | "fds";
  /** How much of it: bytes, threads or descriptors. */
  readonly held: number;
  /** Of the process. */
  readonly pid: number;
  /** Whether it still holds it. */
  readonly running: boolean;
  /** Resolves when all is given back. May be called again. */
  stop(): Promise<void>;
}

/** Bytes that were asked for and are still available, for the next one who asks. */
let ordered = 0;

/**
 * Puts the machine, or a server, under pressure. Each call starts one child process and resolves when that holds what it
 * should. **Caps**: it never holds more than it was told, refuses what would harm the machine (more than half of the
 * available memory, more threads than processors), ends after `timeout`, and dies with this process, even if that is
 * killed: its standard input closes then. It does not keep this process alive.
 *
 * @throws RangeError or TypeError for what is above a cap or makes no sense · PressureError if the process cannot do it
 * @example
 * ```ts
 * import { pressure } from "@proj/resilience/chaos";
 *
 * {
 *   await using memory = await pressure.memory({ bytes: 50_000_000 });
 *   console.log(memory.held); // prints: 50000000
 * } // all of it is free again
 * ```
 */
export const pressure = {
  /** Holds memory. */
  async memory(options: MemoryPressureOptions): Promise<Pressure> {
    const action = "put memory under pressure";
    const bytes = checkCount(action, "bytes", options.bytes, 1);
    const cap = Math.max(0, Math.floor(process.availableMemory() / 2) - ordered);
    if (bytes > cap) {
      throw new RangeError(`Cannot ${action}: bytes must be at most half of what is available, ${cap}, got ${bytes}`);
    }
    const timeout = timeoutOf(action, options);
    ordered += bytes;
    try {
      return await start({ kind: "memory", bytes, timeout });
    } finally {
      ordered -= bytes;
    }
  },

  /** Keeps processors busy. */
  async cpu(options: CpuPressureOptions = {}): Promise<Pressure> {
    const action = "put processors under pressure";
    const { load = 1, threads = availableParallelism() } = options;
    checkPositive(action, "load", load);
    checkRatio(action, "load", load);
    checkCount(action, "threads", threads, 1);
    if (threads > availableParallelism()) {
      throw new RangeError(`Cannot ${action}: threads must be at most ${availableParallelism()}, got ${threads}`);
    }
    return await start({ kind: "cpu", load, threads, timeout: timeoutOf(action, options) });
  },

  /** Holds file descriptors: its own, or by connections those of a server. */
  async fds(options: FdPressureOptions): Promise<Pressure> {
    const action = "put file descriptors under pressure";
    const count = checkCount(action, "count", options.count, 1);
    if (count > 65_536) throw new RangeError(`Cannot ${action}: count must be at most 65536, got ${count}`);
    const target = options.target === undefined ? undefined : parseAddress(action, "target", options.target);
    return await start({ kind: "fds", count, target, timeout: timeoutOf(action, options) });
  },
} as const;

/**
 * The process could not hold what it should, as when the system had no memory for it.
 *
 * @example
 * ```ts
 * import { PressureError } from "@proj/resilience/chaos";
 *
 * console.log(new PressureError("cpu", "it ended").message); // prints: Cannot put cpu under pressure: it ended
 * ```
 */
export class PressureError extends Error {
  override readonly name = "PressureError";
  readonly code = "ERR_PRESSURE";

  constructor(kind: string, reason: string, options?: ErrorOptions) {
    super(`Cannot put ${kind} under pressure: ${reason}`, options);
  }
}

function timeoutOf(action: string, { timeout = 300_000 }: PressureOptions): number {
  // Longer ones would wrap around in the child's timer.
  return Math.min(checkDuration(action, "timeout", timeout), 2 ** 31 - 1);
}

async function start(order: PressureOrder): Promise<Pressure> {
  const { NODE_OPTIONS: _, ...env } = process.env; // made for this process, not for that one
  const { spawn } = await import("node:child_process");
  const child = spawn(process.execPath, ["--max-old-space-size=64", "--eval", pressureProgram(order)], {
    env,
    stdio: ["pipe", "pipe", "ignore"],
    windowsHide: true,
  });
  const running = new RunningPressure(order.kind, child);
  await running.ready;
  return running;
}

class RunningPressure implements Pressure {
  readonly kind: Pressure["kind"];
  readonly ready: Promise<void>;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #exited: Promise<unknown>;
  #held = 0;
  #isRunning = true;

  constructor(kind: Pressure["kind"], child: ChildProcessByStdio<Writable, Readable, null>) {
    this.kind = kind;
    this.#child = child;
    this.#exited = once(child, "exit").then(
      () => {
        this.#isRunning = false;
      },
      () => {
        this.#isRunning = false; // it could not be started
      },
    );
    child.stdin.on("error", () => {}); // it is gone
    this.ready = this.#waitUntilReady();
  }

  get held(): number {
    return this.#isRunning ? this.#held : 0;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.#isRunning;
  }

  async stop(): Promise<void> {
    this.#child.ref();
    this.#child.kill("SIGKILL"); // it has nothing to tidy up, and what it holds the system takes back
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #waitUntilReady(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<PressureReport>();
    let text = "";
    this.#child.stdout.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      if (text.includes("\n")) resolve(JSON.parse(text.slice(0, text.indexOf("\n"))) as PressureReport); // its own line
    });
    this.#child.once("error", (cause) =>
      reject(new PressureError(this.kind, `no process could be started, ${cause.message}`, { cause })),
    );
    this.#child.once("close", () =>
      reject(new PressureError(this.kind, "the process ended, it may have got too much")),
    );
    const report = await promise;
    if ("failed" in report) {
      await this.stop();
      throw new PressureError(this.kind, report.failed);
    }
    this.#held = report.held;
    this.#child.unref();
    // Pipes of a child are sockets, though not by their type.
    for (const pipe of [this.#child.stdin, this.#child.stdout]) (pipe as unknown as { unref(): void }).unref();
  }
}
