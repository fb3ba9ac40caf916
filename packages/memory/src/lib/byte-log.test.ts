import { expect, test } from "vitest";
import { ByteLog } from "./byte-log.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

test("ByteLog keeps records apart up to the last position that 32 bits can tell", () => {
  const segmentBytes = 2 ** 20;
  const first = 2 ** 35 / segmentBytes - 3; // of 32 GiB, the last three segments
  const dropped: number[] = [];
  const log = new ByteLog({
    segmentBytes,
    segments: 3,
    first,
    owner: { survives: () => false, moved: () => expect.fail("nothing stays"), dropped: (at) => dropped.push(at) },
  });
  const written = new Map<number, string>();
  for (let index = 0; index < 100; index++) {
    const value = `value ${index}`.padEnd(60_000, ".");
    const at = log.append(index, index, bytes("key"), 3, bytes(value));
    for (const gone of dropped.splice(0)) written.delete(gone);
    written.set(at, value);
    expect(at).toBeLessThan(2 ** 32);
    for (const [at, value] of written) expect(text(log.valueAt(at))).toBe(value);
  }
  expect(Math.max(...written.keys())).toBeGreaterThan(2 ** 32 - segmentBytes / 8);
  expect(log.bytes).toBe(3 * segmentBytes);
  expect([...log.map((at) => text(log.keyAt(at)))]).toEqual(Array(written.size).fill("key"));
});
