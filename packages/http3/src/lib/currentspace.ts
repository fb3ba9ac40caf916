// The engine over the native classes of @currentspace/http3: its JavaScript layer is never loaded.
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { CurrentspaceClientEndpoint, CurrentspaceEndpoint } from "./currentspace-endpoint.ts";
import { dispatchEvents } from "./currentspace-events.ts";
import type { NativeClient, NativeModule, NativeServer } from "./currentspace-native.ts";
import {
  type EngineConnectOptions,
  type EngineListenOptions,
  type Http3ClientEndpoint,
  type Http3Endpoint,
  type Http3Engine,
  Http3UnavailableError,
  type Sink,
} from "./engine.ts";

/** The classes below are not part of the package's public surface, so no other version is trusted. */
const SUPPORTED_VERSION = "0.9.0";

const SERVER_METHODS = [
  "listen",
  "sendResponseHeaders",
  "sendResponse",
  "streamSend",
  "streamClose",
  "closeSession",
  "getSessionMetrics",
  "ackEventBatch",
  "requestShutdown",
  "joinWorker",
];
const CLIENT_METHODS = ["connect", "sendRequest", "streamSend", "streamClose", "close", "ackEventBatch", "joinWorker"];

/** Where the native code looks for the place of temporary files. */
const FOLDER_VARIABLE = "TMPDIR";

/** Bytes that all streams of a connection may have under way together, before anybody read them. */
const CONNECTION_WINDOW = 16 * 1024 * 1024;

/**
 * Loads the engine; throws `Http3UnavailableError` where it has no binary, is not installed, or is not the version we know.
 * `resolve` finds the package's main module.
 */
export function loadCurrentspace(resolve: () => string = resolvePackage): Http3Engine {
  if (!isMainThread) {
    // Neither the umask nor the environment that the native code sees can be changed from here.
    throw new Http3UnavailableError("a worker thread cannot keep the private key private");
  }
  const native = loadNative(findRoot(resolve));
  requireMethods(native.NativeWorkerServer, "NativeWorkerServer", SERVER_METHODS);
  requireMethods(native.NativeWorkerClient, "NativeWorkerClient", CLIENT_METHODS);
  return new CurrentspaceEngine(native);
}

class CurrentspaceEngine implements Http3Engine {
  readonly #native: NativeModule;
  #mode: "fast" | "portable" = "fast";

  constructor(native: NativeModule) {
    this.#native = native;
  }

  get name(): string {
    const fast = process.platform === "linux" ? "io_uring" : "kqueue";
    const portable = process.platform === "linux" ? "poll" : "kqueue";
    return `@currentspace/http3 ${SUPPORTED_VERSION} (${this.#mode === "fast" ? fast : portable})`;
  }

  listen(options: EngineListenOptions, sink: Sink): Http3Endpoint {
    return this.#fastOrPortable((runtimeMode) => {
      const stopped = Promise.withResolvers<void>();
      const peers = new Map<number, { address: string; port: number }>();
      const server: NativeServer = withPrivateTemporaryFolder(
        () =>
          new this.#native.NativeWorkerServer(
            {
              key: options.key,
              cert: options.cert,
              runtimeMode,
              maxConnections: options.maxConnections,
              initialMaxStreamsBidi: options.maxStreams,
              initialMaxData: CONNECTION_WINDOW,
              maxIdleTimeoutMs: options.idleTimeout,
              disableRetry: !options.retry,
              // Without migration a client behind a NAT that renumbers its port is lost as well.
              disableActiveMigration: false,
              enableDatagrams: false,
            },
            (_error, events) => {
              try {
                dispatchEvents(events, sink, peers, stopped.resolve);
              } finally {
                // An event that is never acknowledged would slow down every connection for good.
                server.ackEventBatch(events.length);
              }
            },
          ),
      );
      const { port } = server.listen(options.port, options.host);
      return new CurrentspaceEndpoint(server, port, stopped.promise);
    });
  }

  connect(options: EngineConnectOptions, sink: Sink): Http3ClientEndpoint {
    return this.#fastOrPortable((runtimeMode) => {
      const stopped = Promise.withResolvers<void>();
      const peers = new Map([[0, { address: options.address, port: options.port }]]);
      const client: NativeClient = withPrivateTemporaryFolder(
        () =>
          new this.#native.NativeWorkerClient(
            {
              ...(options.ca === undefined ? {} : { ca: options.ca }),
              rejectUnauthorized: options.verify,
              runtimeMode,
              initialMaxData: CONNECTION_WINDOW,
              maxIdleTimeoutMs: options.idleTimeout,
              allow0Rtt: false,
              enableDatagrams: false,
            },
            (_error, events) => {
              try {
                dispatchEvents(events, sink, peers, stopped.resolve);
              } finally {
                client.ackEventBatch(events.length);
              }
            },
          ),
      );
      const host = options.address.includes(":") ? `[${options.address}]` : options.address;
      const { port } = client.connect(`${host}:${options.port}`, options.servername);
      return new CurrentspaceClientEndpoint(client, port, stopped.promise);
    });
  }

  // io_uring is often forbidden in containers; then, and from then on, plain poll does.
  #fastOrPortable<T>(start: (mode: "fast" | "portable") => T): T {
    if (this.#mode === "fast") {
      try {
        return start("fast");
      } catch (error) {
        if (!/ERR_HTTP3_FAST_PATH_UNAVAILABLE|\[h3:fast-path/.test(String(error))) throw systemError(error);
        this.#mode = "portable";
      }
    }
    try {
      return start("portable");
    } catch (error) {
      throw systemError(error);
    }
  }
}

