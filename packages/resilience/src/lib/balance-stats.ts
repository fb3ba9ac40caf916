// What a balancer tells of itself.
import type { ComponentStats } from "@proj/concurrency/inspect";

/** One endpoint as it is now. */
export interface EndpointStats {
  /** As the endpoint has it. */
  readonly id: string;
  /** As the endpoint has it. */
  readonly address: string;
  /** `"down"` by its checks, `"ejected"` by its calls. */
  readonly state: "healthy" | "ejected" | "down";
  /** Calls that were sent there and have not ended. */
  readonly inFlight: number;
  /** Calls that were sent there. */
  readonly calls: number;
  /** How many of them have failed or timed out. */
  readonly failures: number;
  /** How often it was ejected, less one for each good time since. */
  readonly ejections: number;
}

/** A balancer as it is now. */
export interface BalancerStats extends ComponentStats {
  /** The name of its strategy. */
  readonly strategy: string;
  /** How many endpoints there are. */
  readonly known: number;
  /** How many of them there are to choose from. */
  readonly ready: number;
  /** How many are ejected. */
  readonly ejected: number;
  /** Whether so few are healthy that all are used. */
  readonly isPanicking: boolean;
  /** Calls in flight on all of them. */
  readonly inFlight: number;
  /** Each of them. */
  readonly endpoints: readonly EndpointStats[];
}
