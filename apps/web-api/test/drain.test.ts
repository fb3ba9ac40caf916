import { request } from "node:https";
import { createCertificates, temporaryFolder } from "@tooling/testing";
import { expect, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { type Ask, type LoadClient, type LoadOptions, loadHttp1, loadHttp2, loadHttp3 } from "./load-clients.ts";
import { startApp } from "./start-app.ts";

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s under load over all protocols fails no request and loses no write",
  { timeout: 120_000 },
  async (signal) => {
    await using folder = await temporaryFolder();
    await using app = await startApp({ folder: folder.path });
    const { ca } = await createCertificates();
    const written: string[] = [];
    const unexpected: string[] = [];
    const options: LoadOptions = {
      port: app.port,
      ca,
      next: mixedRequests(),
      answered({ method, path, body = "" }, status) {
        if (status !== (method === "POST" ? 201 : 200)) unexpected.push(`${method} ${path} ${status}`);
        if (status === 201) written.push((JSON.parse(body) as { id: string }).id);
      },
    };
    const clients: LoadClient[] = [loadHttp1(options, 4), loadHttp2(options, 4)];
    if (app.protocols.includes("h3")) clients.push(await loadHttp3(options, 4));
    await untilEachAnswered(clients, 50);

    app.process.signal(signal);

    expect(await app.process.exited).toEqual({ code: 0, signal: null });
    await Promise.all(clients.map(({ done }) => done));
    expect(clients.flatMap(({ failed }) => failed)).toEqual([]);
    expect(unexpected).toEqual([]);
    expect(app.log().map(({ message }) => message)).toContain("draining");
    expect(app.log().at(-1)).toMatchObject({ message: "stopped" });
    expectStored(folder.path, written);
  },
);

test("a second signal ends the app though a request is not finished", { timeout: 60_000 }, async () => {
  await using folder = await temporaryFolder();
  await using app = await startApp({ folder: folder.path, env: { DRAIN_TIMEOUT: "600000" } });
  const { ca } = await createCertificates();
  const upload = request(`${app.url}/licences`, {
    ca,
    method: "POST",
    headers: { "content-type": "application/json", "content-length": "100", expect: "100-continue" },
  });
  upload.on("error", () => {}); // it is cut off in the end
  const taken = new Promise((resolve) => upload.once("continue", resolve));
  upload.flushHeaders();
  await taken; // the server waits for a body that never comes

  app.process.signal("SIGTERM");
  await app.process.waitForLine(/"message":"draining".*"active":1/);
  app.process.signal("SIGTERM");

  expect(await app.process.exited).toEqual({ code: 143, signal: null });
});

/** Reads and writes in turn; each write has an id of its own. */
function mixedRequests(): () => Ask {
  let count = 0;
  return () => {
    count++;
    if (count % 3 === 0) return { method: "GET", path: "/licences/MIT" };
    if (count % 3 === 1) return { method: "GET", path: "/licences?limit=3" };
    const body = JSON.stringify({ id: `Load-${count}`, name: "Load", text: "Under load" });
    return { method: "POST", path: "/licences", body };
  };
}

async function untilEachAnswered(clients: readonly LoadClient[], count: number): Promise<void> {
  while (clients.some(({ answered, failed }) => answered < count && failed.length === 0)) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function expectStored(folder: string, ids: readonly string[]): void {
  const database = openDatabase(folder);
  try {
    const find = database.prepare("SELECT 1 FROM licences WHERE id = ?");
    expect(ids.filter((id) => find.get(id) === undefined)).toEqual([]);
    expect(database.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  } finally {
    database.close();
  }
}
