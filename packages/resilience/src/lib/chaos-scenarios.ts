// Ready scenarios: what goes wrong in networks, services and machines, each for the parts you name.
import { act, type FaultTarget, freeze, inject } from "./chaos-actions.ts";
import { amplificationBelow } from "./chaos-expectations.ts";
import type { NoAnswerFault, SlowHeadersFault, StatusFault } from "./chaos-http-rules.ts";
import type { LookupFailure } from "./chaos-lookup.ts";
import {
  type CpuPressureOptions,
  type FdPressureOptions,
  type MemoryPressureOptions,
  pressure,
} from "./chaos-pressure.ts";
import type { Scenario } from "./chaos-scenario.ts";
import { type ScenarioSetup, story } from "./chaos-scenario-setup.ts";
import type {
  BandwidthToxic,
  DownToxic,
  DripToxic,
  DuplicateToxic,
  HalfOpenToxic,
  LatencyToxic,
  LossToxic,
  ReorderToxic,
  ResetToxic,
} from "./chaos-toxic.ts";

/** A scenario for one proxy, which must know this toxic. */
export interface ProxySetup<T> extends ScenarioSetup {
  /** In front of what breaks. */
  readonly proxy: FaultTarget<T>;
}

/** A scenario for answers of a service. */
export interface AnswersSetup<T> extends ScenarioSetup {
  /** Made by `httpFaults`, around the service. */
  readonly faults: FaultTarget<T>;
}

/** A scenario in which not everything is hit. */
export interface ShareSetup {
  /** How much of it is, from 0 to 1. Default: as said there. */
  readonly share?: number | undefined;
}

/**
 * Ready scenarios. In each, all is well for `before` milliseconds, something is broken for `lasts`, and it is watched for
 * `after` once that is healed. Each expects that calls work before, and that they have recovered within `recovery`; add
 * what else you expect with `expect`. The defaults are for a try by hand: 13 s each.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { scenarios, tcpProxy } from "@proj/resilience/chaos";
 *
 * const server = createServer((_, response) => response.end("ok")).listen(0, "127.0.0.1");
 * await new Promise((resolve) => server.once("listening", resolve));
 * {
 *   await using proxy = await tcpProxy({ upstream: (server.address() as { port: number }).port, name: "api" });
 *   const task = ({ signal }: { signal: AbortSignal }) => fetch(`http://${proxy.address}`, { signal }).then((r) => r.text());
 *   const report = await scenarios.dependencyDown({ proxy, task, before: 200, lasts: 300, after: 500 }).run();
 *   console.log(report.passed); // prints: true
 * }
 * server.close();
 * ```
 */
