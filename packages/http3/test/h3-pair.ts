// A listener on a free port and clients of it, for tests.
import { createCertificates } from "@tooling/testing";
import { loadCurrentspace } from "../src/lib/currentspace.ts";
import type { Dispatch } from "../src/lib/exchange.ts";
import { Http3Client } from "../src/lib/h3-client.ts";
import { type Http3Listener, type ListenHttp3Options, listenHttp3 } from "../src/lib/h3-server.ts";

export interface Http3Pair extends AsyncDisposable {
  readonly listener: Http3Listener;
  readonly client: Http3Client;
  /** One more connection. */
  connect(): Http3Client;
  /** A header section of a GET request to it, to be bent by the test. */
  head(path: string): string[];
}

export async function startHttp3(dispatch: Dispatch, options: Partial<ListenHttp3Options> = {}): Promise<Http3Pair> {
  const { key, cert, ca } = await createCertificates();
  const listener = await listenHttp3({ port: 0, host: "127.0.0.1", key, cert, ...options }, dispatch);
  const { port } = listener;
  const clients: Http3Client[] = [];
  const connect = (): Http3Client => {
    const client = new Http3Client({
      engine: loadCurrentspace(),
      address: "127.0.0.1",
      port,
      servername: "localhost",
      ca,
    });
    clients.push(client);
    return client;
  };
  return {
    listener,
    client: connect(),
    connect,
    head: (path) => [":method", "GET", ":scheme", "https", ":authority", `localhost:${port}`, ":path", path],
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client.close();
      await listener.close();
    },
  };
}
