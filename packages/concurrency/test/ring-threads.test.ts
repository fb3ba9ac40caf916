import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { type MpmcShare, mpmcRing, spscRing } from "../src/ring.ts";

const url = new URL("./ring-worker.ts", import.meta.url);
const execArgv = ["--conditions=@proj/source"];

/** Starts a thread; `report` is its message, or undefined if it was killed before. */
function start(job: object) {
  const worker = new Worker(url, { workerData: job, execArgv });
  const report = new Promise<{ got?: number[] } | undefined>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => resolve(undefined));
  });
  return { worker, report };
}

/** Numbers of one producer in the order in which one consumer got them. */
function expectInOrder(got: readonly number[]): void {
  for (const producer of new Set(got.map((id) => Math.floor(id / 1_000_000)))) {
    const own = got.filter((id) => Math.floor(id / 1_000_000) === producer);
    expect(own).toEqual([...own].sort((a, b) => a - b));
  }
}

function idsOf(producers: number, count: number): number[] {
  return Array.from({ length: producers * count }, (_, i) => Math.floor(i / count) * 1_000_000 + (i % count));
}

test("spscRing between two threads: each record arrives whole, once and in order", { timeout: 60_000 }, async () => {
  const ring = spscRing({ bytes: 1_024 });
  const count = 20_000;
  const counters = new SharedArrayBuffer(64);
  const threads = (["push", "pop"] as const).map((role) =>
    start({ kind: "spsc", share: ring.buffer, role, producer: 0, count, counters }),
  );
  const [, popped] = await Promise.all(threads.map(({ report }) => report));
  expect(popped?.got).toEqual(idsOf(1, count));
});

test("mpmcRing among four threads: each record arrives whole and exactly once", { timeout: 60_000 }, async () => {
  const ring = mpmcRing({ slots: 16, slotBytes: 64 });
  const count = 10_000;
  const counters = new SharedArrayBuffer(64);
  const thread = (role: string, producer: number, count: number) =>
    start({ kind: "mpmc", share: ring.share(), role, producer, count, counters });
  const threads = [
    thread("push", 0, count),
    thread("push", 1, count),
    thread("pop", 0, 2 * count),
    thread("pop", 0, 2 * count),
  ];
  const reports = await Promise.all(threads.map(({ report }) => report));
  const got = reports.map((report) => report?.got ?? []);
  for (const records of got) expectInOrder(records);
  expect(got.flat().sort((a, b) => a - b)).toEqual(idsOf(2, count));
});

test("mpmcRing: a producer that is terminated in the middle loses nothing of the others and of what it had pushed", {
  timeout: 60_000,
}, async () => {
  for (let round = 0; round < 3; round++) {
    const ring = mpmcRing({ slots: 8, slotBytes: 64 });
    const counters = new SharedArrayBuffer(64);
    const seen = new Int32Array(counters);
    const victimShare: MpmcShare = ring.share();
    const victim = start({ kind: "mpmc", share: victimShare, role: "push", producer: 0, count: 1e9, counters });
    const other = start({ kind: "mpmc", share: ring.share(), role: "push", producer: 1, count: 2_000, counters });
    const got: number[] = [];
    const take = (record: Uint8Array) => {
      const view = new DataView(record.buffer);
      got.push(view.getUint32(0) * 1_000_000 + view.getUint32(4));
    };
    const popUntil = (isEnough: () => boolean) => {
      while (!isEnough()) {
        const record = ring.popBlocking({ timeout: 5 });
        if (record !== undefined) take(record);
      }
    };
    popUntil(() => Atomics.load(seen, 1) > 500); // the victim is at work
    const exited = once(victim.worker, "exit");
    void victim.worker.terminate();
    await exited;
    ring.recover(victimShare).forEach(take);
    popUntil(() => Atomics.load(seen, 2) >= 2_000 && ring.isEmpty);
    await other.report;
    const pushed = Atomics.load(seen, 1);
    const fromVictim = got.filter((id) => id < 1_000_000);
    // It is killed between a push and its count at the worst.
    expect(fromVictim.length - pushed).toBeGreaterThanOrEqual(0);
    expect(fromVictim.length - pushed).toBeLessThanOrEqual(1);
    expect(fromVictim).toEqual(fromVictim.map((_, i) => i));
    expect(got.filter((id) => id >= 1_000_000)).toEqual(Array.from({ length: 2_000 }, (_, i) => 1_000_000 + i));
  }
});

test("spscRing: a producer that is terminated in the middle leaves whole records, and another one takes its part", {
  timeout: 60_000,
}, async () => {
  const ring = spscRing({ bytes: 512 });
  const counters = new SharedArrayBuffer(64);
  const seen = new Int32Array(counters);
  const victim = start({ kind: "spsc", share: ring.buffer, role: "push", producer: 0, count: 1e9, counters });
  const got: number[] = [];
  const pop = (timeout: number) => {
    const record = ring.popBlocking({ timeout });
    if (record !== undefined) got.push(new DataView(record.buffer).getUint32(4));
    return record;
  };
  while (Atomics.load(seen, 1) < 1_000) pop(5);
  const exited = once(victim.worker, "exit");
  void victim.worker.terminate();
  await exited;
  while (pop(0) !== undefined);
  expect(got).toEqual(got.map((_, i) => i));
  spscRing(ring.buffer).tryPush(Uint8Array.of(1, 2, 3));
  expect(ring.tryPop()).toEqual(Uint8Array.of(1, 2, 3));
});
