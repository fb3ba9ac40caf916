// Closing a server under load fails no request of a client that keeps to its protocol.

import { Agent as HttpAgent, request as requestHttp } from "node:http";
import { type ClientHttp2Session, constants } from "node:http2";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { setImmediate as turn } from "node:timers/promises";
import { createCertificates } from "@tooling/testing";
import { expect, test } from "vitest";
import { DrainTimeoutError, FastResponse, type Handler, type Server, type ServerEvent } from "../src/index.ts";
import type { Http3Client } from "../src/lib/h3-client.ts";
import { ask, connect, openHttp2, openHttp3, protocols, start } from "./exchange-client.ts";

const H3_REQUEST_REJECTED = 0x10b;

/** What became of the requests of one client. */
interface Tally {
  answered: number;
  /** Failed though the server had taken them on, or might have: what must not happen. */
  readonly failed: string[];
}

test.each(["https", "http"])(
  "zero requests fail when a server closes under load over HTTP/1.1 (%s)",
  async (scheme) => {
    const handler: Handler = async () => {
      await turn();
      return new FastResponse("ok");
    };
    await using server = await start(handler, scheme === "http" ? { tls: false, protocols: ["http/1.1"] } : {});
    const { ca } = await createCertificates();
    const clients = Array.from({ length: 8 }, () => keepAskingH1(server, ca));
    await untilServed(clients, 20);

    await server.close();

    await expectNoFailure(clients);
  },
);

test("zero requests fail when a server closes under load over HTTP/2", async () => {
  await using server = await start(async () => {
    await turn();
    return new FastResponse("ok");
  });
  const { ca } = await createCertificates();
  const clients = await Promise.all(Array.from({ length: 4 }, () => keepAskingH2(server, ca)));
  await untilServed(clients, 20);

  await server.close();

  await expectNoFailure(clients);
});

test.runIf(protocols.includes("h3"))("zero requests fail when a server closes under load over HTTP/3", async () => {
  await using server = await start(async () => {
    await turn();
    return new FastResponse("ok");
  });
  const { ca } = await createCertificates();
  const clients = Array.from({ length: 4 }, () => keepAskingH3(server, ca));
  await untilServed(clients, 20);

  await server.close();

  await expectNoFailure(clients);
});

test.each(protocols)("a request that is under way over %s is finished first", async (protocol) => {
  const begun = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  await using server = await start(async () => {
    begun.resolve();
    await goOn.promise;
    return new FastResponse("finished");
  });
  await using client = await connect(protocol, server);
  const answer = client.ask();
  await begun.promise;

  const closing = server.close();
  expect(server.active).toBe(1);
  goOn.resolve();

  expect((await answer).body.toString()).toBe("finished");
  await closing;
  expect(server.active).toBe(0);
});

test.each(protocols)("a request over %s that does not finish in time is cancelled and cut off", async (protocol) => {
  const begun = Promise.withResolvers<void>();
  const cause = Promise.withResolvers<unknown>();
  const events: ServerEvent[] = [];
  await using server = await start(
    (_request, { signal }) => {
      signal.addEventListener("abort", () => cause.resolve(signal.reason));
      begun.resolve();
      return new Promise<never>(() => {});
    },
    { onEvent: (event) => void events.push(event) },
  );
  await using client = await connect(protocol, server);
  const answer = client.ask();
  const failed = expect(answer).rejects.toThrow();
  await begun.promise;

  await server.close({ timeout: 10 });

  await failed;
  expect(await cause.promise).toBeInstanceOf(DrainTimeoutError);
  expect(events.at(-1)).toMatchObject({ kind: "drain-finished", aborted: 1 });
});

test("a second close() with a shorter time ends the first one's wait", async () => {
  const begun = Promise.withResolvers<void>();
  await using server = await start(() => {
    begun.resolve();
    return new Promise<never>(() => {});
  });
  const failed = expect(ask("http/1.1", server)).rejects.toThrow();
  await begun.promise;

  const patient = server.close({ timeout: 1e9 });
  await server.close({ timeout: 0 });

  await patient;
  await failed;
});

test("answers over HTTP/1.1 end their connection and take Alt-Svc back while the server closes", async () => {
  const begun = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  await using server = await start(async () => {
    begun.resolve();
    await goOn.promise;
    return new FastResponse("ok");
  });
  const answer = ask("http/1.1", server);
  await begun.promise;
  const closing = server.close();
  await sleepTurns(5);
  goOn.resolve();

  const { all } = await answer;
  expect(all("connection")).toEqual(["close"]);
  expect(all("alt-svc")).toEqual(server.protocols.includes("h3") ? ["clear"] : []);
  await closing;
});