export const scenarios = {
  /** Each answer comes late. */
  slowDependency({
    proxy,
    latency = 500,
    jitter = 100,
    ...setup
  }: ProxySetup<LatencyToxic> & Partial<Pick<LatencyToxic, "latency" | "jitter">>): Scenario {
    return story("slow dependency", setup, ({ from }) => [[from, inject(proxy, { type: "latency", latency, jitter })]]);
  },

  /** Nobody listens. */
  dependencyDown({ proxy, ...setup }: ProxySetup<DownToxic>): Scenario {
    return story("dependency down", setup, ({ from }) => [[from, inject(proxy, { type: "down" })]]);
  },

  /** It comes and goes, so often. */
  flapping({ proxy, times = 5, ...setup }: ProxySetup<DownToxic> & { readonly times?: number | undefined }): Scenario {
    return story("flapping", setup, ({ from, lasts }) =>
      Array.from({ length: times }, (_, index) => {
        const at = from + (index * lasts) / times;
        return [
          [at, inject(proxy, { type: "down" })],
          [at + lasts / times / 2, act("note", "up for a moment", async (stage) => await stage.undoAll())],
        ] as const;
      }).flat(),
    );
  },

  /** Some of what is sent is lost, both ways. TCP stalls, UDP loses. */
  packetLoss({ proxy, share = 0.2, ...setup }: ProxySetup<LossToxic> & ShareSetup): Scenario {
    return story("packet loss", setup, ({ from }) => [
      [from, inject(proxy, { type: "loss", rate: share, direction: "both" })],
    ]);
  },

  /** A share of the connections is reset, those included that are open. */
  connectionResets({ proxy, share = 0.5, ...setup }: ProxySetup<ResetToxic> & ShareSetup): Scenario {
    return story("connection resets", setup, ({ from }) => [[from, inject(proxy, { type: "reset", share })]]);
  },

  /** Connections are accepted and stay open, and nothing comes back. */
  halfOpenPeer({ proxy, ...setup }: ProxySetup<HalfOpenToxic>): Scenario {
    return story("half-open peer", setup, ({ from }) => [[from, inject(proxy, { type: "half-open" })]]);
  },

  /** Answers come in drops. */
  slowBody({
    proxy,
    bytes = 16,
    interval = 50,
    ...setup
  }: ProxySetup<DripToxic> & Partial<Pick<DripToxic, "bytes" | "interval">>): Scenario {
    return story("slow body", setup, ({ from }) => [[from, inject(proxy, { type: "drip", bytes, interval })]]);
  },

  /** Hardly anything gets through. */
  bandwidthCollapse({
    proxy,
    bytesPerSecond = 1_000,
    ...setup
  }: ProxySetup<BandwidthToxic> & Partial<Pick<BandwidthToxic, "bytesPerSecond">>): Scenario {
    return story("bandwidth collapse", setup, ({ from }) => [
      [from, inject(proxy, { type: "bandwidth", bytesPerSecond })],
    ]);
  },

  /** Datagrams come in another order, twice, or not at all. */
  datagramChaos({
    proxy,
    share = 0.1,
    ...setup
  }: ProxySetup<LossToxic | ReorderToxic | DuplicateToxic> & ShareSetup): Scenario {
    const both = { rate: share, direction: "both" } as const;
    return story("datagram chaos", setup, ({ from }) => [
      [
        from,
        inject<LossToxic | ReorderToxic | DuplicateToxic>(
          proxy,
          { type: "loss", ...both },
          { type: "reorder", ...both },
          { type: "duplicate", ...both },
        ),
      ],
    ]);
  },

  /** Clients get other addresses on their way, `times` in a row, and nothing else happens. */
  natRebinding({
    proxy,
    times = 3,
    ...setup
  }: ScenarioSetup & {
    readonly proxy: { readonly name?: string; rebind(): void };
    readonly times?: number | undefined;
  }): Scenario {
    return story("NAT rebinding", setup, ({ from, lasts }) =>
      Array.from({ length: times }, (_, index) => [
        from + (index * lasts) / times,
        act("fault", `rebind ${proxy.name ?? "proxy"}`, () => proxy.rebind()),
      ]),
    );
  },

  /** A service answers with errors. */
  errorBurst({
    faults,
    status = 503,
    share = 0.8,
    ...setup
  }: AnswersSetup<StatusFault> & Partial<Pick<StatusFault, "status">> & ShareSetup): Scenario {
    return story("error burst", setup, ({ from }) => [[from, inject(faults, { kind: "status", status, rate: share })]]);
  },

  /** One of several endpoints is down; the others have to do. */
  partialFailure({
    proxies,
    ...setup
  }: ScenarioSetup & { readonly proxies: readonly FaultTarget<DownToxic>[] }): Scenario {
    const [first] = proxies;
    if (first === undefined) throw new TypeError("Cannot plan the scenario partial failure: proxies must not be empty");
    return story(`1 of ${proxies.length} endpoints down`, setup, ({ from }) => [
      [from, inject(first, { type: "down" })],
    ]);
  },

  /** Some answers come late and some never, while most, and every health check, are fine. */
  grayFailure({
    faults,
    delay = 1_000,
    share = 0.2,
    ...setup
  }: AnswersSetup<SlowHeadersFault | NoAnswerFault> & ShareSetup & { readonly delay?: number | undefined }): Scenario {
    return story("gray failure", setup, ({ from }) => [
      [
        from,
        inject<SlowHeadersFault | NoAnswerFault>(
          faults,
          { kind: "slow-headers", delay, rate: share },
          { kind: "no-answer", rate: share / 2 },
        ),
      ],
    ]);
  },

  /** All clients wait for a dependency that is down, and all come back in the moment in which it is up. */
  thunderingHerd({
    proxy,
    clients = 100,
    ...setup
  }: ProxySetup<DownToxic> & { readonly clients?: number | undefined }): Scenario {
    return story("thundering herd", { ...setup, concurrency: setup.concurrency ?? clients }, ({ from }) => [
      [from, inject(proxy, { type: "down" })],
    ]);
  },

  /** Names are not found. */
  dnsFailure({
    dns,
    code = "EAI_AGAIN",
    ...setup
  }: ScenarioSetup & { readonly dns: FaultTarget<LookupFailure> } & Partial<Pick<LookupFailure, "code">>): Scenario {
    return story("DNS failure", setup, ({ from }) => [[from, inject(dns, { kind: "fail", code })]]);
  },

  /** Others take the processors. */
  cpuPressure({ load, threads, ...setup }: ScenarioSetup & Omit<CpuPressureOptions, "timeout">): Scenario {
    return story("CPU pressure", setup, ({ from }) => [
      [from, act("fault", "CPU pressure", async () => await pressure.cpu({ load, threads }))],
    ]);
  },

  /** Others take the memory. */
  memoryPressure({ bytes, ...setup }: ScenarioSetup & Omit<MemoryPressureOptions, "timeout">): Scenario {
    return story("memory pressure", setup, ({ from }) => [
      [from, act("fault", "memory pressure", async () => await pressure.memory({ bytes }))],
    ]);
  },

  /** Others use up the connections that a server can have. */
  fdExhaustion({ count, target, ...setup }: ScenarioSetup & Omit<FdPressureOptions, "timeout">): Scenario {
    return story("descriptors exhausted", setup, ({ from }) => [
      [from, act("fault", "descriptors exhausted", async () => await pressure.fds({ count, target }))],
    ]);
  },

  /** Everything fails, and retries must not make it worse: at most `factor` attempts per call, as `attempts` counts them. */
  retryStorm({
    faults,
    attempts,
    factor = 1.5,
    ...setup
  }: AnswersSetup<StatusFault> & { readonly attempts: () => number; readonly factor?: number | undefined }): Scenario {
    let earlier = 0;
    return story("retry storm", setup, ({ from }) => [
      [
        0,
        act("note", "attempts are counted", () => {
          earlier = attempts();
        }),
      ],
      [from, inject(faults, { kind: "status", status: 503 })],
    ]).expect(amplificationBelow(factor, () => attempts() - earlier));
  },

  /** A process stands still `times` in a row, as for garbage collection, half of the time. */
  gcPause({
    process,
    times = 3,
    ...setup
  }: ScenarioSetup & {
    readonly process: { readonly pid?: number | undefined };
    readonly times?: number | undefined;
  }): Scenario {
    return story("GC pause", setup, ({ from, lasts }) =>
      Array.from({ length: times }, (_, index) => {
        const at = from + (index * lasts) / times;
        return [
          [at, freeze(process)],
          [at + lasts / times / 2, act("note", "goes on for a moment", async (stage) => await stage.undoAll())],
        ] as const;
      }).flat(),
    );
  },
} as const;
