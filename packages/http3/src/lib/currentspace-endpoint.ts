// Sending and closing through the native classes.

import type { NativeClient, NativeHeader, NativeServer } from "./currentspace-native.ts";
import type { ConnectionStats, Http3ClientEndpoint, Http3Endpoint } from "./engine.ts";

const TAKEN = 0;

/** How long a worker thread may take to stop before we no longer wait for its word. */
const SHUTDOWN_TIMEOUT = 5_000;

export class CurrentspaceEndpoint implements Http3Endpoint {
  readonly port: number;
  readonly #server: NativeServer;
  readonly #stopped: Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(server: NativeServer, port: number, stopped: Promise<void>) {
    this.port = port;
    this.#server = server;
    this.#stopped = stopped;
  }

  headers(connection: number, stream: number, list: readonly string[], fin: boolean): boolean {
    return this.#closing !== undefined || this.#server.sendResponseHeaders(connection, stream, pairs(list), fin);
  }

  data(connection: number, stream: number, chunk: Uint8Array, fin: boolean): boolean {
    return (
      this.#closing !== undefined || this.#server.streamSend(connection, stream, asBuffer(chunk), fin).status === TAKEN
    );
  }

  respond(connection: number, stream: number, list: readonly string[], body: Uint8Array): boolean {
    return (
      this.#closing !== undefined || this.#server.sendResponse(connection, stream, pairs(list), asBuffer(body), true)
    );
  }

  reset(connection: number, stream: number, code: number): void {
    if (this.#closing === undefined) this.#server.streamClose(connection, stream, code);
  }

  closeConnection(connection: number, code: number, reason: string): void {
    if (this.#closing === undefined) this.#server.closeSession(connection, code, reason);
  }

  stats(connection: number): ConnectionStats | undefined {
    try {
      return this.#closing === undefined ? this.#server.getSessionMetrics(connection) : undefined;
    } catch {
      return undefined; // the connection is gone
    }
  }

  close(): Promise<void> {
    this.#closing ??= shutDown(this.#server, this.#stopped);
    return this.#closing;
  }
}

export class CurrentspaceClientEndpoint implements Http3ClientEndpoint {
  readonly port: number;
  readonly #client: NativeClient;
  readonly #stopped: Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(client: NativeClient, port: number, stopped: Promise<void>) {
    this.port = port;
    this.#client = client;
    this.#stopped = stopped;
  }

  request(list: readonly string[], fin: boolean): number | undefined {
    try {
      return this.#client.sendRequest(pairs(list), fin);
    } catch (error) {
      if (error instanceof Error && /StreamBlocked|StreamLimit/.test(error.message)) return undefined;
      throw error;
    }
  }

  data(_connection: number, stream: number, chunk: Uint8Array, fin: boolean): boolean {
    return this.#closing !== undefined || this.#client.streamSend(stream, asBuffer(chunk), fin).status === TAKEN;
  }

  reset(_connection: number, stream: number, code: number): void {
    if (this.#closing === undefined) this.#client.streamClose(stream, code);
  }

  closeConnection(_connection: number, code: number, reason: string): void {
    if (this.#closing === undefined) this.#client.close(code, reason);
  }

  close(): Promise<void> {
    this.#closing ??= shutDown(this.#client, this.#stopped);
    return this.#closing;
  }
}

async function shutDown(native: NativeServer | NativeClient, stopped: Promise<void>): Promise<void> {
  native.requestShutdown();
  // A stuck worker must not keep close() waiting for ever. This is the platform's time on purpose: it guards a thread.
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, SHUTDOWN_TIMEOUT);
  await Promise.race([stopped, late]);
  clearTimeout(timer);
  native.joinWorker();
}

function pairs(list: readonly string[]): NativeHeader[] {
  const headers: NativeHeader[] = [];
  for (let i = 0; i + 1 < list.length; i += 2) headers.push({ name: list[i] ?? "", value: list[i + 1] ?? "" });
  return headers;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
