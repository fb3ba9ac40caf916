import { Context } from "@proj/concurrency";
import { TestClock } from "@proj/concurrency/testing";
import type { RequestContext } from "@proj/http3";
import { expect, test } from "vitest";
import { requestLog } from "./request-log.ts";

const clock = new TestClock();
const own = Context.derive();
const context: RequestContext = {
  context: own,
  signal: own.signal,
  protocol: "h3",
  remoteAddress: "::1",
  remotePort: 1,
  params: {},
};

test("the log for people is one line of columns that steers no terminal", async () => {
  const lines: string[] = [];
  const log = requestLog({ format: "text", write: (line) => lines.push(line), clock });
  const request = {
    method: "GET",
    url: "https://api.test/a\u001b[31m?b=1",
    headers: new Headers({ "x-request-id": "7" }),
  };

  await log(request as Request, context, async () => {
    await clock.advance(12.5);
    return new Response("four");
  });

  expect(lines).toEqual([
    expect.stringMatching(/^\d\d:\d\d:\d\d\.\d{3} GET {4}\/a\?\[31m\?b=1 {2}200 {2}12\.5 ms {2}4 B {2}h3 {2}7$/),
  ]);
});

test("the log marks a request that its client gave up", async () => {
  const lines: string[] = [];
  const log = requestLog({ format: "json", write: (line) => lines.push(line), clock });
  const left = Context.derive();
  left.cancel();

  await log(new Request("https://api.test/"), { ...context, context: left }, () => new Response(null, { status: 204 }));

  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ aborted: true, status: 204, bytes: 0 });
});
