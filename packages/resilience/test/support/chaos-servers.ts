// Real servers and clients for the tests of the proxies.
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { TestClock } from "@proj/concurrency/testing";

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: Set<Socket>;
}

/** A TCP server on a free port. */
export async function tcpServer(onConnection: (socket: Socket) => void): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Sends back whatever it gets. */
export function echoServer(): Promise<TestServer> {
  return tcpServer((socket) => socket.pipe(socket));
}

/** A client that remembers all it got. */
export class TestClient implements Disposable {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  received = Buffer.alloc(0);
  ended = false;
  error: NodeJS.ErrnoException | undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.socket.on("error", (error) => {
      this.error = error;
    });
    this.socket.on("data", (data: Buffer) => {
      this.received = Buffer.concat([this.received, data]);
    });
    this.socket.on("end", () => {
      this.ended = true;
    });
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
  }

  get text(): string {
    return this.received.toString();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Resolves when it holds, looking after each turn of the event loop. A test that waits in vain times out. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** Resolves when it holds, and lets virtual time go on until then, in steps that sockets can follow. */
export async function untilOn(clock: TestClock, condition: () => boolean, step = 5): Promise<void> {
  while (!condition()) {
    await turns(5);
    if (!condition()) await clock.advance(step);
  }
}

/** So many turns of the event loop, in which sockets on this machine hand over what they have. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1)); // lets other processes run too
}

export interface TestDatagrams extends Disposable {
  readonly port: number;
  readonly socket: DatagramSocket;
  readonly received: Buffer[];
  readonly from: number[];
  send(data: string | Buffer, port: number): void;
}

/** A UDP socket that remembers all it got, or sends it back as well. */
export async function datagrams({ echo = false } = {}): Promise<TestDatagrams> {
  const socket = createSocket("udp4");
  const received: Buffer[] = [];
  const from: number[] = [];
  socket.on("error", () => {});
  socket.on("message", (data, { port, address }) => {
    received.push(data);
    from.push(port);
    if (echo) socket.send(data, port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    port: socket.address().port,
    socket,
    received,
    from,
    send: (data, port) => socket.send(data, port, "127.0.0.1"),
    [Symbol.dispose]: () => socket.close(),
  };
}
