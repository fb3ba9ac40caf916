// How a supervisor can end other than well.

/** Services crashed more often than the supervisor's `intensity` allows. The last crash is the `cause`. */
export class RestartLimitError extends Error {
  override readonly name = "RestartLimitError";
  readonly code = "ERR_RESTART_LIMIT";
  /** The one that crashed last. */
  readonly service: string;
  /** How many restarts were allowed. */
  readonly restarts: number;
  /** Within which time. */
  readonly periodMs: number;

  constructor(service: string, restarts: number, periodMs: number, cause: unknown) {
    const limit = `${restarts} restarts within ${periodMs} ms are used up`;
    super(`Cannot restart ${service}: the ${limit}`, { cause });
    this.service = service;
    this.restarts = restarts;
    this.periodMs = periodMs;
  }
}

/** Some services did not stop in time. They were left behind as they are. */
export class StopTimeoutError extends Error {
  override readonly name = "StopTimeoutError";
  readonly code = "ERR_STOP_TIMEOUT";
  /** Their names, in the order in which they started. */
  readonly services: readonly string[];
  /** How much time they had. */
  readonly timeoutMs: number;

  constructor(services: readonly string[], timeoutMs: number) {
    super(`Cannot stop ${services.join(", ")}: not done within ${timeoutMs} ms`);
    this.services = services;
    this.timeoutMs = timeoutMs;
  }
}
