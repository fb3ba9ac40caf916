// An HTTP relay before a real server, where a test can interfere: hold a request back, or a stream.
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Relay extends AsyncDisposable {
  readonly url: string;
  /** Called before a request is passed on; the path of it is given. What it returns is awaited; `"stall"` never answers. */
  before: (path: string) => Promise<unknown> | unknown;
  /** Breaks all connections. */
  cut(): void;
}

export async function startRelay(target: string): Promise<Relay> {
  const server = createServer((incoming, outgoing) => void pass(incoming, outgoing));
  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const path = incoming.url ?? "/";
    if ((await relay.before(path)) === "stall") {
      outgoing.flushHeaders(); // alive, as far as anybody can tell
      return;
    }
    const { method, headers } = incoming;
    const passed = request(new URL(path, target), { method, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.on("error", () => outgoing.destroy());
      answer.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const relay: Relay = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    before: () => undefined,
    cut: () => server.closeAllConnections(),
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return relay;
}
