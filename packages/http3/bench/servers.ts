// The same two JSON routes on each server: GET / answers a constant, POST / parses a body and answers with it.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { FastResponse, type ServeOptions, serve } from "@proj/http3";
import { createCertificates } from "@tooling/testing";

export const order = JSON.stringify({ id: 7, customer: "Delft", lines: [{ sku: "a-1", count: 2, price: 12.5 }] });

const greeting = { hello: "world" };
const json = { "content-type": "application/json" };

/** Ours, answering with our own response class. */
export async function startOurs(options: ServeOptions): Promise<string> {
  const { url } = await serve(
    async (request) => FastResponse.json(request.method === "GET" ? greeting : await request.json()),
    { port: 0, ...options },
  );
  return url;
}

/** Ours, answering with the platform's response class. */
export async function startOursWithResponse(options: ServeOptions): Promise<string> {
  const { url } = await serve(
    async (request) => Response.json(request.method === "GET" ? greeting : await request.json()),
    { port: 0, ...options },
  );
  return url;
}

export async function startNodeHttp(): Promise<string> {
  return await listen(createServer(answer));
}

export async function startNodeHttp2(): Promise<string> {
  const { key, cert } = await createCertificates();
  // What both classes of messages have in common is all that the routes need.
  const server = createSecureServer({ key, cert }, (request, response) =>
    answer(request as unknown as IncomingMessage, response as unknown as ServerResponse),
  );
  return (await listen(server)).replace("http:", "https:");
}

export async function startFastify(): Promise<string> {
  const { fastify } = await import("fastify");
  const app = fastify();
  app.get("/", async () => greeting);
  app.post("/", async (request) => request.body);
  return await app.listen({ port: 0, host: "127.0.0.1" });
}

export async function startHono(): Promise<string> {
  const [{ Hono }, node] = await Promise.all([import("hono"), import("@hono/node-server")]);
  const app = new Hono();
  app.get("/", (context) => context.json(greeting));
  app.post("/", async (context) => context.json(await context.req.json()));
  const { promise, resolve } = Promise.withResolvers<string>();
  node.serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => resolve(`http://127.0.0.1:${port}`));
  return await promise;
}

export async function startSrvx(): Promise<string> {
  const srvx = await import("srvx");
  const server = srvx.serve({
    port: 0,
    hostname: "127.0.0.1",
    silent: true,
    fetch: async (request) => {
      const body = request.method === "GET" ? greeting : await request.json();
      return new srvx.FastResponse(JSON.stringify(body), { headers: json });
    },
  });
  await server.ready();
  return server.url ?? "";
}

export async function startH3(): Promise<string> {
  const { H3, serve: serveH3 } = await import("h3");
  const app = new H3();
  app.get("/", () => greeting);
  app.post("/", (event) => event.req.json());
  const server = serveH3(app, { port: 0, hostname: "127.0.0.1", silent: true });
  await server.ready();
  return server.url ?? "";
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === "GET") {
    response.writeHead(200, json).end(JSON.stringify(greeting));
    return;
  }
  const chunks: Buffer[] = []; // by events: an async iterator would cost as much as the rest
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    response.writeHead(200, json).end(JSON.stringify(body));
  });
}

async function listen(server: Pick<Server, "listen" | "address"> & NodeJS.EventEmitter): Promise<string> {
  server.listen(0);
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
