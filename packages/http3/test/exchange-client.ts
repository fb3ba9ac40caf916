// A server on a free port, and one small client for each protocol with the same interface.
import type { LookupAddress } from "node:dns";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { Agent, request as requestHttp1 } from "node:https";
import { Readable, type Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { createCertificates } from "@tooling/testing";
import { type Handler, type Protocol, type ServeOptions, type Server, serve } from "../src/index.ts";
import { loadCurrentspace } from "../src/lib/currentspace.ts";
import { Http3Client } from "../src/lib/h3-client.ts";

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  /** Flat list. */
  readonly headers?: readonly string[];
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
}

export interface Answer {
  readonly status: number;
  /** All values of a field, in order. */
  all(name: string): string[];
  readonly body: Buffer;
  json(): unknown;
}

/** One connection of a client. */
export interface Client extends AsyncDisposable {
  ask(ask?: Ask): Promise<Answer>;
}

/** The protocols that this machine can speak. */
export const protocols: readonly Protocol[] = hasEngine() ? ["http/1.1", "h2", "h3"] : ["http/1.1", "h2"];

export async function start(handler: Handler, options: ServeOptions = {}): Promise<Server> {
  const { key, cert } = await createCertificates();
  return serve(handler, { port: 0, host: "127.0.0.1", tls: { key, cert }, onEvent: () => {}, protocols, ...options });
}

export async function connect(protocol: Protocol, { port }: Server): Promise<Client> {
  const { ca } = await createCertificates();
  if (protocol === "http/1.1") return connectH1(port, ca);
  return protocol === "h2" ? connectH2(port, ca) : connectH3(port, ca);
}

/** One request on a connection of its own. */
export async function ask(protocol: Protocol, server: Server, options: Ask = {}): Promise<Answer> {
  await using client = await connect(protocol, server);
  return await client.ask(options);
}

function connectH1(port: number, ca: string): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
  return {
    ask: ({ method = "GET", path = "/", headers = [], body } = {}) =>
      new Promise((resolve, reject) => {
        const host = ["host", `localhost:${port}`, ...headers];
        const chunked = body === undefined || body instanceof Uint8Array ? [] : ["transfer-encoding", "chunked"];
        const list = [...host, ...lengthOf(body), ...chunked];
        const request = requestHttp1({ host: "127.0.0.1", port, method, path, headers: list, agent }, (response) => {
          buffer(response).then(
            (bytes) => resolve(answer(response.statusCode ?? 0, response.rawHeaders, bytes)),
            reject,
          );
        });
        request.on("error", reject);
        send(request, body, reject);
      }),
    async [Symbol.asyncDispose]() {
      agent.destroy();
    },
  };
}

async function connectH2(port: number, ca: string): Promise<Client> {
  const session = await openHttp2(port, ca);
  return {
    ask: ({ method = "GET", path = "/", headers = [], body } = {}) =>
      new Promise((resolve, reject) => {
        const list = [
          ":method",
          method,
          ":path",
          path,
          ":scheme",
          "https",
          ":authority",
          `localhost:${port}`,
          ...headers,
          ...lengthOf(body),
        ];
        const stream = session.request(list, { endStream: body === undefined });
        let head: { status: number; raw: string[] } | undefined;
        stream.on("response", (fields, _flags, raw) => {
          head = { status: Number(fields[":status"]), raw: raw as unknown as string[] };
        });
        stream.on("error", reject);
        const closed = new Promise((resolve) => stream.once("close", resolve));
        Promise.all([buffer(stream), closed]).then(([bytes]) => {
          if (stream.rstCode !== constants.NGHTTP2_NO_ERROR || head === undefined) {
            reject(new Error(`stream ended with code ${stream.rstCode}`));
          } else resolve(answer(head.status, head.raw, bytes));
        }, reject);
        if (body !== undefined) send(stream, body, reject);
      }),
    async [Symbol.asyncDispose]() {
      session.destroy();
    },
  };
}

export function openHttp2(port: number, ca: string): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://localhost:${port}`, { ca, lookup: loopback });
    session.once("connect", () => resolve(session));
    session.on("error", reject);
  });
}

export function openHttp3(port: number, ca: string): Http3Client {
  return new Http3Client({ engine: loadCurrentspace(), address: "127.0.0.1", port, servername: "localhost", ca });
}

function connectH3(port: number, ca: string): Client {
  const client = openHttp3(port, ca);
  return {
    async ask({ method = "GET", path = "/", headers = [], body } = {}) {
      const fields = [...headers, ...lengthOf(body)];
      const response = await client.request({ method, path, headers: fields, ...(body === undefined ? {} : { body }) });
      return answer(response.status, response.headers, await response.bytes());
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

function send(target: Writable, body: Ask["body"], reject: (error: Error) => void): void {
  if (body === undefined || body instanceof Uint8Array) target.end(body);
  else Readable.from(body).on("error", reject).pipe(target);
}

function lengthOf(body: Ask["body"]): string[] {
  return body instanceof Uint8Array ? ["content-length", String(body.byteLength)] : [];
}

function answer(status: number, list: readonly string[], body: Buffer): Answer {
  return {
    status,
    all: (name) => list.filter((_, i) => i % 2 === 1 && list[i - 1]?.toLowerCase() === name),
    body,
    json: () => JSON.parse(body.toString()),
  };
}

/** Tests must not depend on how this machine spells localhost. */
function loopback(
  _host: string,
  options: { all?: boolean | undefined },
  callback: (error: null, address: string | LookupAddress[], family?: number) => void,
): void {
  if (options.all) callback(null, [{ address: "127.0.0.1", family: 4 }]);
  else callback(null, "127.0.0.1", 4);
}

function hasEngine(): boolean {
  try {
    loadCurrentspace();
    return true;
  } catch {
    return false;
  }
}
