// Writes far more into a ByteCache than it may keep, and tells what the process needed for that.
import { PerformanceObserver } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ByteCache } from "@proj/memory";

/** What the process tells its test. */
export interface ByteMemoryReport {
  readonly rssPerBudget: number;
  readonly gcShare: number;
  readonly entries: number;
  readonly wrong: number;
  /** Of the JavaScript heap: after everything was written and cleared, to before. */
  readonly heapLeft: number;
  readonly arrayBuffersLeft: number;
}

const maxBytes = 128 * 2 ** 20;
const sets = 4_000_000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // what the flag has just exposed
let gcTime = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) gcTime += duration;
}).observe({ entryTypes: ["gc"] });

const value = Buffer.alloc(256);
const cache = new ByteCache({ maxBytes, name: "under test" });

function write(from: number, to: number): void {
  for (let n = from; n < to; n++) {
    value.writeUInt32LE(n);
    value.writeUInt32LE(n, 252);
    cache.set(`user:${n}`, value);
  }
}

write(0, 20_000); // compiled by now
cache.clear();
collect();
await sleep(0);
const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
gcTime = 0;
const start = performance.now();
let highest = 0;
for (let from = 0; from < sets; from += 50_000) {
  write(from, from + 50_000);
  await sleep(0); // for the reports of the collector
  highest = Math.max(highest, process.memoryUsage.rss());
}
const gcShare = gcTime / (performance.now() - start);

let wrong = 0;
const { entries } = cache.stats();
for (let n = sets - entries; n < sets; n++) {
  const right = cache.read(`user:${n}`, (view) => {
    const bytes = new DataView(view.buffer, view.byteOffset, view.length);
    return bytes.getUint32(0, true) === n && bytes.getUint32(252, true) === n;
  });
  if (right !== true) wrong++;
}

cache.clear();
collect();
await sleep(0);
collect();
const after = process.memoryUsage();
const report: ByteMemoryReport = {
  rssPerBudget: (highest - rss) / maxBytes,
  gcShare,
  entries,
  wrong,
  heapLeft: after.heapUsed / heapUsed,
  arrayBuffersLeft: after.arrayBuffers - arrayBuffers,
};
process.stdout.write(JSON.stringify(report));
