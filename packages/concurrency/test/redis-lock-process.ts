// One of several processes that want the same lock.
import { readSync } from "node:fs";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Context } from "../src/index.ts";
import { type LockLostError, redisLock } from "../src/redis.ts";
import { clients } from "./redis-clients.ts";

const [work = "", name = "", url = "", counter = "", log = ""] = process.argv.slice(2);
const connect = clients[name];
if (connect === undefined) throw new Error(`Unknown client: ${name}`);
await using connected = await connect(url);

if (work === "count") await count();
if (work === "hold") await hold();
if (work === "write") await blockAndWrite();

/** Adds 30 to a number in a file, in a way that loses turns unless they exclude each other. */
async function count(): Promise<void> {
  const lock = redisLock(connected.client, "counter", { ttl: 30_000, poll: 5 });
  for (let turn = 0; turn < 30; turn++) {
    await lock.run(async (_context, { fence }) => {
      const before = Number(await readFile(counter, "utf8"));
      await delay(1);
      await writeFile(counter, String(before + 1));
      await appendFile(log, `${fence} ${name}\n`);
    });
  }
}

/** Holds a short lease, and renews it until it is killed. */
async function hold(): Promise<void> {
  await using lease = await redisLock(connected.client, "resource", { ttl: 2_000 }).acquire();
  console.log(`held ${lease.fence}`);
  await delay(600_000);
}

/** Holds a short lease, blocks until there is a line to read, and writes with its fencing number. */
async function blockAndWrite(): Promise<void> {
  const lock = redisLock(connected.client, "resource", { ttl: 300 });
  try {
    await lock.run((context, { fence }) => {
      Context.after(context, (cause) => console.log(`cancelled ${(cause as LockLostError).code}`));
      console.log(`held ${fence}`);
      readSync(0, new Uint8Array(3));
      console.log(`writes ${fence}`);
    });
  } catch (error) {
    console.log(`rejected ${(error as LockLostError).code}`);
  }
}
