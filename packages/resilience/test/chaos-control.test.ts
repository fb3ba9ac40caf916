// Everything that can be broken, steered from outside of the process.
import { request } from "node:http";
import {
  chaos,
  chaosControl,
  fault,
  httpFaults,
  lookupFaults,
  outcome,
  tcpProxy,
  udpProxy,
} from "@proj/resilience/chaos";
import { runTool } from "@tooling/testing";
import { expect, test } from "vitest";
import { datagrams, echoServer, TestClient, until } from "./support/chaos-servers.ts";

async function ask(url: string, method = "GET", body?: unknown): Promise<[number, Record<string, unknown>]> {
  const response = await fetch(url, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  return [response.status, (await response.json()) as Record<string, unknown>];
}

test("faults are added, replaced and taken away", async () => {
  await using proxy = await tcpProxy({ upstream: 1, name: "db" });
  const policy = chaos([], { name: "users", seed: 1 });
  const http = httpFaults([], { name: "api" });
  await using control = await chaosControl({ targets: [proxy, policy, http, lookupFaults()] });
  const [, all] = await ask(`${control.url}/targets`);
  expect((all["targets"] as { name: string }[]).map(({ name }) => name)).toEqual(["db", "users", "api", "dns"]);

  const faults = `${control.url}/targets/db/faults`;
  const [created, { id }] = await ask(faults, "POST", { type: "latency", latency: 5 });
  expect([created, proxy.toxics]).toEqual([201, [{ type: "latency", latency: 5 }]]);
  await ask(faults, "POST", { type: "down" });
  expect(proxy.stats().listening).toBe(false);
  expect((await ask(`${faults}/${String(id)}`, "DELETE"))[1]["faults"]).toEqual([{ type: "down" }]);
  expect((await ask(`${faults}/${String(id)}`, "DELETE"))[0]).toBe(404);
  expect((await ask(faults, "PUT", [{ type: "drop" }, { type: "reset", share: 0.5 }]))[0]).toBe(200);
  expect(proxy.toxics.map(({ type }) => type)).toEqual(["drop", "reset"]);
  expect((await ask(faults, "DELETE"))[1]).toMatchObject({ name: "db", faults: [], stats: { listening: true } });

  await ask(`${control.url}/targets/users/faults`, "POST", { kind: "hang", key: "a" });
  await ask(`${control.url}/targets/api/faults`, "POST", { kind: "status", status: 500 });
  expect(policy.rules).toEqual([{ kind: "hang", key: "a" }]);
  expect((await ask(`${control.url}/targets/users`, "PATCH", { enabled: false }))[0]).toBe(200);
  expect(policy.enabled).toBe(false);
  expect((await ask(`${control.url}/reset`, "POST"))[0]).toBe(200);
  expect([policy.rules, http.rules]).toEqual([[], []]);
});

test("another process takes a dependency down and heals it", async () => {
  await using server = await echoServer();
  await using proxy = await tcpProxy({ upstream: server.port, name: "db" });
  await using control = await chaosControl({ targets: [proxy] });
  const program = `
    const [url, method] = process.argv.slice(1);
    const headers = { "content-type": "application/json" };
    const init = method === "POST" ? { method, headers, body: '{"type":"down"}' } : { method };
    process.exitCode = (await fetch(url + "/targets/db/faults", init)).ok ? 0 : 1;
  `;
  const other = async (method: string) =>
    await runTool(process.execPath, ["--input-type=module", "--eval", program, control.url, method]);
  expect((await other("POST")).code).toBe(0);
  using refused = new TestClient(proxy.port);
  await refused.closed;
  expect(refused.error?.code).toBe("ECONNREFUSED");
  expect((await other("DELETE")).code).toBe(0);
  using client = new TestClient(proxy.port);
  client.socket.write("a");
  await until(() => client.text === "a");
});

test("the clients of a UDP proxy are rebound", async () => {
  using server = await datagrams();
  using client = await datagrams();
  await using proxy = await udpProxy({ upstream: server.port, name: "quic" });
  await using control = await chaosControl({ targets: [proxy] });
  client.send("1", proxy.port);
  await until(() => server.received.length === 1);
  expect((await ask(`${control.url}/targets/quic/rebind`, "POST"))[0]).toBe(200);
  client.send("2", proxy.port);
  await until(() => server.received.length === 2);
  expect(server.from[0]).not.toBe(server.from[1]);
});

test("what makes no sense is refused, and tells why", async () => {
  await using proxy = await tcpProxy({ upstream: 1, name: "db" });
  await using control = await chaosControl({ targets: [proxy, chaos([], { name: "users" }), lookupFaults()] });
  const cases: [string, string, unknown, number, RegExp][] = [
    ["/targets/db/faults", "POST", { type: "explode" }, 422, /type must be one of/],
    ["/targets/db/faults", "POST", { type: "drop", rate: 1 }, 422, /has no option rate/],
    ["/targets/users/faults", "POST", { kind: "fault", rat: 0.1 }, 422, /has no option rat/],
    ["/targets/users/faults", "POST", { kind: "fault", error: "no" }, 422, /error must be an Error or a function/],
    ["/targets/users/faults", "POST", { kind: "fault", when: "always" }, 422, /when must be a function/],
    ["/targets/dns/faults", "POST", { kind: "fail", hots: "a" }, 422, /has no option hots/],
    ["/targets/db/faults", "PUT", { type: "drop" }, 422, /must be a list/],
    ["/targets/db/faults", "PATCH", {}, 405, /no PATCH/],
    ["/targets/db", "PATCH", { enabled: false }, 422, /not on a proxy/],
    ["/targets/db/rebind", "POST", undefined, 404, /no \/targets\/db\/rebind/],
    ["/targets/nobody", "GET", undefined, 404, /no target nobody/],
    ["/elsewhere", "GET", undefined, 404, /no \/elsewhere/],
    ["/targets/%ff", "GET", undefined, 400, /cannot be read/],
  ];
  for (const [path, method, body, status, message] of cases) {
    const [got, { error }] = await ask(control.url + path, method, body);
    expect([path, method, got]).toEqual([path, method, status]);
    expect(error).toMatch(message);
  }
  expect(proxy.toxics).toEqual([]);
});

test("whatever rules hold can be told", async () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  const rules = [
    outcome({ value: cycle }),
    outcome({ value: 1n }),
    outcome({ value: () => 1, key: /^a/ }),
    fault({ error: new Error("no"), when: () => true }),
  ];
  await using control = await chaosControl({ targets: [chaos(rules, { name: "all" })] });
  expect((await ask(`${control.url}/targets/all`))[1]["faults"]).toEqual([
    { kind: "outcome", value: "an object" },
    { kind: "outcome", value: "1" },
    { kind: "outcome", value: "a function", key: "/^a/" },
    { kind: "fault", error: "Error: no", when: "a function" },
  ]);
});

