// Values as they lie in Redis: behind a header that tells them from any other write to the same key.
import { randomBytes } from "node:crypto";
import type { Sealed } from "./tier.ts";

/** One byte that says what it is, eight for the end, eight that no other write has. */
export const headerBytes = 17;

const [kindOfValue, kindOfGrave] = [0xc1, 0xc2];

/** This process, or this thread of it. */
const writer = randomBytes(4);
let writes = 0;

/** A value with its header. */
export function wrap({ bytes, expiresAt }: Sealed): Buffer {
  const wire = Buffer.allocUnsafe(headerBytes + bytes.length);
  writeHeader(wire, kindOfValue, expiresAt);
  wire.set(bytes, headerBytes);
  return wire;
}

/** What lies for a while where a value was deleted, so that a load that began before does not put it back. */
export function grave(): Buffer {
  return writeHeader(Buffer.allocUnsafe(headerBytes), kindOfGrave, 0);
}

/** The value; `undefined` for a grave, for nothing, and for what something else has written. */
export function unwrap(wire: unknown): Sealed | undefined {
  if (!Buffer.isBuffer(wire) || wire.length < headerBytes || wire[0] !== kindOfValue) return undefined;
  return { bytes: wire.subarray(headerBytes), expiresAt: wire.readDoubleBE(1) };
}

/** What a write is known by; empty for nothing. */
export function headerOf(wire: unknown): string {
  return Buffer.isBuffer(wire) ? wire.toString("latin1", 0, headerBytes) : "";
}

function writeHeader(wire: Buffer, kind: number, expiresAt: number): Buffer {
  wire[0] = kind;
  wire.writeDoubleBE(expiresAt, 1);
  wire.set(writer, 9);
  writes = (writes + 1) >>> 0;
  wire.writeUInt32BE(writes, 13);
  return wire;
}
