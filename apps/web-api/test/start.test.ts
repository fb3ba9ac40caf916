import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { request } from "node:https";
import { createServer } from "node:net";
import { join } from "node:path";
import { createCertificates, temporaryFolder } from "@tooling/testing";
import { expect, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { databaseFile, openDatabase } from "../src/database.ts";
import { spawnApp, startApp } from "./start-app.ts";

const plain = { env: {}, isTerminal: true };

test("flags win over variables, which win over defaults", () => {
  expect(readConfig([], plain)).toMatchObject({
    port: 8443,
    host: undefined,
    tls: "development",
    drainTimeout: 10_000,
    logFormat: "text",
  });
  const env = { PORT: "1", HOST: "::1", DATA_DIR: "/a", INIT_CWD: "/home", DRAIN_TIMEOUT: "5", LOG_FORMAT: "json" };
  expect(readConfig(["--port", "2", "--data", "b"], { env, isTerminal: true })).toMatchObject({
    port: 2,
    host: "::1",
    dataFolder: "/home/b",
    drainTimeout: 5,
    logFormat: "json",
  });
  expect(readConfig(["--help", "--port", "2"], plain)).toBe("help");
});

test.each<[string, string[], Record<string, string>]>([
  ['PORT must be an integer from 0 to 65535, got "80a"', [], { PORT: "80a" }],
  ['--port must be an integer from 0 to 65535, got "65536"', ["--port", "65536"], {}],
  ["--host must not be empty", ["--host", ""], {}],
  ['LOG_FORMAT must be "json" or "text", got "xml"', [], { LOG_FORMAT: "xml" }],
  ['DRAIN_TIMEOUT must be an integer from 0 to 3600000, got "-1"', [], { DRAIN_TIMEOUT: "-1" }],
  ["TLS_KEY_FILE is missing: TLS_CERT_FILE is set", [], { TLS_CERT_FILE: "/a" }],
  ["an option is wrong: Unknown option '--prot'. See --help", ["--prot", "1"], {}],
])("the start is refused: %s", (message, args, env) => {
  expect(() => readConfig(args, { env, isTerminal: false })).toThrow(`Cannot start: ${message}`);
});

test("a setting that cannot be used ends the app with exit code 1 and one line", { timeout: 60_000 }, async () => {
  await using app = await spawnApp(["--port", "many"]);
  expect(await app.exited).toEqual({ code: 1, signal: null });
  expect(app.stderr).toBe('Cannot start: --port must be an integer from 0 to 65535, got "many"\n');
});

test("a port that is taken ends the app with exit code 1 and says what to do", { timeout: 60_000 }, async () => {
  await using folder = await temporaryFolder();
  const other = createServer().listen(0);
  await once(other, "listening");
  const { port } = other.address() as { port: number }; // of a TCP server
  await using app = await spawnApp(["--port", String(port), "--data", folder.path]);

  expect(await app.exited).toEqual({ code: 1, signal: null });
  expect(app.stderr).toContain(
    `Cannot start: another program has port ${port}. Stop that program, or choose another port: npm start -- --port ${port + 1}`,
  );
  expect(app.stderr).not.toContain("    at ");
  other.close();
});

test.each<[string, string, (folder: string) => void, string]>([
  ["that is a file", "file", (folder) => writeFileSync(join(folder, "file"), ""), "file already exists"],
  [
    "with a damaged database",
    ".",
    (folder) => writeFileSync(join(folder, databaseFile), "junk".repeat(1_000)),
    "not a database",
  ],
  [
    "of a newer program",
    ".",
    (folder) => openDatabase(folder).exec("PRAGMA user_version = 99"),
    "schema version is 99",
  ],
])(
  "a data folder %s ends the app with exit code 1 and one line",
  { timeout: 60_000 },
  async (_name, data, spoil, told) => {
    await using folder = await temporaryFolder();
    spoil(folder.path);
    await using app = await spawnApp(["--port", "0", "--data", join(folder.path, data)]);

    expect(await app.exited).toEqual({ code: 1, signal: null });
    expect(app.stderr).toMatch(/^Cannot start: [^\n]+\n$/);
    expect(app.stderr).toContain(told);
  },
);

test("what was written is there after a restart, and the list is not written again", { timeout: 60_000 }, async () => {
  await using folder = await temporaryFolder();
  const { ca } = await createCertificates();
  const ask = async (url: string, method: string, headers = {}, body?: string): Promise<string> => {
    const sent = request(url, { ca, method, headers });
    sent.end(body);
    const [response] = await once(sent, "response");
    return (await response.toArray()).join("");
  };
  {
    await using app = await startApp({ folder: folder.path });
    expect(app.process.stderr).toContain("Wrote the 727 licences of the SPDX list");
    await app.process.waitForLine(new RegExp(`Licence register +${app.url}`));
    const headers = { "if-match": "*", "content-type": "application/merge-patch+json" };
    await ask(`${app.url}/licences/MIT`, "PATCH", headers, '{"policy":"approved"}');
    expect(await app.process.stop()).toEqual({ code: 0, signal: null });
  }
  await using app = await startApp({ folder: folder.path });
  await app.process.waitForLine(/Try:/);
  expect(app.process.stderr).not.toContain("Wrote the");
  expect(JSON.parse(await ask(`${app.url}/licences/MIT`, "GET"))).toMatchObject({ policy: "approved" });
});
