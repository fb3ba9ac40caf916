import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { testWithTools } from "@tooling/testing";
import { expect, test as plainTest } from "vitest";
import { h2load, parseH2load, parseWrk, wrk } from "./load.ts";

const test = testWithTools("h2load", "wrk");

async function listen(server: Pick<Server, "listen" | "address" | "once">): Promise<string> {
  server.listen(0);
  await once(server as Server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("wrk counts the answers of HTTP/1.1", { timeout: 60_000 }, async () => {
  let seen = 0;
  let posts = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    seen++;
    const body = await text(request);
    if (request.method === "POST" && body === 'a "body" ]] \\n\n' && request.headers["x-test"] === "yes") posts++;
    response.statusMessage = ""; // as some servers answer
    response.end("hello");
  };
  const server = createServer((request, response) => void answer(request, response));
  const url = await listen(server);
  const load = wrk({ connections: 2, headers: { "x-test": "yes" }, body: 'a "body" ]] \\n\n' });
  const { requests, failed, seconds } = await load({ url, seconds: 1 });
  expect(failed).toBe(0);
  expect(requests).toBeGreaterThan(0);
  expect(Math.abs(requests - seen)).toBeLessThanOrEqual(4); // cut off at the end of the time
  expect(posts).toBe(seen);
  expect(seconds).toBeGreaterThan(0.5);
  server.close();
});

test("wrk tells failures from answers", { timeout: 60_000 }, async () => {
  let count = 0;
  const server = createServer((_request, response) => response.writeHead(++count % 2 === 0 ? 200 : 500).end());
  const { requests, failed } = await wrk({ connections: 1 })({ url: await listen(server), seconds: 1 });
  expect(Math.abs(requests - failed)).toBeLessThanOrEqual(1);
  server.close();
});

test("h2load posts a body over HTTP/2 and tells failures from answers", { timeout: 60_000 }, async () => {
  let good = true;
  const server = createHttp2Server((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => response.writeHead(good && body === "ping" && request.method === "POST" ? 200 : 500).end());
  });
  const url = await listen(server as unknown as Server); // as much of a Server as listen() needs
  const load = h2load({ connections: 1, streams: 4, body: "ping" });
  expect(await load({ url, seconds: 1 })).toMatchObject({ failed: 0 });
  good = false;
  const bad = await load({ url, seconds: 1 });
  expect(bad.failed).toBeGreaterThan(0);
  expect(bad.requests).toBe(0);
  server.close();
});

test("a script that wrk cannot read is an error, not a load of plain GET requests", { timeout: 60_000 }, async () => {
  const server = createServer((_request, response) => response.end());
  const url = await listen(server);
  const load = wrk({ connections: 1, body: "]=====] this ends the string early" });
  await expect(load({ url, seconds: 1 })).rejects.toThrow("wrk ended with 0");
  server.close();
});

plainTest("a report that cannot be read is an error", () => {
  expect(() => parseH2load("all is well")).toThrow("Cannot read h2load's report: all is well");
  expect(() => parseWrk("all is well")).toThrow("Cannot read wrk's report: all is well");
});
