import { mkdir, readdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import { createCertificates, temporaryFolder } from "@tooling/testing";
import { expect, test } from "vitest";
import { loadCurrentspace } from "./currentspace.ts";
import { Http3UnavailableError, type Sink } from "./engine.ts";

const sink: Sink = {
  opened() {},
  headers() {},
  data() {},
  end() {},
  reset() {},
  blocked() {},
  writable() {},
  goaway() {},
  closed() {},
};

const limits = { maxConnections: 10, maxStreams: 10, idleTimeout: 5_000, retry: true };

/** Puts a package of that name, version and content into the folder and returns its main module. */
async function fakePackage(folder: string, version: string, source: string): Promise<string> {
  await mkdir(join(folder, "dist"));
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "@currentspace/http3", version }));
  await writeFile(join(folder, "index.js"), source);
  return join(folder, "dist", "index.js");
}

function realPackage(): string {
  return dirname(dirname(createRequire(import.meta.url).resolve("@currentspace/http3")));
}

test("the engine names itself and its driver", () => {
  expect(loadCurrentspace().name).toMatch(/^@currentspace\/http3 0\.9\.0 \((io_uring|poll|kqueue)\)$/);
});

test("a missing package is told as such", () => {
  const load = (): unknown =>
    loadCurrentspace(() => {
      throw new Error("Cannot find module");
    });
  expect(load).toThrow(Http3UnavailableError);
  expect(load).toThrow("Cannot serve HTTP/3: the optional package @currentspace/http3 is not installed");
});

test("another version is refused", async () => {
  await using folder = await temporaryFolder();
  const main = await fakePackage(folder.path, "0.10.0", "");
  expect(() => loadCurrentspace(() => main)).toThrow("@currentspace/http3 0.9.0 is needed, 0.10.0 is installed");
});

test("a platform without a binary is told as such", async () => {
  await using folder = await temporaryFolder();
  const main = await fakePackage(folder.path, "0.9.0", 'throw new Error("Cannot find native binding")');
  expect(() => loadCurrentspace(() => main)).toThrow(`has no binary for ${process.platform} ${process.arch}`);
});

test("a binary without a method we need is refused, by name", async () => {
  await using folder = await temporaryFolder();
  const main = await fakePackage(folder.path, "0.9.0", "exports.NativeWorkerServer = class { listen() {} };");
  expect(() => loadCurrentspace(() => main)).toThrow("lacks NativeWorkerServer.sendResponseHeaders");
});

test("where io_uring is forbidden the portable driver is used", async () => {
  await using folder = await temporaryFolder();
  const main = await fakePackage(
    folder.path,
    "0.9.0",
    `const real = require(${JSON.stringify(realPackage())} + "/index.js");
     exports.NativeWorkerClient = real.NativeWorkerClient;
     exports.NativeWorkerServer = class extends real.NativeWorkerServer {
       constructor(options, callback) {
         if (options.runtimeMode === "fast") throw new Error("ERR_HTTP3_FAST_PATH_UNAVAILABLE driver=io_uring: Operation not permitted");
         super(options, callback);
       }
     };`,
  );
  const { key, cert } = await createCertificates();
  const engine = loadCurrentspace(() => main);
  const options = { port: 0, host: "127.0.0.1", key: Buffer.from(key), cert: Buffer.from(cert), ...limits };
  const endpoint = engine.listen(options, sink);
  expect(engine.name).toMatch(/\((poll|kqueue)\)$/);
  await endpoint.close();
});

test("the private key is on disk only in a folder that is ours alone, and only while the engine loads it", async () => {
  await using folder = await temporaryFolder();
  const main = await fakePackage(
    folder.path,
    "0.9.0",
    `const { statSync } = require("node:fs");
     const real = require(${JSON.stringify(realPackage())} + "/index.js");
     exports.seen = [];
     exports.NativeWorkerClient = real.NativeWorkerClient;
     exports.NativeWorkerServer = class extends real.NativeWorkerServer {
       constructor(options, callback) {
         const folder = process.env.TMPDIR;
         exports.seen.push({ folder, mode: statSync(folder).mode & 0o777, umask: process.umask() });
         super(options, callback);
       }
     };`,
  );
  const { key, cert } = await createCertificates();
  const before = { umask: process.umask(), folder: process.env["TMPDIR"] };
  const options = { port: 0, host: "127.0.0.1", key: Buffer.from(key), cert: Buffer.from(cert), ...limits };
  const endpoint = loadCurrentspace(() => main).listen(options, sink);
  const { seen } = createRequire(import.meta.url)(join(folder.path, "index.js")) as {
    seen: { folder: string; mode: number; umask: number }[];
  };
  expect(seen).toMatchObject([{ mode: 0o700, umask: 0o077 }]);
  expect({ umask: process.umask(), folder: process.env["TMPDIR"] }).toEqual(before);
  await expect(readdir(seen[0]?.folder ?? "")).rejects.toMatchObject({ code: "ENOENT" });
  const left = (await readdir(tmpdir())).filter((name) => name.startsWith(`http3_${process.pid}_`));
  expect(left).toEqual([]);
  await endpoint.close();
});

test("a port that a plain UDP socket holds is EADDRINUSE", async () => {
  const { createSocket } = await import("node:dgram");
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { key, cert } = await createCertificates();
  const options = { host: "127.0.0.1", key: Buffer.from(key), cert: Buffer.from(cert), ...limits };
  const listen = (): unknown => loadCurrentspace().listen({ port: socket.address().port, ...options }, sink);
  expect(listen).toThrow(expect.objectContaining({ code: "EADDRINUSE" }));
  socket.close();
});

test("a worker thread gets no engine, for it could not keep the key private", async () => {
  const url = new URL("./currentspace.ts", import.meta.url).href;
  const code = `import(${JSON.stringify(url)}).then(({ loadCurrentspace }) => loadCurrentspace()).catch((error) => require("node:worker_threads").parentPort.postMessage(error.reason));`;
  const worker = new Worker(code, { eval: true });
  const reason = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  expect(reason).toBe("a worker thread cannot keep the private key private");
  await worker.terminate();
});
