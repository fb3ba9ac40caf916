// What balancers and discoveries tell.
import type { EjectionReason } from "./balance-ejection.ts";
import type { Endpoint } from "./endpoint.ts";

/** Something that happened to the endpoints of a balancer. */
export type BalanceEvent =
  /** It failed more than the others and gets no calls for a while. */
  | {
      readonly kind: "endpoint-ejected";
      readonly name: string;
      readonly endpoint: Endpoint;
      readonly reason: EjectionReason;
      readonly durationMs: number;
    }
  /** Its ejection is over. */
  | { readonly kind: "endpoint-returned"; readonly name: string; readonly endpoint: Endpoint }
  /** It failed as many checks as it takes; `error` is from the last one. */
  | { readonly kind: "endpoint-down"; readonly name: string; readonly endpoint: Endpoint; readonly error: unknown }
  /** It passed as many checks as it takes. */
  | { readonly kind: "endpoint-up"; readonly name: string; readonly endpoint: Endpoint }
  /** So few endpoints are healthy that all are used. */
  | { readonly kind: "balancer-panicked"; readonly name: string; readonly known: number }
  /** Enough endpoints are healthy again. */
  | { readonly kind: "balancer-calmed"; readonly name: string; readonly known: number };

/** Something that happened to a source of endpoints. */
export type DiscoveryEvent =
  /** There is another set. */
  | { readonly kind: "discovery-updated"; readonly name: string; readonly endpoints: readonly Endpoint[] }
  /** It could not be asked, or its answer was not used; `known` endpoints stay as they are. */
  | { readonly kind: "discovery-failed"; readonly name: string; readonly error: unknown; readonly known: number };
