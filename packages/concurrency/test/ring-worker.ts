// One thread of the litmus test: pushes numbered records, or pops them and reports what it got.
import { parentPort, workerData } from "node:worker_threads";
import { mpmcRing, type Ring, spscRing } from "../src/ring.ts";

interface Job {
  readonly kind: "spsc" | "mpmc";
  readonly share: SharedArrayBuffer | { readonly buffer: SharedArrayBuffer; readonly seat: number };
  readonly role: "push" | "pop";
  readonly producer: number;
  readonly count: number;
  /** How many records have been popped by all threads, and how many each producer has pushed. */
  readonly counters: SharedArrayBuffer;
}

const { share, role, producer, count, counters } = workerData as Job;
const ring: Ring = share instanceof SharedArrayBuffer ? spscRing(share) : mpmcRing(share);
const seen = new Int32Array(counters);

if (role === "push") {
  for (let i = 0; i < count; i++) {
    ring.pushBlocking(recordOf(producer, i));
    Atomics.add(seen, 1 + producer, 1);
  }
  parentPort?.postMessage({ role });
} else {
  const got: number[] = [];
  for (;;) {
    const record = ring.popBlocking({ timeout: 20 });
    if (record !== undefined) {
      got.push(checkRecord(record));
      Atomics.add(seen, 0, 1);
    } else if (Atomics.load(seen, 0) >= count) break;
  }
  parentPort?.postMessage({ role, got });
}

/** Producer, number and a checksum over a length that varies. */
function recordOf(producer: number, i: number): Uint8Array {
  const record = new Uint8Array(12 + (i % 40));
  const view = new DataView(record.buffer);
  view.setUint32(0, producer);
  view.setUint32(4, i);
  for (let at = 12; at < record.length; at++) record[at] = (producer * 31 + i * 7 + at) & 255;
  view.setUint32(8, sum(record));
  return record;
}

function checkRecord(record: Uint8Array): number {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  const expected = view.getUint32(8);
  view.setUint32(8, 0);
  if (sum(record) !== expected) throw new Error(`A damaged record of ${record.length} bytes`);
  return view.getUint32(0) * 1_000_000 + view.getUint32(4);
}

function sum(bytes: Uint8Array): number {
  let total = 17;
  for (const byte of bytes) total = (total * 31 + byte) >>> 0;
  return total;
}
