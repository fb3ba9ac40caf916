// "Hello" over HTTP/3 without a core on top: our adapter beside the stream classes that come with the engine.
import { createSecureServer } from "@currentspace/http3";
import { type Load, serverBenchmark } from "@tooling/bench";
import { createCertificates, freePort } from "@tooling/testing";
import { loadCurrentspace } from "../src/lib/currentspace.ts";
import { Http3Client } from "../src/lib/h3-client.ts";
import { listenHttp3 } from "../src/lib/h3-server.ts";

const cases = {
  "@proj/http3": async () => {
    const { key, cert } = await createCertificates();
    const { port } = await listenHttp3({ port: 0, host: "127.0.0.1", key, cert }, (exchange) =>
      exchange.respond(200, ["content-type", "text/plain"], "hello"),
    );
    return `https://localhost:${port}`;
  },
  "@currentspace/http3 streams": async () => {
    const { key, cert } = await createCertificates();
    const port = await freePort();
    const server = createSecureServer({ key, cert, metricsIntervalMs: 0, initialMaxStreamsBidi: 100 }, (stream) => {
      stream.respond({ ":status": "200", "content-type": "text/plain" });
      stream.end("hello");
    });
    server.listen(port, "127.0.0.1");
    return `https://localhost:${port}`;
  },
};

export const benchmarks = [1, 64].map((streams) =>
  serverBenchmark(`Hello over HTTP/3, ${streams} at once`, {
    ours: "@proj/http3",
    cases,
    load: load(streams),
    check: (url) => withClient(url, async (client) => (await client.request({ path: "/" })).text()),
    goal: { "@currentspace/http3 streams": 0.6 },
  }),
);

function load(streams: number): Load {
  return ({ url, seconds }) =>
    withClient(url, async (client) => {
      const start = performance.now();
      let requests = 0;
      const ask = async (): Promise<void> => {
        while (performance.now() - start < seconds * 1_000) {
          await (await client.request({ path: "/" })).bytes();
          requests += 1;
        }
      };
      await Promise.all(Array.from({ length: streams }, ask));
      return { requests, failed: 0, seconds: (performance.now() - start) / 1_000 };
    });
}

async function withClient<T>(url: string, use: (client: Http3Client) => Promise<T>): Promise<T> {
  const port = Number(new URL(url).port);
  const options = { engine: loadCurrentspace(), address: "127.0.0.1", servername: "localhost" };
  const client = new Http3Client({ ...options, port, verify: false }); // the authority lives in the server's process
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}
