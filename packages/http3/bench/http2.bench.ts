// JSON over HTTP/2 with TLS, beside the server of Node.js that ours stands on.
import { once } from "node:events";
import { connect } from "node:http2";
import { text } from "node:stream/consumers";
import { h2load, serverBenchmark } from "@tooling/bench";
import { createCertificates } from "@tooling/testing";
import * as servers from "./servers.ts";

const ours = "@proj/http3";
const headers = { "content-type": "application/json" };
const load = { connections: 8, streams: 16 } as const;

const cases = {
  [ours]: async () => servers.startOurs({ tls: await createCertificates(), protocols: ["http/1.1", "h2"] }),
  "@proj/http3, platform Response": async () =>
    servers.startOursWithResponse({ tls: await createCertificates(), protocols: ["http/1.1", "h2"] }),
  "node:http2": servers.startNodeHttp2,
};

export const benchmarks = [
  serverBenchmark("GET of JSON over HTTP/2", {
    ours,
    cases,
    load: h2load(load),
    check: (url) => ask(url, "GET"),
    goal: { "node:http2": 1.18 },
  }),
  serverBenchmark("POST of JSON over HTTP/2", {
    ours,
    cases,
    load: h2load({ ...load, body: servers.order, headers }),
    check: (url) => ask(url, "POST", servers.order),
    goal: { "node:http2": 1.43 },
  }),
];

async function ask(url: string, method: string, body?: string): Promise<unknown> {
  const session = connect(url, { rejectUnauthorized: false }); // the authority lives in the server's process
  try {
    const stream = session.request({ ":method": method, ":path": "/", ...headers }).end(body);
    await once(stream, "response");
    return JSON.parse(await text(stream));
  } finally {
    session.destroy();
  }
}
