// Every ready scenario, on real sockets and processes: calls through a stack of policies recover within 5 s.
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { balance, constant, type Resilient, resilient, retryBudget, roundRobin } from "@proj/resilience";
import {
  httpFaults,
  lookupFaults,
  type Scenario,
  type ScenarioReport,
  scenarios,
  tcpProxy,
  udpProxy,
} from "@proj/resilience/chaos";
import { spawnProcess } from "@tooling/testing";
import { Agent, fetch } from "undici";
import { beforeAll, describe, expect, test } from "vitest";
import { datagrams } from "./support/chaos-servers.ts";

/**
 * Scaled down from the 13 s that they take by default. All the time there is to recover in is granted, also to a machine
 * that has much else to do, and as a rule not needed.
 */
const scale = { warmUp: 120, before: 200, lasts: 500, after: 6_000, settle: 200, timeout: 2_000, rate: 25 };

const onLinux = test.skipIf(process.platform !== "linux");

async function recovers(scenario: Scenario): Promise<ScenarioReport> {
  const report = await scenario.run();
  expect(report.passed, report.toString()).toBe(true);
  expect(report.recoveryMs).toBeLessThan(5_000);
  return report;
}

/** A server of this process. */
async function serve(listener: RequestListener = (_, response) => response.end("x".repeat(200))) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Calls a URL through policies, over connections of its own. */
function client(url: string, connect: Agent.Options["connect"] = {}) {
  const agent = new Agent({ connect, connections: 50 });
  const stack: Resilient = resilient({
    name: url,
    idempotent: true,
    attemptTimeout: 500,
    retry: { attempts: 2, backoff: constant(20), budget: retryBudget({ minPerSecond: 0.2 }) },
    breaker: { consecutive: 8, open: 100, halfOpen: { probes: 2, required: 1 } },
  });
  return {
    task: async (): Promise<string> =>
      await stack(async ({ signal }) => {
        const response = await fetch(url, { signal, dispatcher: agent });
        const text = await response.text();
        if (!response.ok) throw Object.assign(new Error(text), { status: response.status });
        return text;
      }),
    async [Symbol.asyncDispose]() {
      await agent.destroy();
    },
  };
}

