// How values and tags are written for tiers, so that what was damaged, or written by somebody else, is recognised.

/** What a tier keeps of an entry beside its value. */
export interface WireHeader {
  readonly kind: WireKind;
  /** {@link Codec.id} of what wrote the payload. */
  readonly codec: number;
  /** When it was made, in milliseconds since the Unix epoch, with a fraction that tells entries of one moment apart. */
  readonly stamp: number;
  /** Until when it is fresh, in milliseconds since the Unix epoch. */
  readonly freshUntil: number;
  /** Names of tags and the versions they had, one after the other. */
  readonly tags: readonly (readonly [name: string, version: number])[];
}

/** What was read. */
export interface Wire extends WireHeader {
  readonly payload: Uint8Array;
}

/** A value, the knowledge that there is none, or the version of a tag. */
export type WireKind = "value" | "nothing" | "tag";

const kinds: readonly WireKind[] = ["value", "nothing", "tag"];
const magic = 0xca;
const format = 1;
const headBytes = 26;
const none = new Uint8Array(0);

/** Writes a header and a payload. */
export function writeWire(header: WireHeader, payload: Uint8Array = none): Uint8Array {
  const names = header.tags.map(([name]) => Buffer.from(name));
  const bytes = names.reduce((sum, name) => sum + name.length + 10, headBytes + payload.length);
  const wire = Buffer.allocUnsafe(bytes);
  wire[0] = magic;
  wire[1] = format;
  wire[2] = kinds.indexOf(header.kind);
  wire[3] = header.codec;
  wire.writeDoubleLE(header.stamp, 4);
  wire.writeDoubleLE(header.freshUntil, 12);
  let at = wire.writeUInt16LE(names.length, 24);
  for (const [index, name] of names.entries()) {
    at = wire.writeUInt16LE(name.length, at);
    at += name.copy(wire, at);
    at = wire.writeDoubleLE(header.tags[index]?.[1] ?? 0, at);
  }
  wire.set(payload, at);
  wire.writeUInt32LE(checksum(wire), 20);
  return wire;
}

/** Reads what {@link writeWire} has written; `undefined` for anything else. */
export function readWire(bytes: Uint8Array): Wire | undefined {
  const wire = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (wire.length < headBytes || wire[0] !== magic || wire[1] !== format) return undefined;
  const kind = kinds[wire[2] ?? -1];
  if (kind === undefined || wire.readUInt32LE(20) !== checksum(wire)) return undefined;
  let at = headBytes;
  let left = wire.readUInt16LE(24);
  const tags: (readonly [string, number])[] = left === 0 ? noTags : [];
  for (; left > 0; left--) {
    const end = at + 2 + wire.readUInt16LE(at);
    tags.push([wire.toString("utf8", at + 2, end), wire.readDoubleLE(end)]);
    at = end + 8;
  }
  return {
    kind,
    codec: wire[3] ?? 0,
    stamp: wire.readDoubleLE(4),
    freshUntil: wire.readDoubleLE(12),
    tags,
    payload: wire.subarray(at),
  };
}

const noTags: (readonly [string, number])[] = [];

/** Of all bytes but those it stands in. Lengths inside are covered by it, so reading after the check stays in bounds. */
function checksum(wire: Buffer): number {
  // On demand: a cache without tiers does not load it.
  const { crc32 } = process.getBuiltinModule("node:zlib");
  return crc32(wire.subarray(24), crc32(wire.subarray(0, 20)));
}