test("a request on an idle connection that crosses with the close is still answered", async () => {
  await using server = await start(() => new FastResponse("ok"), { drainGrace: 60_000 });
  await using client = await connect("http/1.1", server);
  await client.ask();

  const closing = server.close();
  await sleepTurns(5);
  const late = await client.ask();

  expect(late.body.toString()).toBe("ok");
  expect(late.all("connection")).toEqual(["close"]);
  await closing;
});

test("closing an idle server with an idle connection does not take the whole timeout", async () => {
  await using server = await start(() => new FastResponse("ok"), { drainGrace: 10, drainTimeout: 1e9 });
  await using client = await connect("http/1.1", server);
  await client.ask();

  await server.close();

  await expect(connect("http/1.1", server).then((other) => other.ask())).rejects.toThrow("ECONNREFUSED");
});

/** One connection after another, as long as the server takes them. */
function keepAskingH1({ port, url }: Server, ca: string): Looping {
  const keep = { keepAlive: true, maxSockets: 1 };
  const plain = url.startsWith("http:");
  const agent = plain ? new HttpAgent(keep) : new HttpsAgent({ ...keep, ca });
  const request = plain ? requestHttp : requestHttps;
  return loop(async (tally) => {
    try {
      await new Promise<void>((resolve, reject) => {
        request({ host: "127.0.0.1", port, servername: "localhost", agent }, (response) => {
          response.resume().on("end", resolve).on("error", reject);
        })
          .on("error", reject)
          .end();
      });
      tally.answered++;
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      agent.destroy();
      if (code !== "ECONNREFUSED") tally.failed.push(String(code ?? error)); // refused: may go elsewhere
      return false;
    }
  });
}

async function keepAskingH2({ port }: Server, ca: string): Promise<Looping> {
  const session = await openHttp2(port, ca);
  session.on("error", () => {});
  return loop(async (tally) => {
    const streams = Array.from({ length: 4 }, () => askH2(session));
    const codes = await Promise.all(streams);
    tally.answered += codes.filter((code) => code === "answered").length;
    tally.failed.push(...codes.filter((code) => code !== "answered" && code !== "unprocessed"));
    return !codes.includes("unprocessed");
  });
}

/** A stream that was refused, or never opened, may be repeated elsewhere (RFC 9113 section 8.7). */
function askH2(session: ClientHttp2Session): Promise<string> {
  if (session.closed || session.destroyed) return Promise.resolve("unprocessed");
  return new Promise((resolve) => {
    const stream = session.request({ ":path": "/", ":authority": "localhost" });
    let status: number | undefined;
    stream.on("response", (headers) => {
      status = headers[":status"];
    });
    stream.on("error", () => {});
    stream.resume().on("close", () => {
      if (status === 200 && stream.rstCode === constants.NGHTTP2_NO_ERROR) resolve("answered");
      else if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || stream.id === undefined) resolve("unprocessed");
      else resolve(`code ${stream.rstCode}, status ${status}`);
    });
  });
}

function keepAskingH3({ port }: Server, ca: string): Looping {
  const client = openHttp3(port, ca);
  return loop(async (tally) => {
    const results = await Promise.all(Array.from({ length: 4 }, () => askH3(client)));
    tally.answered += results.filter((result) => result === "answered").length;
    tally.failed.push(...results.filter((result) => result !== "answered" && result !== "unprocessed"));
    if (!results.includes("unprocessed")) return true;
    await client.close();
    return false;
  });
}

async function askH3(client: Http3Client): Promise<string> {
  if (client.goingAway) return "unprocessed";
  try {
    const response = await client.request({ path: "/" });
    await response.bytes();
    return response.status === 200 ? "answered" : `status ${response.status}`;
  } catch (error) {
    if ((error as { wireCode?: number }).wireCode === H3_REQUEST_REJECTED || client.goingAway) return "unprocessed";
    return String(error);
  }
}

interface Looping {
  readonly tally: Tally;
  readonly done: Promise<void>;
}

/** Repeats a step until it says that the server is gone. */
function loop(step: (tally: Tally) => Promise<boolean>): Looping {
  const tally: Tally = { answered: 0, failed: [] };
  const run = async (): Promise<void> => {
    while (tally.failed.length === 0 && (await step(tally))) await turn();
  };
  return { tally, done: run() };
}

async function untilServed(clients: readonly Looping[], count: number): Promise<void> {
  while (clients.some(({ tally }) => tally.answered < count && tally.failed.length === 0)) await turn();
}

async function expectNoFailure(clients: readonly Looping[]): Promise<void> {
  await Promise.all(clients.map(({ done }) => done));
  expect(clients.flatMap(({ tally }) => tally.failed)).toEqual([]);
}

async function sleepTurns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}
