// A port that nobody listens on, neither over TCP nor over UDP: a server that also speaks HTTP/3 needs both.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Finds a port that is free for TCP and UDP on all addresses.
 *
 * Another process can take it before the caller does, so whoever starts a server on it must be ready to try again.
 * Where the server can bind port 0 itself, let it.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const server = createServer().listen(0);
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const free = await isFreeForUdp(port);
    server.close();
    await once(server, "close");
    if (free) return port;
  }
  throw new Error("Cannot find a port that is free for both TCP and UDP: 20 attempts failed");
}

async function isFreeForUdp(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  try {
    socket.bind(port);
    await once(socket, "listening");
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
