// Endpoints from a real etcd that is killed, compacted and cut off.
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { balance, type Endpoint, type ResilienceEvent, resilienceChannel, roundRobin } from "@proj/resilience";
import { type Discovery, etcd } from "@proj/resilience/discovery";
import { type EtcdServer, startEtcd, testWithTools } from "@tooling/testing";
import { afterEach, expect } from "vitest";
import { startRelay } from "./support/relay.ts";

const test = testWithTools("etcd");

const events: ResilienceEvent[] = [];
const listen = (event: unknown): void => void events.push(event as ResilienceEvent);

afterEach(() => {
  unsubscribe(resilienceChannel, listen);
  events.length = 0;
});

const prefix = "services/users/";
const fast = { backoff: () => 20, prefix };

async function put(server: EtcdServer, key: string, value: string, lease?: string): Promise<void> {
  await server.ask("/v3/kv/put", { key: btoa(prefix + key), value: btoa(value), ...(lease && { lease }) });
}

async function remove(server: EtcdServer, key: string): Promise<void> {
  await server.ask("/v3/kv/deleterange", { key: btoa(prefix + key) });
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

test("etcd() reads what is under the prefix and follows each change; what makes no sense is told and left out", async () => {
  subscribe(resilienceChannel, listen);
  await using server = await startEtcd();
  await put(server, "1", "10.0.0.1:80");
  await put(server, "2", JSON.stringify({ address: "10.0.0.2:80", weight: 2, metadata: { zone: "x" } }));
  await put(server, "3", JSON.stringify({ Op: 0, Addr: "10.0.0.3:80", Metadata: null }));
  await put(server, "bad", "{");
  await server.ask("/v3/kv/put", { key: btoa("services/users0"), value: btoa("beyond the prefix") });
  await using sets = iterate(etcd({ ...fast, url: server.url }));
  expect(await sets.next()).toEqual([
    { id: "1", address: "10.0.0.1:80" },
    { id: "2", address: "10.0.0.2:80", weight: 2, metadata: { zone: "x" } },
    { id: "3", address: "10.0.0.3:80" },
  ]);
  expect(events.at(0)).toMatchObject({ kind: "discovery-failed", error: { code: "ERR_DISCOVERY" } });
  await put(server, "1", "10.0.0.9:80");
  expect((await sets.addresses())?.[0]).toBe("10.0.0.9:80");
  await remove(server, "2");
  expect(await sets.addresses()).toEqual(["10.0.0.9:80", "10.0.0.3:80"]);
  await server.ask("/v3/kv/deleterange", { key: btoa(prefix), range_end: btoa("services/users0") });
  await put(server, "4", "10.0.0.4:80"); // all gone at once is not believed
  expect(await sets.addresses()).toEqual(["10.0.0.4:80"]);
});

test("an endpoint goes when its lease expires", async () => {
  await using server = await startEtcd();
  const { ID } = (await server.ask("/v3/lease/grant", { TTL: 1 })) as { readonly ID: string };
  await put(server, "1", "10.0.0.1:80");
  await put(server, "2", "10.0.0.2:80", ID);
  await using sets = iterate(etcd({ ...fast, url: server.url }));
  expect(await sets.addresses()).toEqual(["10.0.0.1:80", "10.0.0.2:80"]);
  expect(await sets.addresses()).toEqual(["10.0.0.1:80"]);
});

test("a balancer keeps its endpoints while etcd is dead by SIGKILL, and learns what it has missed when it is back", async () => {
  subscribe(resilienceChannel, listen);
  await using server = await startEtcd();
  await put(server, "1", "10.0.0.1:80");
  await put(server, "2", "10.0.0.2:80");
  await using balancer = balance(etcd({ ...fast, url: server.url }), roundRobin());
  await balancer.ready();
  await server.kill();
  await until(() => events.filter(({ kind }) => kind === "discovery-failed").length > 2);
  expect(balancer.endpoints.map(({ id }) => id)).toEqual(["1", "2"]);
  await server.restart();
  await put(server, "3", "10.0.0.3:80");
  await remove(server, "1");
  await until(() => `${balancer.endpoints.map(({ id }) => id)}` === "2,3");
});

test("a watch whose revision has been compacted reads all again, at once (kragniz/python-etcd3#134, cilium/cilium#3011)", async () => {
  subscribe(resilienceChannel, listen);
  await using server = await startEtcd();
  await using relay = await startRelay(server.url);
  await put(server, "1", "10.0.0.1:80");
  let isFirst = true;
  relay.before = async (path) => {
    if (path !== "/v3/watch" || !isFirst) return;
    isFirst = false;
    // Between the read and the watch: what happens here is in no history that the watch could follow.
    await put(server, "2", "10.0.0.2:80");
    await put(server, "2", "10.0.0.3:80");
    const { header } = (await server.ask("/v3/kv/range", { key: btoa("x") })) as { header: { revision: string } };
    await server.ask("/v3/kv/compaction", { revision: header.revision });
  };
  await using sets = iterate(etcd({ ...fast, url: relay.url, backoff: () => 1e9 }));
  expect(await sets.addresses()).toEqual(["10.0.0.1:80"]);
  expect(await sets.addresses()).toEqual(["10.0.0.1:80", "10.0.0.3:80"]);
  await put(server, "2", "10.0.0.4:80");
  expect(await sets.addresses()).toEqual(["10.0.0.1:80", "10.0.0.4:80"]);
  expect(events.filter(({ kind }) => kind === "discovery-failed")).toEqual([]);
});

test("a watch that has died without a word is found out when it is time to read all again", async () => {
  await using server = await startEtcd();
  await using relay = await startRelay(server.url);
  await put(server, "1", "10.0.0.1:80");
  relay.before = (path) => (path === "/v3/watch" ? "stall" : undefined);
  await using sets = iterate(etcd({ ...fast, url: relay.url, refresh: 100 }));
  expect(await sets.addresses()).toEqual(["10.0.0.1:80"]);
  await put(server, "1", "10.0.0.2:80");
  expect(await sets.addresses()).toEqual(["10.0.0.2:80"]);
});

test("etcd() turns to another member when one does not answer, and does not wait for it for ever", async () => {
  await using server = await startEtcd();
  await using relay = await startRelay(server.url);
  relay.before = () => "stall";
  await put(server, "1", "10.0.0.1:80");
  const options = { ...fast, url: [relay.url, server.url], timeout: 100, random: () => 0 };
  await using sets = iterate(etcd(options));
  expect(await sets.addresses()).toEqual(["10.0.0.1:80"]);
});

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
