// Turns the native event batches into calls of a sink.

import type { NativeEvent, NativeHeader } from "./currentspace-native.ts";
import type { Sink } from "./engine.ts";

const NEW_SESSION = 1;
const HEADERS = 3;
const DATA = 4;
const FINISHED = 5;
const RESET = 6;
const SESSION_CLOSE = 7;
const DRAIN = 8;
const GOAWAY = 9;
const ERROR = 10;
const HANDSHAKE = 11;
const SHUTDOWN_COMPLETE = 15;
const BLOCKED = 16;
const WRITE_READY = 18;

/** Addresses of connections whose handshake is not done: until then the sink does not hear of them. */
export type PendingPeers = Map<number, { readonly address: string; readonly port: number }>;

export function dispatchEvents(
  events: readonly NativeEvent[],
  sink: Sink,
  peers: PendingPeers,
  stopped: () => void,
): void {
  for (const event of events) {
    const { connHandle: connection, streamId: stream } = event;
    switch (event.eventType) {
      case NEW_SESSION:
        peers.set(connection, { address: event.meta?.remoteAddr ?? "", port: event.meta?.remotePort ?? 0 });
        break;
      case HANDSHAKE: {
        const peer = peers.get(connection);
        peers.delete(connection);
        sink.opened(connection, peer?.address ?? "", peer?.port ?? 0);
        break;
      }
      case HEADERS:
        if (event.headers !== undefined) sink.headers(connection, stream, flat(event.headers), event.fin === true);
        if (event.data !== undefined) sink.data(connection, stream, event.data);
        break;
      case DATA:
        if (event.data !== undefined) sink.data(connection, stream, event.data);
        break;
      case FINISHED:
        sink.end(connection, stream);
        break;
      case RESET:
        sink.reset(connection, stream, event.meta?.errorCode ?? 0);
        break;
      case ERROR:
        // An error of the whole connection is followed by its end.
        if (stream >= 0) sink.reset(connection, stream, event.meta?.errorCode ?? 0);
        break;
      case BLOCKED:
        sink.blocked(connection, stream);
        break;
      case DRAIN:
        sink.writable(connection, stream);
        break;
      case WRITE_READY:
        // 0 is both the number of the first connection and "all of them".
        sink.writable(connection === 0 ? -1 : connection, -1);
        break;
      case GOAWAY:
        sink.goaway(connection);
        break;
      case SESSION_CLOSE:
        peers.delete(connection);
        sink.closed(connection, event.meta?.errorCode ?? 0, event.meta?.errorReason ?? "");
        break;
      case SHUTDOWN_COMPLETE:
        stopped();
        break;
      default:
        break;
    }
  }
}

function flat(headers: readonly NativeHeader[]): string[] {
  const list: string[] = [];
  for (const { name, value } of headers) list.push(name, value);
  return list;
}