test("a body that is too large, or none, is refused, and the server goes on", async () => {
  const policy = chaos([], { name: "all" });
  await using control = await chaosControl({ targets: [policy] });
  const faults = `${control.url}/targets/all/faults`;
  for (let i = 0; i < 5; i++) {
    const [status, { error }] = await ask(faults, "POST", { kind: "hang", name: "x".repeat(3_000_000) });
    expect([status, error]).toEqual([413, "The body must have at most 1048576 bytes"]);
  }
  const headers = { "content-type": "application/json" };
  for (const body of ["", "{", "1", "null", '"x"']) {
    expect([body, (await fetch(faults, { method: "POST", headers, body })).status]).toEqual([body, 400]);
  }
  using leaving = new TestClient(control.port);
  leaving.socket.write("POST /targets/all/faults HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
  leaving.socket.write("content-length: 100\r\n\r\n{");
  leaving.socket.end();
  await leaving.closed;
  expect((await ask(faults, "POST", { kind: "hang" }))[0]).toBe(201);
  expect(policy.rules.length).toBe(1);
});

test("what a page in a browser could send is refused", async () => {
  await using proxy = await tcpProxy({ upstream: 1, name: "db" });
  await using control = await chaosControl({ targets: [proxy] });
  const send = async (headers: Record<string, string>): Promise<number | undefined> =>
    await new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: control.port, method: "POST", path: "/targets/db/faults", headers };
      const outgoing = request(options, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      outgoing.on("error", reject);
      outgoing.end('{"type":"down"}');
    });
  const json = { "content-type": "application/json" };
  expect(await send({ ...json, origin: "https://evil.example" })).toBe(403);
  expect(await send({ ...json, host: "evil.example" })).toBe(403);
  expect(await send({ "content-type": "text/plain" })).toBe(415);
  expect(proxy.toxics).toEqual([]);
  expect(await send({ ...json, host: `localhost:${control.port}` })).toBe(201);
});

test("names are needed, and needed once", async () => {
  await using control = await chaosControl();
  expect(() => control.register(chaos())).toThrow(/it needs a name/);
  const listing = control.register(chaos([], { name: "one" }));
  expect(() => control.register(chaos([], { name: "one" }))).toThrow(/another one with the name one/);
  listing[Symbol.dispose]();
  control.register(chaos([], { name: "one" }));
  await control.close();
  expect(() => control.register(chaos([], { name: "two" }))).toThrow(/closed/);
});
