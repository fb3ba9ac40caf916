// An adaptive limit that turns calls away at once.
import type { AdaptiveLimitPolicy } from "./adaptive-limit.ts";
import type { Call } from "./call.ts";
import { Limiter } from "./limiter.ts";
import type { Gate } from "./policy.ts";

export class GateLimit extends Limiter implements Gate, AdaptiveLimitPolicy {
  enter(call: Call): number {
    this.meet(call);
    if (!this.hasRoom(call)) throw this.refuse(call, "full");
    this.inFlight++;
    return 0;
  }

  exit(call: Call, _token: number): void {
    this.leave(call);
  }
}
