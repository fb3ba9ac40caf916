// Servers of one test's own, which do with a request what the test wants.
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  /** As far as it came. */
  body: string;
}

export interface TestServer extends AsyncDisposable {
  readonly origin: string;
  readonly port: number;
  /** All requests so far. */
  readonly seen: readonly Seen[];
  /** How many connections were made. */
  readonly connections: number;
}

export type Answer = (response: ServerResponse, request: Seen, number: number) => void;

/** Answers the first request by the first function, and so on; the last one answers all that follow. */
export async function serve(...answers: readonly Answer[]): Promise<TestServer> {
  const seen: Seen[] = [];
  let connections = 0;
  const listener: RequestListener = (message, response) => {
    const { method = "", url = "", headers } = message;
    const request: Seen = { method, url, headers, body: "" };
    seen.push(request);
    const number = seen.length;
    const answer = answers[Math.min(number, answers.length) - 1];
    message.setEncoding("utf8").on("data", (text: string) => {
      request.body += text;
    });
    message.on("error", () => {});
    message.on("end", () => answer?.(response, request, number));
  };
  const server = createServer(listener);
  server.on("connection", () => connections++);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    seen,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Answers with a status, headers and the method and body of the request. */
export function status(code: number, headers: Record<string, string> = {}): Answer {
  return (response, { method, body }) => {
    response.writeHead(code, headers).end(code === 204 || code === 304 ? undefined : `${method} ${body}`);
  };
}

/** Ends the connection without an answer. */
export const reset: Answer = (response) => response.socket?.resetAndDestroy();

/** Says nothing, for ever. */
export const silence: Answer = () => {};

/** Begins an answer, and ends the connection in the middle of it. */
export const breakOff: Answer = (response) => {
  response.writeHead(200, { "content-length": "100" });
  response.write("the beginning", () => setTimeout(() => response.socket?.resetAndDestroy(), 20));
};
