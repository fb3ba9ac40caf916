// Starts real threads, behind a port small enough to be put in the place of.
import { type ResourceLimits, type Transferable, Worker } from "node:worker_threads";
import type { ThreadMessage, ThreadStart } from "./worker-protocol.ts";

/** One thread, as far as the pool needs it. */
export interface ThreadPort {
  post(message: ThreadMessage, transfer: readonly Transferable[]): void;
  /** Ends it wherever it is. `onExit` follows. */
  terminate(): void;
  /** From now on it keeps the process alive, or does not. It does not at first. */
  ref(): void;
  unref(): void;
  /** Milliseconds in which its event loop did something, and waited. */
  readonly eventLoopTimes: { readonly active: number; readonly idle: number };
}

/** What a thread tells the pool. None is called before the port has been returned. */
export interface ThreadListener {
  onMessage(message: unknown): void;
  /** At most once, after the last message. */
  onExit(code: number, error: unknown): void;
}

export type OpenThread = (start: ThreadStart, listener: ThreadListener, name: string) => ThreadPort;

export interface ThreadOptions {
  readonly resourceLimits: ResourceLimits | undefined;
  readonly execArgv: readonly string[] | undefined;
}

/**
 * The module that a thread starts with: this file is in `src/lib` or, when built, in `dist`. A `.ts` file is run as it
 * is: threads inherit the conditions under which this one finds its imports.
 */
const host = import.meta.url.endsWith(".ts")
  ? new URL("../worker.ts", import.meta.url)
  : new URL("./worker.js", import.meta.url);

// Not a file as the entry: a process that was started with --input-type or --eval hands these on to its threads, and
// then a thread refuses files.
const entry = `import(${JSON.stringify(host)}).then(({ hostWorker }) => hostWorker())`;

export function threadOpener(options: ThreadOptions): OpenThread {
  return (start, listener, name) => new WorkerPort(start, listener, name, options);
}

class WorkerPort implements ThreadPort {
  readonly #worker: Worker;

  constructor(start: ThreadStart, listener: ThreadListener, name: string, { resourceLimits, execArgv }: ThreadOptions) {
    this.#worker = new Worker(entry, {
      eval: true,
      workerData: start,
      name,
      ...(resourceLimits === undefined ? {} : { resourceLimits }),
      ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
    });
    this.#worker.unref();
    let error: unknown;
    this.#worker.on("message", (message) => listener.onMessage(message));
    this.#worker.on("messageerror", (cause) => {
      error = cause;
      this.terminate();
    });
    this.#worker.on("error", (cause) => {
      error = cause;
    });
    this.#worker.on("exit", (code) => listener.onExit(code, error));
  }

  post(message: ThreadMessage, transfer: readonly Transferable[]): void {
    this.#worker.postMessage(message, transfer);
  }

  terminate(): void {
    void this.#worker.terminate();
  }

  ref(): void {
    this.#worker.ref();
  }

  unref(): void {
    this.#worker.unref();
  }

  get eventLoopTimes(): { readonly active: number; readonly idle: number } {
    return this.#worker.performance.eventLoopUtilization();
  }
}
