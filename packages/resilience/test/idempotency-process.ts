// One of several processes that want to do the work of the same keys.
import { appendFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { type IdempotencyStore, idempotencyGuard } from "../src/index.ts";
import { openStore } from "./idempotency-support.ts";

const [work = "", kind = "", place = "", log = ""] = process.argv.slice(2);
const { store } = await openStore(kind, place);
if (work === "compete") await compete(store);
if (work === "hold") await hold(store);
process.exit();

/** Does each of 30 keys, at the same time as others, and writes down what it did and what it was told. */
async function compete(store: IdempotencyStore): Promise<void> {
  const guard = idempotencyGuard({ store, poll: 5, lease: 30_000 });
  console.log("ready");
  for (let key = 0; key < 30; key++) {
    const told = await guard.run(`key ${key}`, async (_context, { fence }) => {
      await appendFile(log, `${key}\n`);
      await delay(1);
      return { by: process.pid, fence };
    });
    console.log(`told ${JSON.stringify({ key, ...told })}`);
  }
}

/** Begins, and never ends. */
async function hold(store: IdempotencyStore): Promise<void> {
  await idempotencyGuard({ store, lease: 300 }).run("key", async (_context, { id, fence }) => {
    await appendFile(log, "begun\n");
    console.log(`holds ${id} ${fence}`);
    await delay(600_000);
  });
}
