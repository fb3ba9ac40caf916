export { BodySpentError } from "./lib/undici-body-spent.ts";
export type { CannedResponse } from "./lib/undici-canned.ts";
export { type ResilientDispatcherOptions, resilientDispatcher } from "./lib/undici-dispatcher.ts";
export type { RequestPolicies } from "./lib/undici-exchange.ts";
export { type GateInterceptorOptions, gateInterceptor } from "./lib/undici-gate.ts";
export {
  balanceInterceptor,
  deadlineInterceptor,
  type Interceptor,
  type PolicyInterceptorOptions,
  policyInterceptor,
} from "./lib/undici-interceptors.ts";
export type { ResponseHead } from "./lib/undici-response.ts";
