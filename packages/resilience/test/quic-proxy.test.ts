// HTTP/3 through the UDP proxy: a real QUIC connection survives datagrams that are lost, late, swapped, doubled and spoilt.
import { connectAsync, createSecureServer } from "@currentspace/http3";
import { type UdpToxic, udpProxy } from "@proj/resilience/chaos";
import { createCertificates, freePort } from "@tooling/testing";
import { expect, test } from "vitest";
import { until } from "./support/chaos-servers.ts";

const body = "x".repeat(100_000);

async function startServer() {
  const { key, cert, ca } = await createCertificates();
  const server = createSecureServer({ key, cert, disableActiveMigration: false }, (stream, headers) => {
    stream.respond({ ":status": "200", "content-type": "text/plain" });
    stream.end(body + String(headers[":path"]));
  });
  const port = await freePort(); // it takes the port for TCP as well, and does not try another one
  server.listen(port, "127.0.0.1");
  await until(() => server.address() !== null);
  return { port, ca, [Symbol.asyncDispose]: async () => void (await server.close()) };
}

async function get(session: Awaited<ReturnType<typeof connectAsync>>, path: string): Promise<string> {
  const headers = { ":method": "GET", ":path": path, ":authority": "localhost", ":scheme": "https" };
  const stream = session.request(headers, { endStream: true });
  let text = "";
  for await (const part of stream as AsyncIterable<Buffer>) text += String(part);
  return text;
}

test("a QUIC connection survives a bad network, without a byte wrong", async () => {
  await using server = await startServer();
  await using proxy = await udpProxy({ upstream: server.port, seed: 3 });
  const session = await connectAsync(`127.0.0.1:${proxy.port}`, { ca: server.ca, servername: "localhost" });
  try {
    expect(await get(session, "/fine")).toBe(`${body}/fine`);
    const bad: UdpToxic[] = [
      { type: "latency", latency: 2, jitter: 2, direction: "both" },
      { type: "loss", rate: 0.05, direction: "both" },
      { type: "reorder", rate: 0.1, direction: "both" },
      { type: "duplicate", rate: 0.1, direction: "both" },
      { type: "corrupt", rate: 0.05, direction: "both" },
    ];
    proxy.set(bad);
    const kinds = ["lost", "reordered", "duplicated", "corrupted"] as const;
    const [known] = proxy.sessions;
    const happened = (kind: (typeof kinds)[number]): boolean =>
      (known?.upstream[kind] ?? 0) + (known?.downstream[kind] ?? 0) > 2;
    for (let i = 0; i < 3 || !kinds.every(happened); i++) expect(await get(session, `/${i}`)).toBe(`${body}/${i}`);
  } finally {
    await session.close();
  }
});
