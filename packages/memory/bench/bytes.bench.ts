// Memory with a lifetime that its user knows, beside what the platform and the collector do.
import { benchmark } from "@tooling/bench";

const keys = Array.from({ length: 50_000 }, (_, index) => `user:${index}`);
const keyAt = (index: number): string => keys[index] as string; // in bounds

/** Caches of 50,000 values; reads one after the other, with a key made for each call or with the one it was set with. */
function byteCaches(size: number, isFresh: boolean) {
  const value = Buffer.alloc(size, 7);
  const maxBytes = keys.length * (size + 64) * 2;
  const caches = {
    "@proj/memory, read": async () => {
      const { ByteCache } = await import("@proj/memory");
      const cache = new ByteCache({ maxBytes });
      for (const key of keys) cache.set(key, value);
      return (key: string) => cache.read(key, first);
    },
    "@proj/memory, get": async () => {
      const { ByteCache } = await import("@proj/memory");
      const cache = new ByteCache({ maxBytes });
      for (const key of keys) cache.set(key, value);
      return (key: string) => cache.get(key)?.[0];
    },
    "lru-cache of Buffers": async () => {
      const { LRUCache } = await import("lru-cache");
      const cache = new LRUCache<string, Buffer>({ maxSize: maxBytes, sizeCalculation: ({ length }) => length });
      for (const key of keys) cache.set(key, Buffer.from(value));
      return (key: string) => cache.get(key)?.[0];
    },
  };
  return Object.fromEntries(
    Object.entries(caches).map(([name, make]) => [
      name,
      async () => {
        const read = await make();
        let index = 0;
        return () => {
          index = (index + 7_919) % keys.length;
          return read(isFresh ? `user:${index}` : keyAt(index));
        };
      },
    ]),
  );
}

const first = (view: Uint8Array): number | undefined => view[0];

/** Takes a buffer, fills it if told so, and gives it back. */
function buffers(size: number, fills: boolean) {
  const touch = (buffer: Buffer): number => {
    if (fills) buffer.fill(1);
    return buffer.length;
  };
  return {
    BufferPool: async () => {
      const { BufferPool } = await import("@proj/memory");
      const pool = new BufferPool({ checks: false });
      return () => {
        const held = pool.acquire(size);
        const length = touch(held.bytes);
        held.release();
        return length;
      };
    },
    "Buffer.allocUnsafe": () => () => touch(Buffer.allocUnsafe(size)),
  };
}

const rows = Array.from({ length: 200_000 }, (_, index) => ({
  id: index,
  price: index / 7,
  size: index % 1_000,
  symbol: `SYM${index % 50}`,
  venue: `VENUE${index % 5}`,
  open: index % 2 === 0,
}));
const encoded = rows.slice(0, 10_000).map(({ id }) => Buffer.from(`a country name no. ${id % 200}`));

class Heavy {
  readonly samples = new Float64Array(2_048);
  readonly byName = new Map<string, number>();
}

export const benchmarks = [
  ...[256, 16_384].map((size) =>
    benchmark(`Read one of 50,000 values of ${size.toLocaleString("en")} bytes, by a new key`, {
      ours: "@proj/memory, read",
      ...(size > 10_000 ? { goal: { "lru-cache of Buffers": 0.67 } } : {}),
      cases: byteCaches(size, true),
      check: (result) => result,
    }),
  ),
  benchmark("Read one of 50,000 values of 256 bytes, by the very key that it was set with", {
    ours: "@proj/memory, read",
    cases: byteCaches(256, false),
    check: (result) => result,
  }),
  ...[
    [4_096, false],
    [65_536, false],
    [65_536, true],
  ].map(([size, fills]) =>
    benchmark(`Take a buffer of ${Number(size) / 1_024} KiB${fills ? ", fill it" : ""} and give it back`, {
      ours: "BufferPool",
      ...(fills ? { goal: { "Buffer.allocUnsafe": 0.33 } } : {}),
      cases: buffers(Number(size), fills === true),
      check: (result) => result,
    }),
  ),
  benchmark("Take a heavy object (16 KiB and a Map) and give it back", {
    ours: "ObjectPool",
    cases: {
      ObjectPool: async () => {
        const { ObjectPool } = await import("@proj/memory");
        const pool = new ObjectPool({
          create: () => new Heavy(),
          reset: ({ byName }) => byName.clear(),
          checks: false,
        });
        return () => {
          const heavy = pool.acquire();
          heavy.byName.set("a", 1);
          pool.release(heavy);
          return 1;
        };
      },
      new: () => () => new Heavy().byName.set("a", 1).size,
      "generic-pool": async () => {
        const { createPool } = await import("generic-pool");
        const pool = createPool({ create: async () => new Heavy(), destroy: async () => {} }, { max: 10 });
        return async () => {
          const heavy = await pool.acquire();
          heavy.byName.set("a", 1);
          await pool.release(heavy);
          return 1;
        };
      },
    },
    check: (result) => result,
  }),
  benchmark("Take 64 bytes", {
    ours: "Arena",
    operationsPerCall: 1_000,
    cases: {
      Arena: async () => {
        const { Arena } = await import("@proj/memory");
        const arena = new Arena({ checks: false });
        return () => {
          let sum = 0;
          for (let n = 0; n < 1_000; n++) sum += arena.alloc(64) >= 0 ? 1 : 0;
          arena.reset();
          return sum;
        };
      },
      "Buffer.allocUnsafe": () => () => {
        let sum = 0;
        for (let n = 0; n < 1_000; n++) sum += Buffer.allocUnsafe(64).length >= 0 ? 1 : 0;
        return sum;
      },
    },
    check: (result) => result,
  }),
  // For rows that stay, which is what records are for, see footprint.ts.
  benchmark("Build 200,000 rows of six fields and let go of them, for each row", {
    ours: "records",
    operationsPerCall: rows.length,
    cases: {
      records: async () => {
        const { records } = await import("@proj/memory");
        const schema = { id: "u32", price: "f64", size: "u16", symbol: "label", venue: "label", open: "bool" } as const;
        return () => {
          const store = records(schema, { capacity: rows.length });
          for (const row of rows) store.push(row);
          return store.length;
        };
      },
      "array of objects": () => () => {
        const store: object[] = [];
        for (const { id, price, size, symbol, venue, open } of rows)
          store.push({ id, price, size, symbol, venue, open });
        return store.length;
      },
    },
    check: (result) => result,
  }),
  benchmark("Decode one of 200 texts of 22 bytes", {
    ours: "Interner",
    goal: { "toString()": 1.3 },
    operationsPerCall: encoded.length,
    cases: {
      Interner: async () => {
        const { Interner } = await import("@proj/memory");
        const interner = new Interner();
        return () => encoded.reduce((sum, bytes) => sum + interner.fromBytes(bytes).length, 0);
      },
      "toString()": () => () => encoded.reduce((sum, bytes) => sum + bytes.toString().length, 0),
    },
    check: (result) => result,
  }),
];
