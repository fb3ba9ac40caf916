// Why a request was cut off while its server closed.

/** The cause with which the context of a request is cancelled when the server has no time left to wait for it. */
export class DrainTimeoutError extends Error {
  override readonly name = "DrainTimeoutError";
  readonly code = "ERR_DRAIN_TIMEOUT";

  constructor() {
    super("Cannot finish the request: the server closes and its time to drain is over");
  }
}