/** A server, a proxy in front of it and a client of the proxy. */
async function through() {
  const server = await serve();
  const proxy = await tcpProxy({ upstream: server.port, name: "api", seed: 1 });
  const api = client(`http://${proxy.address}`);
  return {
    proxy,
    task: api.task,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await proxy.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A server of another process, which may have so few descriptors. */
async function serveElsewhere(descriptors?: number) {
  const program = `
    const server = require("node:http").createServer((_, response) => response.end("ok"));
    server.listen(0, "127.0.0.1", () => console.log("port", server.address().port));
  `;
  const run = [process.execPath, "--eval", program];
  const [command = "", ...args] =
    descriptors === undefined ? run : ["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh", ...run];
  const child = spawnProcess(command, args);
  const port = Number((await child.waitForLine(/port (\d+)/))[1]);
  return { child, port, [Symbol.asyncDispose]: async () => await child[Symbol.asyncDispose]() };
}

// What is loaded and compiled on first use must not count as a failure before the fault.
beforeAll(async () => {
  await using api = await through();
  for (let i = 0; i < 30; i++) await api.task();
});

describe.concurrent("it recovers from", () => {
  test("a slow dependency", async () => {
    await using api = await through();
    const report = await recovers(scenarios.slowDependency({ ...scale, ...api, latency: 300, jitter: 50 }));
    expect(Math.max(...report.calls.map(({ startedAt, endedAt }) => endedAt - startedAt))).toBeGreaterThan(200);
  });

  test("a dependency that is down", async () => {
    await using api = await through();
    const report = await recovers(scenarios.dependencyDown({ ...scale, ...api }));
    expect(Object.keys(report.errors).length).toBeGreaterThan(0);
  });

  test("one that flaps", async () => {
    await using api = await through();
    const report = await recovers(scenarios.flapping({ ...scale, ...api, times: 3 }));
    expect(report.events.filter(({ kind }) => kind === "fault").length).toBe(3);
  });

  test("lost packets", async () => {
    await using api = await through();
    await recovers(scenarios.packetLoss({ ...scale, ...api, share: 0.3 }));
  });

  test("connection resets", async () => {
    await using api = await through();
    await recovers(scenarios.connectionResets({ ...scale, ...api, share: 0.7 }));
  });

  test("a half-open peer", async () => {
    await using api = await through();
    await recovers(scenarios.halfOpenPeer({ ...scale, ...api, lasts: 800 }));
  });

  test("slow bodies", async () => {
    await using api = await through();
    await recovers(scenarios.slowBody({ ...scale, ...api, bytes: 2, interval: 20 }));
  });

  test("a bandwidth that collapses", async () => {
    await using api = await through();
    await recovers(scenarios.bandwidthCollapse({ ...scale, ...api, bytesPerSecond: 200 }));
  });

  test("datagrams that are swapped, doubled and lost", async () => {
    using server = await datagrams({ echo: true });
    using own = await datagrams();
    await using proxy = await udpProxy({ upstream: server.port, name: "udp", seed: 1 });
    await recovers(scenarios.datagramChaos({ ...scale, proxy, share: 0.4, task: echoing(own, proxy.port) }));
    const [session] = proxy.sessions;
    expect((session?.upstream.lost ?? 0) + (session?.downstream.lost ?? 0)).toBeGreaterThan(0);
  });

  test("NAT rebinding", async () => {
    using server = await datagrams({ echo: true });
    using own = await datagrams();
    await using proxy = await udpProxy({ upstream: server.port, name: "udp", seed: 1 });
    await recovers(scenarios.natRebinding({ ...scale, proxy, task: echoing(own, proxy.port) }));
    expect(new Set(server.from).size).toBe(4);
  });

  test("a burst of errors", async () => {
    const faults = httpFaults([], { name: "api", seed: 1 });
    await using server = await serve(faults.listener((_, response) => response.end("ok")));
    await using api = client(`http://127.0.0.1:${server.port}`);
    await recovers(scenarios.errorBurst({ ...scale, faults, ...api }));
  });

  test("one of three endpoints that is down", async () => {
    await using server = await serve();
    await using one = await tcpProxy({ upstream: server.port, name: "one" });
    await using two = await tcpProxy({ upstream: server.port, name: "two" });
    await using three = await tcpProxy({ upstream: server.port, name: "three" });
    const proxies = [one, two, three];
    const agent = new Agent({ connections: 50 });
    const stack = resilient({
      name: "three endpoints",
      idempotent: true,
      attemptTimeout: 1_000,
      retry: { attempts: 3, backoff: constant(5), budget: retryBudget({ minPerSecond: 5 }) },
      balance: balance(
        proxies.map(({ name, address }) => ({ id: name, address })),
        roundRobin(),
      ),
    });
    const task = async (): Promise<string> =>
      await stack(async ({ signal }, { endpoint }) => {
        const response = await fetch(`http://${endpoint?.address}`, { signal, dispatcher: agent });
        return await response.text();
      });
    await recovers(scenarios.partialFailure({ ...scale, proxies, task }));
    await agent.destroy();
  });

  test("a gray failure", async () => {
    const faults = httpFaults([], { name: "api", seed: 1 });
    await using server = await serve(faults.listener((_, response) => response.end("ok")));
    await using api = client(`http://127.0.0.1:${server.port}`);
    await recovers(scenarios.grayFailure({ ...scale, faults, ...api, delay: 500, share: 0.4 }));
  });

  test("a thundering herd", async () => {
    await using api = await through();
    const { rate: _, ...times } = scale;
    await recovers(scenarios.thunderingHerd({ ...times, ...api, clients: 20, pause: 100 }));
  });

  test("names that are not found", async () => {
    await using server = await serve();
    const dns = lookupFaults();
    // Each call has a client of its own, so each looks the name up.
    const task = async (): Promise<string> => {
      await using fresh = client(`http://localhost:${server.port}`, { lookup: dns.lookup, family: 4 });
      return await fresh.task();
    };
    const report = await recovers(scenarios.dnsFailure({ ...scale, dns, task }));
    expect(Object.keys(report.errors).length).toBeGreaterThan(0);
  });

  onLinux("descriptors that are used up", async () => {
    await using server = await serveElsewhere(50);
    await using api = client(`http://127.0.0.1:${server.port}`);
    await recovers(scenarios.fdExhaustion({ ...scale, ...api, count: 100, target: server.port }));
  });

  test("a storm of retries, with no more than half as many attempts again", async () => {
    let attempts = 0;
    const faults = httpFaults([], { name: "api", seed: 1 });
    const listener = faults.listener((_, response) => response.end("ok"));
    await using server = await serve((request, response) => {
      attempts++;
      listener(request, response);
    });
    await using api = client(`http://127.0.0.1:${server.port}`);
    await recovers(scenarios.retryStorm({ ...scale, before: 300, rate: 50, faults, ...api, attempts: () => attempts }));
  });

  onLinux("pauses for garbage collection", async () => {
    await using server = await serveElsewhere();
    await using api = client(`http://127.0.0.1:${server.port}`);
    await recovers(scenarios.gcPause({ ...scale, ...api, process: server.child, times: 2 }));
  });
});

describe("it recovers, one after the other, from", () => {
  test("CPU pressure", async () => {
    await using api = await through();
    await recovers(scenarios.cpuPressure({ ...scale, ...api, lasts: 600 }));
  });

  test("memory pressure", async () => {
    await using api = await through();
    await recovers(scenarios.memoryPressure({ ...scale, ...api, bytes: 100_000_000 }));
  });
});

/** Sends numbered datagrams, and waits for each to come back. */
function echoing(own: Awaited<ReturnType<typeof datagrams>>, port: number) {
  const stack: Resilient = resilient({
    name: "echo",
    idempotent: true,
    attemptTimeout: 60,
    retry: { attempts: 4, backoff: constant(1) },
  });
  return async (_: unknown, number: number): Promise<void> => {
    await stack(async ({ signal }) => {
      own.send(String(number), port);
      await new Promise<void>((resolve, reject) => {
        const look = (data: Buffer): void => {
          if (String(data) === String(number)) done(resolve);
        };
        const give = (): void => done(() => reject(signal.reason));
        const done = (settle: () => void): void => {
          own.socket.off("message", look);
          signal.removeEventListener("abort", give);
          settle();
        };
        own.socket.setMaxListeners(0).on("message", look);
        signal.addEventListener("abort", give);
      });
    });
  };
}
