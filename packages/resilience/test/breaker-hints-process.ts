// One of several processes that call the same dependency: for an "ill" one it fails, for a "well" one it does not.
import { subscribe } from "node:diagnostics_channel";
import { setTimeout as delay } from "node:timers/promises";
import { type BreakerEvent, breaker, compose, resilienceChannel } from "../src/index.ts";
import { sharedBreakerHints } from "../src/redis.ts";
import { redisClients } from "./redis-clients.ts";

const [kind = "", url = "", health = ""] = process.argv.slice(2);
const connect = redisClients[kind];
if (connect === undefined) throw new Error(`Unknown client: ${kind}`);
const connected = await connect(url);
const hints = sharedBreakerHints(connected.client, {
  name: "users",
  interval: 20,
  onEvent: ({ kind }) => console.log(kind),
});
const stack = compose(breaker({ hints, consecutive: 3, open: 60_000 }));
subscribe(resilienceChannel, (event) => {
  const { kind, key, reason } = event as BreakerEvent;
  console.log(`${kind} ${key} ${reason}`);
});
let seen = 0;
for (;;) {
  await stack(() => (health === "ill" ? Promise.reject(new Error("down")) : "fine"), { key: "eu" }).catch(() => {});
  const { processes } = hints.stats();
  if (processes !== seen) console.log(`processes ${processes}`);
  seen = Number(processes);
  await delay(5);
}