function resolvePackage(): string {
  return createRequire(import.meta.url).resolve("@currentspace/http3");
}

function findRoot(resolve: () => string): string {
  let folder: string;
  try {
    folder = dirname(resolve());
  } catch (error) {
    throw new Http3UnavailableError("the optional package @currentspace/http3 is not installed", { cause: error });
  }
  for (let parent = dirname(folder); parent !== folder; folder = parent, parent = dirname(folder)) {
    const version = packageVersion(folder);
    if (version === undefined) continue;
    if (version === SUPPORTED_VERSION) return folder;
    throw new Http3UnavailableError(`@currentspace/http3 ${SUPPORTED_VERSION} is needed, ${version} is installed`);
  }
  throw new Http3UnavailableError("the installation of @currentspace/http3 is broken: it has no package.json");
}

function packageVersion(folder: string): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
      name?: string;
      version?: string;
    };
    return manifest.name === "@currentspace/http3" ? manifest.version : undefined;
  } catch {
    return undefined;
  }
}

function loadNative(root: string): NativeModule {
  try {
    // The classes are not in the package's export map, so its file is named by path.
    return createRequire(import.meta.url)(join(root, "index.js")) as NativeModule;
  } catch (error) {
    throw new Http3UnavailableError(
      `@currentspace/http3 has no binary for ${process.platform} ${process.arch} that loads here`,
      { cause: error },
    );
  }
}

function requireMethods(type: { prototype: object } | undefined, name: string, methods: readonly string[]): void {
  const missing = methods.filter((method) => typeof Reflect.get(type?.prototype ?? {}, method) !== "function");
  if (missing.length > 0) {
    throw new Http3UnavailableError(`@currentspace/http3 lacks ${name}.${missing.join(`, ${name}.`)}`);
  }
}

// The native code writes the key into a file with a guessable name in the temporary folder, loads it and deletes it. While
// it does so, that folder is a fresh one that only we may enter, in memory where the system has such a place.
function withPrivateTemporaryFolder<T>(construct: () => T): T {
  const folder = makePrivateFolder();
  const before = process.env[FOLDER_VARIABLE];
  const umask = process.umask(0o077);
  process.env[FOLDER_VARIABLE] = folder;
  try {
    return construct();
  } finally {
    process.umask(umask);
    if (before === undefined) delete process.env[FOLDER_VARIABLE];
    else process.env[FOLDER_VARIABLE] = before;
    rmSync(folder, { recursive: true, force: true });
  }
}

function makePrivateFolder(): string {
  for (const parent of process.platform === "linux" ? ["/dev/shm", tmpdir()] : [tmpdir()]) {
    try {
      const folder = mkdtempSync(join(parent, "h3-"));
      chmodSync(folder, 0o700);
      return folder;
    } catch {
      // No such place, or not for us: the next one.
    }
  }
  throw new Http3UnavailableError(`no temporary folder can be made in ${tmpdir()}`);
}

/** The native errors carry their meaning in the text; ours carry it as a code, as errors of node:dgram do. */
function systemError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (/errno=98\b|errno=48\b|address already in use/i.test(error.message)) {
    return Object.assign(new Error("Cannot listen for HTTP/3: the UDP port is taken", { cause: error }), {
      code: "EADDRINUSE",
      syscall: "bind",
    });
  }
  if (/TlsFail/.test(error.message)) {
    return new TypeError("Cannot start HTTP/3: key or certificate is not usable PEM, or they do not belong together", {
      cause: error,
    });
  }
  return error;
}
