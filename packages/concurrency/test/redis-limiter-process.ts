// One of several processes that take from the same limiter, as fast as they can, until 200 takes were admitted here.
import { setImmediate } from "node:timers/promises";
import { redisRateLimiter } from "../src/redis.ts";
import { clients } from "./redis-clients.ts";

const [name = "", url = "", spec = ""] = process.argv.slice(2);
const connect = clients[name];
if (connect === undefined) throw new Error(`Unknown client: ${name}`);
await using connected = await connect(url);
const limiter = redisRateLimiter(connected.client, JSON.parse(spec), { timeout: 20_000, onError: "deny" });

let admitted = 0;
while (admitted < 200) {
  if ((await limiter.tryTake("key")) === 0) admitted++;
  else await setImmediate();
}
console.log(`admitted ${admitted}`);
