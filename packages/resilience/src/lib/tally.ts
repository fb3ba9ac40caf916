// How the calls of a stack have ended.
import type { ComponentStats } from "@proj/concurrency/inspect";
import type { Call } from "./call.ts";
import { isRejection } from "./classify-error.ts";

/** Plain fields, so that counting costs next to nothing. */
export class Tally {
  calls = 0;
  succeeded = 0;
  failed = 0;
  timedOut = 0;
  ignored = 0;
  rejected = 0;

  /** Calls that ended otherwise than well. */
  count({ outcome, error }: Call): void {
    if (outcome === "ok") this.succeeded++;
    else if (outcome === "fail") this.failed++;
    else if (outcome === "timeout") this.timedOut++;
    else if (isRejection(error)) this.rejected++;
    else this.ignored++;
  }

  stats(): ComponentStats {
    const { calls, succeeded, failed, timedOut, ignored, rejected } = this;
    const active = calls - succeeded - failed - timedOut - ignored - rejected;
    return { calls, active, succeeded, failed, timedOut, ignored, rejected };
  }
}
