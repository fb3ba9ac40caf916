// A process that fills a cache far beyond its budget and tells what memory that took, as JSON on its standard output.
//
//   node --max-old-space-size=256 --expose-gc cache-memory.ts objects|bytes SETS
import { ByteCache, Cache } from "../../src/index.ts";

const budget = 128 * 2 ** 20;
const [kind, count] = process.argv.slice(2);
const sets = Number(count);

const { gc } = globalThis;
if (gc === undefined) throw new Error("run with --expose-gc");
const collect = (): void => {
  for (let times = 0; times < 3; times++) gc();
};

collect();
const rssBefore = process.memoryUsage.rss();
const heapBefore = heap();
let rssMost = 0;

const cache = kind === "bytes" ? bytes() : objects();
const atEnd = { rss: process.memoryUsage.rss(), entries: cache.size, bytes: cache.bytes() };
collect();
const live = heap() - heapBefore;
const rssCollected = process.memoryUsage.rss();
cache.clear();
collect();
console.log(
  JSON.stringify({
    sets,
    entries: atEnd.entries,
    bytes: atEnd.bytes,
    /** Of the whole process, less what it took before. */
    rssRatio: (rssMost - rssBefore) / budget,
    /** The same after a collection. */
    rssRatioCollected: (rssCollected - rssBefore) / budget,
    /** What is in use after a collection. */
    liveRatio: live / budget,
    heapRatioAfterClear: heap() / heapBefore,
  }),
);

function look(index: number): void {
  if (index % 10_000 === 0) rssMost = Math.max(rssMost, process.memoryUsage.rss());
}

function objects() {
  const cache = new Cache<string, object>({ maxBytes: budget });
  for (let index = 0; index < sets; index++) {
    const name = `user no. ${index}`;
    cache.set(`user:${index}`, { id: index, name, tags: [name, "a", "b"], score: index / 7, address: { city: name } });
    look(index);
  }
  return { size: cache.size, bytes: () => cache.stats().bytes, clear: () => cache.clear() };
}

function bytes() {
  const cache = new ByteCache({ maxBytes: budget });
  const value = new Uint8Array(256);
  for (let index = 0; index < sets; index++) {
    value[0] = index;
    cache.set(`user:${index}`, value);
    look(index);
  }
  return { size: cache.size, bytes: () => cache.stats().bytes, clear: () => cache.clear() };
}

function heap(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
