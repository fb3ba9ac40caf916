import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { testWithTools } from "@tooling/testing";
import { expect, test as plainTest } from "vitest";
import { h2load, parseH2load } from "./load.ts";

const test = testWithTools("h2load");

async function listen(server: Pick<Server, "listen" | "address" | "once">): Promise<string> {
  server.listen(0);
  await once(server as Server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("counts the answers of HTTP/1.1", { timeout: 60_000 }, async () => {
  let seen = 0;
  const server = createServer((request, response) => {
    seen++;
    expect(request.headers["x-test"]).toBe("yes");
    response.end("hello");
  });
  const url = await listen(server);
  const { requests, failed, seconds } = await h2load({ connections: 2, headers: { "x-test": "yes" } })({
    url,
    seconds: 1,
  });
  expect(failed).toBe(0);
  expect(requests).toBeGreaterThan(0);
  expect(Math.abs(requests - seen)).toBeLessThanOrEqual(4); // cut off at the end of the time
  expect(seconds).toBeGreaterThan(0.5);
  server.close();
});

test("posts a body over HTTP/2 and tells failures from answers", { timeout: 60_000 }, async () => {
  let good = true;
  const server = createHttp2Server((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => response.writeHead(good && body === "ping" && request.method === "POST" ? 200 : 500).end());
  });
  const url = await listen(server as unknown as Server); // as much of a Server as listen() needs
  const load = h2load({ protocol: "h2", connections: 1, streams: 4, body: "ping" });
  expect(await load({ url, seconds: 1 })).toMatchObject({ failed: 0 });
  good = false;
  const bad = await load({ url, seconds: 1 });
  expect(bad.failed).toBeGreaterThan(0);
  expect(bad.requests).toBe(0);
  server.close();
});

plainTest("a report that cannot be read is an error", () => {
  expect(() => parseH2load("all is well")).toThrow("Cannot read h2load's report: all is well");
});
