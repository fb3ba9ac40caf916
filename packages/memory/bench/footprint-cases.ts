// What one process of the footprint measurements does: fills a structure and tells what that has cost.

import { PerformanceObserver } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What a process has measured; each by the name of a column. */
export type Measures = Readonly<Record<string, number>>;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // what the flag has just exposed

const gc = { total: 0, longest: 0 };
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    gc.total += duration;
    gc.longest = Math.max(gc.longest, duration);
  }
}).observe({ entryTypes: ["gc"] });

/** Nanoseconds of the main thread for each of `count` calls. */
function perCall(count: number, work: () => void): number {
  const start = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(start);
  return ((user + system) * 1_000) / count;
}

/** The best of some rounds, after one for the compiler. */
function best(count: number, work: () => void, rounds = 5): number {
  work();
  return Math.min(...Array.from({ length: rounds }, () => perCall(count, work)));
}

function heldBytes(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** What it costs to make something once and keep it, in nanoseconds of the main thread and of all threads, and in bytes. */
function keeping(make: () => unknown): { readonly time: number; readonly cpu: number; readonly bytes: number } {
  const before = heldBytes();
  const start = process.cpuUsage();
  let kept: unknown;
  const time = perCall(1, () => {
    kept = make();
  });
  const { user, system } = process.cpuUsage(start);
  const bytes = heldBytes() - before;
  if (kept === undefined) throw new Error("Nothing was made");
  return { time, cpu: (user + system) * 1_000, bytes };
}

interface Values {
  set(key: string, value: Buffer): void;
  get(key: string): number | undefined;
}

const first = (view: Uint8Array): number | undefined => view[0];

const valueCaches: Readonly<Record<string, (maxBytes: number, size: number) => Promise<Values>>> = {
  async read(maxBytes) {
    const { ByteCache } = await import("@proj/memory");
    const cache = new ByteCache({ maxBytes });
    return { set: (key, value) => void cache.set(key, value), get: (key) => cache.read(key, first) };
  },
  async get(maxBytes) {
    const { ByteCache } = await import("@proj/memory");
    const cache = new ByteCache({ maxBytes });
    return { set: (key, value) => void cache.set(key, value), get: (key) => cache.get(key)?.[0] };
  },
  async lru(maxBytes, size) {
    const { LRUCache } = await import("lru-cache");
    const cache = new LRUCache<string, Buffer>({
      max: Math.ceil(maxBytes / size),
      maxSize: maxBytes,
      sizeCalculation: ({ length }, key) => length + key.length,
    });
    return { set: (key, value) => void cache.set(key, Buffer.from(value)), get: (key) => cache.get(key)?.[0] };
  },
};

/** Writes three times the budget into a cache and then reads what it has. */
async function values(which: string, megabytes: number, size: number): Promise<Measures> {
  const maxBytes = megabytes * 2 ** 20;
  const cache = await valueCaches[which]?.(maxBytes, size);
  if (cache === undefined) throw new TypeError(`There is no cache ${which}`);
  const value = Buffer.alloc(size, 7);
  const before = process.memoryUsage.rss();
  const sets = Math.ceil((3 * maxBytes) / size);
  let highest = 0;
  let set = 0;
  for (let from = 0; from < sets; from += 20_000) {
    const to = Math.min(sets, from + 20_000);
    set += perCall(1, () => {
      for (let n = from; n < to; n++) cache.set(`user:${n}`, value);
    });
    await sleep(0); // for the reports of the collector
    highest = Math.max(highest, process.memoryUsage.rss());
  }
  const resident = Math.floor((0.7 * maxBytes) / (size + 64));
  const gets = 300_000;
  let seed = 1;
  const get = best(gets, () => {
    for (let n = 0; n < gets; n++) {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      if (cache.get(`user:${sets - 1 - (seed % resident)}`) !== 7) throw new Error("A value is gone");
    }
  });
  await sleep(20);
  const { total, longest } = gc;
  collect();
  return {
    "RSS / budget": (highest - before) / maxBytes,
    "JS heap, MiB": process.memoryUsage().heapUsed / 2 ** 20,
    "set, ns": set / sets,
    "get, ns": get,
    "GC, ms": total,
    "longest pause, ms": longest,
  };
}

async function buffers(which: string, size: number, fills: boolean): Promise<Measures> {
  const { BufferPool } = await import("@proj/memory");
  const pool = new BufferPool({ checks: false });
  const count = Math.ceil(2e9 / (size + 100_000));
  const use = (buffer: Buffer): void => {
    if (fills) buffer.fill(1);
    else buffer[0] = 1;
  };
  const pooled = (): void => {
    using held = pool.acquire(size);
    use(held.bytes);
  };
  const plain = (): void => use(Buffer.allocUnsafe(size));
  const one = which === "pool" ? pooled : plain;
  const time = best(count, () => {
    for (let n = 0; n < count; n++) one();
  });
  return { "time, ns": time };
}

const numbers = { id: "u32", price: "f64", size: "u16", volume: "f64", at: "u32", flags: "u8" } as const;
const labelled = { id: "u32", price: "f64", size: "u16", symbol: "label", venue: "label", open: "bool" } as const;
const symbols = Array.from({ length: 50 }, (_, n) => `SYM${n}`);
const venues = Array.from({ length: 5 }, (_, n) => `VENUE${n}`);

/** A million rows that stay: of six numbers, or with two labels and a boolean. */
async function rows(which: string, kind: string): Promise<Measures> {
  const { records } = await import("@proj/memory");
  const fillNumbers = (count: number, into: { push(row: Record<keyof typeof numbers, number>): number }) => {
    for (let n = 0; n < count; n++)
      into.push({ id: n, price: n / 7, size: n % 1_000, volume: n / 3, at: n + 1e6, flags: n & 7 });
    return into;
  };
  const fillLabelled = (
    count: number,
    into: {
      push(row: { id: number; price: number; size: number; symbol: string; venue: string; open: boolean }): number;
    },
  ) => {
    for (let n = 0; n < count; n++) {
      const symbol = symbols[n % 50] as string; // in bounds
      const venue = venues[n % 5] as string;
      into.push({ id: n, price: n / 7, size: n % 1_000, symbol, venue, open: n % 2 === 0 });
    }
    return into;
  };
  const build = (count: number): unknown => {
    if (kind === "numbers") return fillNumbers(count, which === "records" ? records(numbers) : []);
    return fillLabelled(count, which === "records" ? records(labelled) : []);
  };
  for (let round = 0; round < 10; round++) build(20_000);
  const { time, cpu, bytes } = keeping(() => build(1e6));
  return { "build, ns a row": time / 1e6, "all threads, ns a row": cpu / 1e6, "memory, B a row": bytes / 1e6 };
}

/** A million texts of 20 characters that stay, decoded from bytes; 200 distinct ones. */
async function texts(which: string): Promise<Measures> {
  const { Interner } = await import("@proj/memory");
  const encoded = Array.from({ length: 200 }, (_, n) => Buffer.from(`country with no. ${n}`.padEnd(20, ".")));
  const decode = (count: number): string[] => {
    const interner = new Interner();
    return Array.from({ length: count }, (_, n) => {
      const bytes = encoded[(n * 7) % 200] as Buffer; // in bounds
      return which === "interner" ? interner.fromBytes(bytes) : bytes.toString();
    });
  };
  for (let round = 0; round < 10; round++) decode(20_000);
  const { time, bytes } = keeping(() => decode(1e6));
  return { "decode, ns": time / 1e6, "memory, B a text": bytes / 1e6 };
}

/** 300,000 objects that somebody holds, under keys. */
async function references(which: string): Promise<Measures> {
  const { WeakCache } = await import("@proj/memory");
  const objects = Array.from({ length: 300_000 }, (_, n) => ({ n }));
  const map: { set(key: number, value: object): unknown; get(key: number): object | undefined } =
    which === "weak" ? new WeakCache<number, object>({ strong: 64 }) : new Map<number, object>();
  const set = perCall(objects.length, () => {
    for (const object of objects) map.set(object.n, object);
  });
  await sleep(0); // what was read can be collected after this job only
  const get = perCall(objects.length, () => {
    for (let n = 0; n < objects.length; n++) if (map.get((n * 7_919) % 300_000) === undefined) throw new Error("Gone");
  });
  await sleep(0);
  collect();
  const start = performance.now();
  for (let round = 0; round < 3; round++) collect();
  return { "set, ns": set, "get, ns": get, "whole collection, ms": (performance.now() - start) / 3 };
}

const [scenario = "", which = "", ...sizes] = process.argv.slice(2);
const [a = 0, b = 0] = sizes.map(Number);
const scenarios: Readonly<Record<string, () => Promise<Measures>>> = {
  values: () => values(which, a, b),
  buffers: () => buffers(which, a, b === 1),
  rows: () => rows(which, sizes[0] ?? ""),
  texts: () => texts(which),
  references: () => references(which),
};
process.stdout.write(JSON.stringify(await scenarios[scenario]?.()));
