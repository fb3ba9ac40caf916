// Clients that keep asking over connections that stay open, until the server takes its leave as its protocol says.
import { connect as connectHttp2, constants } from "node:http2";
import { Agent, request as requestHttps } from "node:https";

const H3_REQUEST_REJECTED = 0x10b;

/** One request to send, and the check of what comes back. */
export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
}

/** What became of the requests of one client. */
export interface LoadClient {
  answered: number;
  /** Failed though the server had taken them on, or might have. */
  readonly failed: string[];
  /** Fulfils when the server is gone for this client. */
  done: Promise<void>;
}

/** `"gone"`: not taken on, so that it can be repeated elsewhere without a doubt. Throws for a failure. */
type Outcome = "answered" | "gone";

export interface LoadOptions {
  readonly port: number;
  readonly ca: string;
  /** Makes the next request. */
  readonly next: () => Ask;
  /** Told of each answer. */
  readonly answered: (ask: Ask, status: number) => void;
}

function run(options: LoadOptions, parallel: number, send: (ask: Ask) => Promise<Outcome>): LoadClient {
  const client: LoadClient = { answered: 0, failed: [], done: Promise.resolve() };
  const worker = async (): Promise<void> => {
    while (client.failed.length === 0) {
      try {
        if ((await send(options.next())) === "gone") return;
        client.answered++;
      } catch (error) {
        client.failed.push(String(error));
      }
    }
  };
  client.done = Promise.all(Array.from({ length: parallel }, worker)).then(() => {});
  return client;
}

/** Keep-alive connections of HTTP/1.1. */
export function loadHttp1(options: LoadOptions, parallel: number): LoadClient {
  const { port, ca, answered } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: parallel, ca });
  const client = run(options, parallel, (ask) => {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    let connected = false; // a request without a connection was never sent
    const headers = requestHeaders(ask);
    const request = requestHttps({ host: "localhost", port, agent, method: ask.method, path: ask.path, headers });
    request.on("socket", (socket) => {
      if (request.reusedSocket) connected = true;
      else socket.once("secureConnect", () => (connected = true));
    });
    request.on("response", (response) => {
      response.resume().on("error", reject);
      response.on("end", () => {
        answered(ask, response.statusCode ?? 0);
        resolve("answered");
      });
    });
    request.on("error", (error) => (connected ? reject(error) : resolve("gone")));
    request.end(ask.body);
    return promise;
  });
  void client.done.then(() => agent.destroy());
  return client;
}

/** Streams of one HTTP/2 connection. */
export function loadHttp2(options: LoadOptions, parallel: number): LoadClient {
  const { port, ca, answered } = options;
  const session = connectHttp2(`https://localhost:${port}`, { ca });
  session.on("error", () => {}); // the streams tell
  return run(options, parallel, (ask) => {
    if (session.closed || session.destroyed) return Promise.resolve("gone");
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const stream = session.request({ ":method": ask.method, ":path": ask.path, ...requestHeaders(ask) });
    let status = 0;
    stream.on("response", (headers) => {
      status = headers[":status"] ?? 0;
    });
    stream.on("error", () => {}); // "close" tells
    stream.resume().on("close", () => {
      if (status !== 0 && stream.rstCode === constants.NGHTTP2_NO_ERROR) {
        answered(ask, status);
        resolve("answered");
      } else if (stream.id === undefined || stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) resolve("gone");
      else reject(new Error(`HTTP/2 stream ended with code ${stream.rstCode}, status ${status}`));
    });
    stream.end(ask.body);
    return promise;
  });
}

/** Streams of one HTTP/3 connection. */
export async function loadHttp3(options: LoadOptions, parallel: number): Promise<LoadClient> {
  const { port, ca, answered } = options;
  const { connectAsync } = await import("@currentspace/http3"); // native: only there where it runs
  const session = await connectAsync(`127.0.0.1:${port}`, { ca, servername: "localhost", metricsIntervalMs: 0 });
  let goingAway = false;
  session.on("goaway", () => {
    goingAway = true;
  });
  session.on("error", () => {}); // the streams tell
  session.on("close", () => {
    goingAway = true;
  });
  const client = run(options, parallel, async (ask) => {
    if (goingAway) return "gone";
    const stream = await session
      .requestAsync(
        {
          ":method": ask.method,
          ":scheme": "https",
          ":authority": `localhost:${port}`,
          ":path": ask.path,
          ...requestHeaders(ask),
        },
        { endStream: ask.body === undefined },
      )
      .catch((error: unknown) => {
        if (goingAway) return undefined;
        throw error;
      });
    if (stream === undefined) return "gone";
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    let status = 0;
    stream.on("response", (headers) => {
      status = Number(headers[":status"]);
    });
    stream.on("data", () => {});
    stream.on("end", () => {
      answered(ask, status);
      resolve("answered");
    });
    stream.on("error", (error) => {
      // Not processed at all, as RFC 9114 section 4.1.1 has it. The client's types do not tell the code.
      if ((error as { h3Code?: number }).h3Code === H3_REQUEST_REJECTED) resolve("gone");
      else reject(error);
    });
    if (ask.body !== undefined) stream.end(ask.body);
    return promise;
  });
  client.done = client.done.then(() => session.close()).catch(() => {}); // it may have been closed from the other side
  return client;
}

function requestHeaders({ body }: Ask): Record<string, string> {
  return body === undefined
    ? {}
    : { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
}
