export {
  type Chaos,
  type ChaosEvent,
  type ChaosOptions,
  type ChaosStats,
  chaos,
} from "./lib/chaos.ts";
export {
  act,
  down,
  type FaultTarget,
  freeze,
  type HealTarget,
  heal,
  inject,
  type ScenarioAction,
  type ScenarioActionKind,
  type ScenarioStage,
} from "./lib/chaos-actions.ts";
export type { ProxyAddress } from "./lib/chaos-address.ts";
export { type ChaosControl, type ChaosControlOptions, type ChaosTarget, chaosControl } from "./lib/chaos-control.ts";
export { ChaosError } from "./lib/chaos-error.ts";
export {
  amplificationBelow,
  type Expectation,
  type ExpectationOptions,
  errorRateBelow,
  latencyBelow,
  noErrorsOtherThan,
  recoveredWithin,
  throughputAbove,
} from "./lib/chaos-expectations.ts";
export {
  type Http2Listener,
  type HttpFaults,
  type HttpFaultsOptions,
  type HttpFaultsStats,
  httpFaults,
} from "./lib/chaos-http.ts";
export type {
  HttpFault,
  HttpFaultMatch,
  HttpFaultRequest,
  NoAnswerFault,
  ResetFault,
  SlowBodyFault,
  SlowHeadersFault,
  StatusFault,
  TruncateFault,
  WrongLengthFault,
} from "./lib/chaos-http-rules.ts";
export {
  type LookupFailure,
  type LookupFault,
  type LookupFaultMatch,
  type LookupFaults,
  type LookupFaultsOptions,
  type LookupLatency,
  lookupFaults,
} from "./lib/chaos-lookup.ts";
export {
  type CpuPressureOptions,
  type FdPressureOptions,
  type MemoryPressureOptions,
  type Pressure,
  PressureError,
  type PressureOptions,
  pressure,
} from "./lib/chaos-pressure.ts";
export type { FaultProxy, FaultProxyOptions } from "./lib/chaos-proxy.ts";
export {
  type ChaosMatch,
  type ChaosPattern,
  type ChaosRule,
  type DropRule,
  drop,
  type FaultRule,
  fault,
  type HangRule,
  hang,
  type LatencyRule,
  latency,
  type OutcomeRule,
  outcome,
} from "./lib/chaos-rules.ts";
export { type Scenario, type ScenarioRunOptions, scenario } from "./lib/chaos-scenario.ts";
export type { ScenarioCall, ScenarioLoad } from "./lib/chaos-scenario-load.ts";
export {
  type ScenarioBucket,
  ScenarioError,
  type ScenarioEvent,
  type ScenarioFacts,
  ScenarioReport,
  type ScenarioVerdict,
} from "./lib/chaos-scenario-report.ts";
export type { ScenarioSetup } from "./lib/chaos-scenario-setup.ts";
export { type AnswersSetup, type ProxySetup, type ShareSetup, scenarios } from "./lib/chaos-scenarios.ts";
export type { ProxyConnection } from "./lib/chaos-tcp-connection.ts";
export { type TcpProxy, type TcpProxyOptions, type TcpProxyStats, tcpProxy } from "./lib/chaos-tcp-proxy.ts";
export type {
  BandwidthToxic,
  CorruptToxic,
  DownToxic,
  DripToxic,
  DropToxic,
  DuplicateToxic,
  HalfOpenToxic,
  LatencyToxic,
  LimitToxic,
  LossToxic,
  ReorderToxic,
  ResetToxic,
  SlowCloseToxic,
  TcpToxic,
  Toxic,
  ToxicBase,
  ToxicDirection,
  UdpToxic,
} from "./lib/chaos-toxic.ts";
export type { DatagramCounts } from "./lib/chaos-udp-link.ts";
export { type UdpProxy, type UdpProxyOptions, type UdpProxyStats, udpProxy } from "./lib/chaos-udp-proxy.ts";
export type { ProxySession } from "./lib/chaos-udp-session.ts";
