export type { Call, CallOptions, OutcomeKind, ResilientTask } from "./lib/call.ts";
export type { Endpoint } from "./lib/endpoint.ts";
export { type ResilienceEvent, resilienceChannel } from "./lib/events.ts";
export type { Driver, Gate, Next, Policy, PolicyKind } from "./lib/policy.ts";
