// Stands between a client and a Redis, and lets messages overtake answers, or answers overtake messages.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

type Kind = "answers" | "pushes";

export interface ReorderingProxy extends AsyncDisposable {
  readonly url: string;
  /** Keeps everything of this kind back, from the first frame that contains `text` on. */
  hold(kind: Kind, text: string): void;
  /** Resolves when something is kept back. */
  held(): Promise<void>;
  /** Lets all go that was kept back, and keeps nothing any longer. */
  release(): void;
}

export async function reorderingProxy(port: number): Promise<ReorderingProxy> {
  const sockets = new Set<Socket>();
  const kept: { readonly to: Socket; readonly frame: Buffer }[] = [];
  let rule: { readonly kind: Kind; readonly text: string; isOn: boolean } | undefined;
  let onHeld = Promise.withResolvers<void>();

  const pass = (frame: Buffer, to: Socket): void => {
    const kind = frame[0] === 0x3e ? "pushes" : "answers"; // ">"
    if (rule !== undefined && rule.kind === kind) {
      rule.isOn ||= frame.includes(rule.text);
      if (rule.isOn) {
        kept.push({ to, frame });
        onHeld.resolve();
        return;
      }
    }
    to.write(frame);
  };

  const server = createServer((client) => {
    const redis = connect(port, "127.0.0.1");
    let rest = Buffer.alloc(0);
    redis.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (let end = endOfFrame(rest, 0); end !== undefined; end = endOfFrame(rest, 0)) {
        pass(rest.subarray(0, end), client);
        rest = rest.subarray(end);
      }
    });
    client.pipe(redis);
    for (const [socket, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => other.destroy());
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold(kind, text) {
      rule = { kind, text, isOn: false };
      onHeld = Promise.withResolvers();
    },
    held: () => onHeld.promise,
    release() {
      rule = undefined;
      for (const { to, frame } of kept.splice(0)) to.write(frame);
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Where the frame of RESP that begins at `at` ends; `undefined` if it is not complete. */
function endOfFrame(bytes: Buffer, at: number): number | undefined {
  const line = bytes.indexOf("\r\n", at);
  if (line < 0) return undefined;
  const type = String.fromCharCode(bytes[at] ?? 0);
  const count = Number(bytes.toString("latin1", at + 1, line));
  if ("$=!".includes(type)) {
    const end = count < 0 ? line + 2 : line + 2 + count + 2;
    return end <= bytes.length ? end : undefined;
  }
  if (!"*>~%".includes(type)) return line + 2;
  let end: number | undefined = line + 2;
  for (let left = type === "%" ? 2 * count : count; left > 0 && end !== undefined; left--) end = endOfFrame(bytes, end);
  return end;
}
