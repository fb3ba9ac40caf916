// Endpoints from servers and files that really come, change, fail and come back.

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { promises } from "node:dns";
import { mkdir, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TestClock } from "@proj/concurrency/testing";
import { balance, type Endpoint, type ResilienceEvent, resilienceChannel, roundRobin } from "@proj/resilience";
import { consul, type Discovery, dns, file } from "@proj/resilience/discovery";
import { spawnProcess, temporaryFolder } from "@tooling/testing";
import { afterEach, expect, test } from "vitest";
import { ConsulServer } from "./support/consul-server.ts";
import { type DnsRecord, startDnsServer } from "./support/dns-server.ts";

const events: ResilienceEvent[] = [];
let heard: (() => void) | undefined;
const listen = (event: unknown): void => {
  events.push(event as ResilienceEvent);
  heard?.();
};

afterEach(() => {
  unsubscribe(resilienceChannel, listen);
  events.length = 0;
});

/** Resolves when so many failures of discoveries have been told. */
async function failures(count: number): Promise<unknown[]> {
  for (;;) {
    const errors = events.flatMap((event) => (event.kind === "discovery-failed" ? [event.error] : []));
    if (errors.length >= count) return errors;
    await new Promise<void>((resolve) => {
      heard = resolve;
    });
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}

function iterate(source: Discovery) {
  const sets = source[Symbol.asyncIterator]();
  return {
    async next(): Promise<readonly Endpoint[] | undefined> {
      return (await sets.next()).value;
    },
    async addresses(): Promise<string[] | undefined> {
      return (await this.next())?.map(({ address }) => address);
    },
    [Symbol.asyncDispose]: async () => void (await sets.return?.()),
  };
}

const a = (last: number, ttl = 5): DnsRecord => ({ type: "A", address: `10.0.0.${last}`, ttl });

async function dnsSetup() {
  const server = await startDnsServer();
  const resolver = new promises.Resolver({ timeout: 100, tries: 2 });
  resolver.setServers([server.address]);
  return { server, resolver, clock: new TestClock() };
}

test("dns() asks again when the shortest TTL of an answer is over, and tells what has changed", async () => {
  const { server, resolver, clock } = await dnsSetup();
  await using _server = server;
  server.records.set("users.test", [a(1, 5), a(2, 300)]);
  await using sets = iterate(dns("users.test", { port: 8080, resolver, clock, random: () => 0 }));
  expect(await sets.addresses()).toEqual(["10.0.0.1:8080", "10.0.0.2:8080"]);

  server.records.set("users.test", [a(3, 5), a(2, 300), a(1, 300)]);
  await clock.advance(4_999);
  expect(server.questions).toBe(1);
  await clock.advance(1);
  expect(await sets.addresses()).toEqual(["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"]);

  server.records.set("users.test", [a(1, 300), a(3, 5), a(2, 300)]); // shuffled only
  await clock.advance(5_000);
  await until(() => server.questions === 3);
  server.records.set("users.test", [a(3, 300)]);
  await until(() => clock.timers === 1);
  await clock.advance(5_000);
  expect(await sets.addresses()).toEqual(["10.0.0.3:8080"]);
});

test("dns() keeps to the bounds of the TTL", async () => {
  const { server, resolver, clock } = await dnsSetup();
  await using _server = server;
  server.records.set("short.test", [a(1, 0)]);
  server.records.set("long.test", [a(1, 86_400)]);
  const ttl = { min: 2_000, max: 30_000 };
  await using short = iterate(dns("short.test", { resolver, clock, ttl, random: () => 0 }));
  await using long = iterate(dns("long.test", { resolver, clock, ttl, random: () => 0 }));
  expect(await short.addresses()).toEqual(["10.0.0.1"]);
  await clock.advance(1_999);
  expect(server.questions).toBe(1);
  server.records.set("short.test", [a(2, 86_400)]);
  await clock.advance(1);
  expect(await short.addresses()).toEqual(["10.0.0.2"]);
  expect(await long.addresses()).toEqual(["10.0.0.1"]);
  server.records.set("long.test", [a(2)]);
  await clock.advance(30_000);
  expect(await long.addresses()).toEqual(["10.0.0.2"]);
});

test("dns() keeps what it knows while the server fails, does not answer, or says that there is nothing", async () => {
  subscribe(resilienceChannel, listen);
  const { server, resolver, clock } = await dnsSetup();
  await using _server = server;
  server.records.set("users.test", [a(1, 1)]);
  await using sets = iterate(dns("users.test", { resolver, clock, random: () => 0, backoff: () => 1_000 }));
  expect(await sets.addresses()).toEqual(["10.0.0.1"]);
  server.mode = "servfail";
  await clock.advance(1_000);
  expect(await failures(1)).toMatchObject([{ code: "ESERVFAIL" }]);
  server.mode = "silent";
  await clock.advance(1_000);
  expect((await failures(2))[1]).toMatchObject({ code: "ETIMEOUT" });
  server.mode = "answer";
  server.records.delete("users.test");
  await clock.advance(1_000);
  expect((await failures(3))[2]).toMatchObject({ code: "ERR_DISCOVERY" });
  server.records.set("users.test", []);
  await clock.advance(10_000);
  await failures(4);
  server.records.set("users.test", [a(2)]);
  await clock.advance(10_000);
  expect(await sets.addresses()).toEqual(["10.0.0.2"]);
});

test("dns() gives up on a resolver that never answers", async () => {
  subscribe(resilienceChannel, listen);
  const clock = new TestClock();
  const never = (): Promise<never> => new Promise(() => {});
  const resolver = { resolve4: never, resolve6: never, resolveSrv: never };
  await using sets = iterate(dns("users.test", { resolver, clock, timeout: 3_000 }));
  const next = sets.next();
  await clock.advance(3_000);
  expect(await failures(1)).toMatchObject([{ name: "TimeoutError" }]);
  await sets[Symbol.asyncDispose]();
  expect(await next).toBeUndefined();
});

test("dns() understands AAAA and SRV: ports, weights, the best priority only, and `.` for nothing", async () => {
  const { server, resolver, clock } = await dnsSetup();
  await using _server = server;
  server.records.set("six.test", [{ type: "AAAA", address: "fd00::1", ttl: 5 }]);
  await using six = iterate(dns("six.test", { type: "AAAA", port: 443, resolver, clock }));
  expect(await six.addresses()).toEqual(["[fd00::1]:443"]);

  const srv = (target: string, port: number, priority: number, weight: number): DnsRecord => {
    return { type: "SRV", target, port, priority, weight, ttl: 5 };
  };
  const name = "_http._tcp.users.test";
  server.records.set(name, [srv("a.test", 80, 10, 60), srv("b.test", 81, 10, 0), srv("spare.test", 82, 20, 1)]);
  const address = (host: string, port: number): string => `http://${host}:${port}`;
  await using services = iterate(
    dns(name, { type: "SRV", resolver, clock, address, empty: "accept", ttl: { unknown: 7_000 }, random: () => 0 }),
  );
  expect(await services.next()).toEqual([
    { id: "http://a.test:80", address: "http://a.test:80", weight: 60 },
    { id: "http://b.test:81", address: "http://b.test:81", weight: 0.1 },
  ]);
  server.records.set(name, [srv("a.test", 80, 10, 0), srv("b.test", 81, 10, 0)]);
  await clock.advance(7_000);
  expect((await services.next())?.map(({ weight }) => weight)).toEqual([1, 1]);
  server.records.set(name, [srv(".", 0, 0, 0)]);
  await clock.advance(7_000);
  expect(await services.next()).toEqual([]);
});

const fast = { backoff: () => 1, random: () => 0 };

test("consul() follows a service by blocking queries", async () => {
  await using agent = await ConsulServer.start();
  agent.set([
    { id: "u1", port: 80, address: "10.0.0.1", weights: { Passing: 3, Warning: 1 }, meta: { zone: "x" } },
    { id: "u2", port: 81, status: "warning", weights: { Passing: 3, Warning: 1 } },
    { id: "u3", port: 82, status: "critical" },
  ]);
  await using sets = iterate(consul({ service: "users", url: agent.url, token: "secret", ...fast }));
  expect(await sets.next()).toEqual([
    { id: "node-1/u1", address: "10.0.0.1:80", weight: 3, metadata: { zone: "x" } },
    { id: "node-1/u2", address: "10.9.9.9:81", weight: 1, metadata: {} },
  ]);
  await until(() => agent.waiting === 1);
  agent.set([{ id: "u1", port: 90, address: "10.0.0.1" }]);
  expect(await sets.addresses()).toEqual(["10.0.0.1:90"]);
  await until(() => agent.waiting === 1);
  agent.wake(); // nothing has changed
  await until(() => agent.queries.length === 4);
  agent.set([{ id: "u1", port: 91, address: "10.0.0.1" }]);
  expect(await sets.addresses()).toEqual(["10.0.0.1:91"]);
  expect(agent.queries.slice(0, 4)).toEqual([
    { index: "0", wait: "60s", isStale: false, token: "secret" },
    { index: "11", wait: "60s", isStale: false, token: "secret" },
    { index: "12", wait: "60s", isStale: false, token: "secret" },
    { index: "12", wait: "60s", isStale: false, token: "secret" },
  ]);
});

test("consul() starts over when the index goes backwards (silas/node-consul#135, simplesurance/grpcconsulresolver#26)", async () => {
  await using agent = await ConsulServer.start();
  agent.set([{ id: "u1", port: 80 }], 1_000);
  await using sets = iterate(consul({ service: "users", url: agent.url, ...fast }));
  expect(await sets.addresses()).toEqual(["10.9.9.9:80"]);
  await until(() => agent.waiting === 1);
  agent.set([{ id: "u1", port: 81 }], 20); // a snapshot was restored
  expect(await sets.addresses()).toEqual(["10.9.9.9:81"]);
  await until(() => agent.waiting === 1);
  agent.set([{ id: "u1", port: 82 }], 21); // with the index of before it would wait for one above 1,000
  expect(await sets.addresses()).toEqual(["10.9.9.9:82"]);
  expect(agent.queries.slice(0, 4).map(({ index }) => index)).toEqual(["0", "1000", "0", "20"]);
});

test("consul() waits with an index of 1 when it is told 0, and does not spin (networknt/light-4j#2320)", async () => {
  await using agent = await ConsulServer.start();
  agent.set([{ id: "u1", port: 80 }], 1);
  agent.index = "0";
  await using sets = iterate(consul({ service: "users", url: agent.url, ...fast }));
  expect(await sets.addresses()).toEqual(["10.9.9.9:80"]);
  await until(() => agent.waiting === 1);
  expect(agent.queries.map(({ index }) => index)).toEqual(["0", "1"]);
});

test("consul() asks at a modest pace where a proxy has taken the index away", async () => {
  await using agent = await ConsulServer.start();
  const clock = new TestClock();
  agent.set([{ id: "u1", port: 80 }]);
  agent.index = null;
  await using sets = iterate(consul({ service: "users", url: agent.url, clock, ...fast }));
  expect(await sets.addresses()).toEqual(["10.9.9.9:80"]);
  agent.set([{ id: "u1", port: 81 }]);
  await clock.advance(9_999);
  expect(agent.queries).toHaveLength(1);
  await clock.advance(1);
  expect(await sets.addresses()).toEqual(["10.9.9.9:81"]);
});

test("consul() keeps what it knows through errors and broken connections, and turns to another agent", async () => {
  subscribe(resilienceChannel, listen);
  await using agent = await ConsulServer.start();
  await using other = await ConsulServer.start();
  agent.set([{ id: "u1", port: 80 }]);
  other.set([{ id: "u1", port: 81 }]);
  await using sets = iterate(consul({ service: "users", url: [agent.url, other.url], ...fast }));
  expect(await sets.addresses()).toEqual(["10.9.9.9:80"]);
  await until(() => agent.waiting === 1);
  other.status = 500;
  agent.cut();
  expect((await failures(1))[0]).toMatchObject({ code: "ECONNRESET" });
  expect((await failures(2))[1]).toMatchObject({ code: "ERR_DISCOVERY", status: 500 });
  agent.status = 503; // both fail by now
  await until(() => agent.queries.length >= 3);
  other.status = 200;
  expect(await sets.addresses()).toEqual(["10.9.9.9:81"]);
});

test("consul() takes answers from any server only as long as they are fresh enough", async () => {
  await using agent = await ConsulServer.start();
  agent.set([{ id: "u1", port: 80 }]);
  agent.lastContact = 400;
  await using sets = iterate(consul({ service: "users", url: agent.url, staleness: 500, ...fast }));
  expect(await sets.addresses()).toEqual(["10.9.9.9:80"]);
  await until(() => agent.waiting === 1);
  agent.lastContact = 600;
  agent.set([{ id: "u1", port: 81 }]);
  expect(await sets.addresses()).toEqual(["10.9.9.9:81"]);
  expect(agent.queries.slice(0, 3).map(({ isStale }) => isStale)).toEqual([true, true, false]);
});

test("consul() lets go of its query when the iteration ends", async () => {
  await using agent = await ConsulServer.start();
  agent.set([{ id: "u1", port: 80 }]);
  await using balancer = balance(consul({ service: "users", url: agent.url, ...fast }), roundRobin());
  await balancer.ready();
  await until(() => agent.waiting === 1);
  await balancer.close();
  await until(() => agent.waiting === 0);
});

test("file() follows writes, renames and links, and keeps the last good content", async () => {
  subscribe(resilienceChannel, listen);
  await using folder = await temporaryFolder();
  const path = join(folder.path, "users.json");
  const replace = async (content: string): Promise<void> => {
    await writeFile(`${path}.new`, content);
    await rename(`${path}.new`, path);
  };
  await writeFile(path, JSON.stringify(["a:1", { id: "b", address: "b:1", weight: 3 }]));
  await using sets = iterate(file(path, { interval: 600_000 }));
  expect(await sets.next()).toEqual([
    { id: "a:1", address: "a:1" },
    { id: "b", address: "b:1", weight: 3 },
  ]);
  await replace(JSON.stringify({ endpoints: ["c:1"] }));
  expect(await sets.addresses()).toEqual(["c:1"]);
  await replace("[");
  expect(await failures(1)).toMatchObject([{ code: "ERR_DISCOVERY", cause: expect.any(SyntaxError) }]);
  await replace('{"endpoints":{}}');
  await failures(2);
  await replace('[{"id":1}]');
  expect((await failures(3))[2]).toBeInstanceOf(TypeError);
  await unlink(path);
  expect((await failures(4))[3]).toMatchObject({ code: "ENOENT" });
  await replace('["d:1"]');
  expect(await sets.addresses()).toEqual(["d:1"]);
});

test("file() follows a mounted ConfigMap, whose files are links to a folder that is exchanged", async () => {
  await using folder = await temporaryFolder();
  const at = (...names: string[]): string => join(folder.path, ...names);
  for (const version of ["1", "2"]) {
    await mkdir(at(`..${version}`));
    await writeFile(at(`..${version}`, "users.json"), `["10.0.0.${version}:80"]`);
  }
  await symlink("..1", at("..data"));
  await symlink(join("..data", "users.json"), at("users.json"));
  await using sets = iterate(file(at("users.json"), { interval: 600_000 }));
  expect(await sets.addresses()).toEqual(["10.0.0.1:80"]);
  await symlink("..2", at("..data_tmp"));
  await rename(at("..data_tmp"), at("..data"));
  expect(await sets.addresses()).toEqual(["10.0.0.2:80"]);
});

test("file() looks regularly where nothing tells it of changes, and for a folder that is not there yet", async () => {
  await using folder = await temporaryFolder();
  const clock = new TestClock();
  const path = join(folder.path, "later", "users.json");
  await using sets = iterate(file(path, { interval: 1_000, clock }));
  const next = sets.addresses();
  await until(() => clock.timers === 1);
  await mkdir(join(folder.path, "later"));
  await writeFile(path, '["a:1"]');
  await clock.advance(1_000);
  expect(await next).toEqual(["a:1"]);
  await rm(path);
});

test("neither a watch nor a check keeps the process alive", async () => {
  await using agent = await ConsulServer.start();
  await using folder = await temporaryFolder();
  const path = join(folder.path, "users.json");
  await writeFile(path, '["a:1"]');
  agent.set([{ id: "u1", port: 80 }]);
  const program = `
    import { balance, roundRobin } from "@proj/resilience";
    import { consul, dns, file } from "@proj/resilience/discovery";
    const healthCheck = { check: () => true, interval: 100 };
    const sources = [consul({ service: "users", url: "${agent.url}" }), file(${JSON.stringify(path)})];
    const balancers = sources.map((source) => balance(source, roundRobin(), { healthCheck }));
    await Promise.all(balancers.map((balancer) => balancer.ready()));
    console.log("ready");
  `;
  await using child = spawnProcess(
    process.execPath,
    ["--conditions=@proj/source", "--input-type=module", "--eval", program],
    { cwd: import.meta.dirname },
  );
  await child.waitForLine(/ready/);
  expect(await child.exited).toEqual({ code: 0, signal: null });
});
