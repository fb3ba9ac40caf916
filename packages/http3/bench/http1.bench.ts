// JSON over HTTP/1.1 without TLS, beside Node.js itself and the servers one would otherwise take.
import { type ServerBenchmarkOptions, serverBenchmark, wrk } from "@tooling/bench";
import * as servers from "./servers.ts";

const plain = { tls: false } as const;
const ours = "@proj/http3";

const cases = {
  [ours]: () => servers.startOurs(plain),
  "@proj/http3, platform Response": () => servers.startOursWithResponse(plain),
  "node:http": servers.startNodeHttp,
  fastify: servers.startFastify,
  hono: servers.startHono,
  srvx: servers.startSrvx,
  h3: servers.startH3,
} satisfies ServerBenchmarkOptions["cases"];

const headers = { "content-type": "application/json" };

export const benchmarks = [
  serverBenchmark("GET of JSON over HTTP/1.1", {
    ours,
    cases,
    load: wrk({ connections: 64 }),
    check: async (url) => (await fetch(url)).json(),
    goal: { "node:http": 1.18, fastify: 1.1, hono: 1 },
  }),
  serverBenchmark("POST of JSON over HTTP/1.1", {
    ours,
    cases,
    load: wrk({ connections: 64, body: servers.order, headers }),
    check: async (url) => (await fetch(url, { method: "POST", body: servers.order, headers })).json(),
    goal: { "node:http": 1.43, fastify: 1.1, hono: 1 },
  }),
];
