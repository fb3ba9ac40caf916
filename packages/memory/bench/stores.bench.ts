// Stores below the memory: what one value costs this process on a disk, in files, and in a Redis next door.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SqliteTierOptions } from "@proj/memory/sqlite";
import { benchmark } from "@tooling/bench";
import { freePort, requireTool } from "@tooling/testing";

const entries = 5_000;
const forever = Number.POSITIVE_INFINITY;

/** Another key each time, and all of them in turn. */
function keys(): () => string {
  let index = 0;
  return () => {
    index = (index + 7_919) % entries;
    return `user:${index}`;
  };
}

function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), "stores-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function sqlite(options: Partial<SqliteTierOptions> = {}) {
  const { sqliteTier } = await import("@proj/memory/sqlite");
  return sqliteTier({ path: join(folderOf(), "cache.db"), maxBytes: 2 ** 30, ...options });
}

/** A server of its own, that ends with this process. */
async function startServer(): Promise<string> {
  const port = await freePort();
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--dir", folderOf()];
  const server = spawn(requireTool("redis-server"), args, { stdio: "ignore" });
  server.unref();
  process.once("exit", () => server.kill("SIGKILL"));
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      execFileSync("redis-cli", ["-p", `${port}`, "ping"], { stdio: "ignore" });
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  return `redis://127.0.0.1:${port}`;
}

async function redis() {
  const { createClient } = await import("redis");
  const { redisTier } = await import("@proj/memory/redis");
  const client = createClient({ url: await startServer(), RESP: 3 });
  await client.connect();
  return { client, tier: redisTier({ client }) };
}

const reads = (size: number) => {
  const bytes = Buffer.alloc(size, 7);
  return {
    sqliteTier: async () => {
      const tier = await sqlite();
      for (let n = 0; n < entries; n++) tier.set(`user:${n}`, { bytes, expiresAt: forever });
      tier.flush();
      const next = keys();
      return () => (tier.get(next()) as { bytes: Uint8Array }).bytes.length;
    },
    "Redis GET, node-redis": async () => {
      const { client } = await redis();
      for (let n = 0; n < entries; n++) await client.set(`user:${n}`, bytes);
      const next = keys();
      const buffers = { typeMapping: { 36: Buffer } };
      return async () => ((await client.sendCommand(["GET", next()], buffers)) as unknown as Buffer).length;
    },
    redisTier: async () => {
      const { tier } = await redis();
      for (let n = 0; n < entries; n++) await tier.set(`user:${n}`, { bytes, expiresAt: forever });
      const next = keys();
      return async () => (await tier.get(next()))?.bytes.length;
    },
    "a file each": async () => {
      const folder = folderOf();
      for (let n = 0; n < entries; n++) writeFileSync(join(folder, `user:${n}`), bytes);
      const next = keys();
      return async () => (await readFile(join(folder, next()))).length;
    },
  };
};

const writes = (size: number) => {
  const bytes = Buffer.alloc(size, 7);
  return {
    sqliteTier: async () => {
      const tier = await sqlite();
      let n = 0;
      return () => {
        tier.set(`user:${n++}`, { bytes, expiresAt: forever });
        return 1;
      };
    },
    "sqliteTier, each at once": async () => {
      const tier = await sqlite({ flushEvery: 1 });
      let n = 0;
      return () => {
        tier.set(`user:${n++}`, { bytes, expiresAt: forever });
        return 1;
      };
    },
    redisTier: async () => {
      const { tier } = await redis();
      let n = 0;
      return async () => {
        await tier.set(`user:${n++ % entries}`, { bytes, expiresAt: forever });
        return 1;
      };
    },
    "a file each, by rename": async () => {
      const folder = folderOf();
      mkdirSync(folder, { recursive: true });
      let n = 0;
      return async () => {
        const path = join(folder, `user:${n++ % entries}`);
        await writeFile(`${path}.new`, bytes);
        await rename(`${path}.new`, path);
        return 1;
      };
    },
  };
};

export const benchmarks = [
  ...[1_024, 16_384].map((size) =>
    benchmark(`Read one of 5,000 values of ${size / 1_024} KiB`, {
      ours: "sqliteTier",
      cases: reads(size),
      check: (result) => result,
      ...(size === 1_024 ? { goal: { "Redis GET, node-redis": 0.4 } } : {}),
    }),
  ),
  ...[1_024, 16_384].map((size) =>
    benchmark(`Write a new value of ${size / 1_024} KiB`, {
      ours: "sqliteTier",
      cases: writes(size),
      check: (result) => result,
    }),
  ),
  benchmark("Read 100 of 5,000 values of 1 KiB at once", {
    ours: "sqliteTier",
    cases: {
      sqliteTier: async () => {
        const tier = await sqlite();
        const bytes = Buffer.alloc(1_024, 7);
        for (let n = 0; n < entries; n++) tier.set(`user:${n}`, { bytes, expiresAt: forever });
        tier.flush();
        const next = keys();
        return async () => (await tier.getMany(Array.from({ length: 100 }, next))).length;
      },
      redisTier: async () => {
        const { tier } = await redis();
        const bytes = Buffer.alloc(1_024, 7);
        for (let n = 0; n < entries; n++) await tier.set(`user:${n}`, { bytes, expiresAt: forever });
        const next = keys();
        return async () => (await tier.getMany(Array.from({ length: 100 }, next))).length;
      },
      "redisTier, one by one": async () => {
        const { tier } = await redis();
        const bytes = Buffer.alloc(1_024, 7);
        for (let n = 0; n < entries; n++) await tier.set(`user:${n}`, { bytes, expiresAt: forever });
        const next = keys();
        return async () => (await Promise.all(Array.from({ length: 100 }, async () => await tier.get(next())))).length;
      },
    },
    check: (result) => result,
  }),
];
