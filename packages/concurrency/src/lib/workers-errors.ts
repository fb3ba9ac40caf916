// What a pool of workers itself fails with.

/**
 * The thread of a task ended before the task did: it called `process.exit`, threw outside of any task, ran out of memory,
 * or was terminated because a cancelled task did not end within `grace`.
 *
 * A task is reported at most once and is never run again by itself when it had started.
 *
 * @example
 * ```ts
 * import { WorkerLostError, workers } from "@proj/concurrency/workers";
 *
 * const module = new URL("data:text/javascript,export function quit() { process.exit(3) }");
 * await using pool = workers<{ quit(): void }>(module);
 * const error = await pool.run.quit().catch((error: unknown) => error);
 * console.log(error instanceof WorkerLostError && error.exitCode); // 3
 * ```
 */
export class WorkerLostError extends Error {
  override readonly name = "WorkerLostError";
  readonly code = "ERR_WORKER_LOST";
  /** The name of the function. */
  readonly task: string;
  /**
   * Whether it had begun. One that had not is given to another thread, unless its arguments were moved to the lost one:
   * then this is false.
   */
  readonly started: boolean;
  /** Of the thread; `undefined` when its end was not waited for. */
  readonly exitCode: number | undefined;

  constructor(task: string, started: boolean, exitCode: number | undefined, options?: ErrorOptions) {
    super(
      `Cannot finish ${task}: its thread ended${exitCode === undefined ? "" : ` with exit code ${exitCode}`}`,
      options,
    );
    this.task = task;
    this.started = started;
    this.exitCode = exitCode;
  }
}

/**
 * No thread could be started: the module cannot be loaded, its `init` threw (see `cause`), or it took longer than
 * `startTimeout`.
 *
 * @example
 * ```ts
 * import { WorkerStartError, workers } from "@proj/concurrency/workers";
 *
 * const module = new URL("data:text/javascript,export function init() { throw new Error('no database') }");
 * await using pool = workers<{ work(): void }>(module);
 * const error = await pool.call("work", []).catch((error: unknown) => error);
 * console.log(error instanceof WorkerStartError && error.cause); // Error: no database …
 * ```
 */
export class WorkerStartError extends Error {
  override readonly name = "WorkerStartError";
  readonly code = "ERR_WORKER_START";

  constructor(what: string, options?: ErrorOptions) {
    super(`Cannot start a thread of ${what}`, options);
  }
}
