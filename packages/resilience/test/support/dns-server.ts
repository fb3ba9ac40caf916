// A DNS server for tests, on a loopback port: answers from a table, fails when told to, and counts what it is asked.
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

/** A record as zone files have it; TTLs in seconds. */
export type DnsRecord =
  | { readonly type: "A"; readonly address: string; readonly ttl: number }
  | { readonly type: "AAAA"; readonly address: string; readonly ttl: number }
  | {
      readonly type: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
      readonly ttl: number;
    };

/** What the server does with a question. */
export type DnsMode = "answer" | "servfail" | "silent";

export interface DnsServer extends AsyncDisposable {
  /** For `Resolver.setServers`. */
  readonly address: string;
  /** By name. A name that is not there does not exist. */
  readonly records: Map<string, readonly DnsRecord[]>;
  mode: DnsMode;
  /** How many questions have come. */
  readonly questions: number;
}

const types = { A: 1, AAAA: 28, SRV: 33 } as const;

export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const records = new Map<string, readonly DnsRecord[]>();
  const server = {
    address: `127.0.0.1:${(socket.address() as AddressInfo).port}`,
    records,
    mode: "answer" as DnsMode,
    questions: 0,
    [Symbol.asyncDispose]: async () => {
      socket.close();
      await once(socket, "close");
    },
  };
  socket.on("message", (message: Buffer, { port, address }: RemoteInfo) => {
    server.questions++;
    if (server.mode === "silent") return;
    socket.send(answer(message, records, server.mode === "servfail"), port, address);
  });
  return server;
}

/** RFC 1035, section 4: the header, the question as it came, and records whose names point to that of the question. */
function answer(query: Buffer, zone: ReadonlyMap<string, readonly DnsRecord[]>, isFailing: boolean): Buffer {
  const { name, end } = readName(query, 12);
  const type = query.readUInt16BE(end);
  const known = zone.get(name.toLowerCase());
  const found = isFailing ? [] : (known ?? []).filter((record) => types[record.type] === type);
  const code = isFailing ? 2 : known === undefined ? 3 : 0; // SERVFAIL, NXDOMAIN, NOERROR
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8580 | code, 2); // an answer, authoritative, recursion asked for and available
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(found.length, 6);
  return Buffer.concat([header, query.subarray(12, end + 4), ...found.map(encode)]);
}

function encode(record: DnsRecord): Buffer {
  const data = dataOf(record);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // the name at byte 12
  head.writeUInt16BE(types[record.type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(record.ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function dataOf(record: DnsRecord): Buffer {
  if (record.type === "A") return Buffer.from(record.address.split(".").map(Number));
  if (record.type === "AAAA") return ipv6(record.address);
  const head = Buffer.alloc(6);
  head.writeUInt16BE(record.priority, 0);
  head.writeUInt16BE(record.weight, 2);
  head.writeUInt16BE(record.port, 4);
  const labels = record.target === "." ? [] : record.target.split(".");
  const name = labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([head, ...name, Buffer.from([0])]);
}

function ipv6(address: string): Buffer {
  const [head = "", tail = ""] = address.split("::");
  const [first, last] = [head, tail].map((part) => (part === "" ? [] : part.split(":")));
  const zeros = Array.from({ length: 8 - (first?.length ?? 0) - (last?.length ?? 0) }, () => "0");
  const bytes = Buffer.alloc(16);
  [...(first ?? []), ...zeros, ...(last ?? [])].forEach((group, at) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * at);
  });
  return bytes;
}

function readName(message: Buffer, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = start;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join("."), end: at + 1 };
}
