// OPERATIONS on one signal, as many on one context, and as many waits that are given up, through every primitive: what they
// leave behind. Needs --expose-gc.
import { getEventListeners } from "node:events";
import { Context } from "@proj/concurrency";
import { type Place, places, rings } from "./support/primitives.ts";

const { OPERATIONS = 100_000 } = process.env;
const sleeping = Object.values(rings).map((make) => make());
const made = await Promise.all(Object.values(places).map(async (make) => await make()));
const { signal } = new AbortController();
const context = Context.derive();
let most = 0;

async function operate(place: Place, options: { signal: AbortSignal | Context }, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    place.block();
    const entered = place.enter(options);
    if (i % 500 === 0) {
      await new Promise((resolve) => setImmediate(resolve)); // now it has come to wait, whatever it is
      most = Math.max(most, getEventListeners(signal, "abort").length);
    }
    place.pass();
    await entered;
  }
}

/** The place is never free: only they come and go. */
async function giveUp(place: Place, times: number): Promise<void> {
  place.block();
  for (let i = 0; i < times; i++) {
    const caller = Context.derive();
    const entered = place.enter({ signal: caller }).catch(() => {});
    if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    caller.cancel("no longer");
    await entered;
  }
  place.pass();
}

async function operateAll(times: number): Promise<void> {
  for (const place of made) {
    await operate(place, { signal }, times);
    await operate(place, { signal: context }, times);
  }
  for (const place of [...made, ...sleeping]) await giveUp(place, times);
}

async function heap(): Promise<number> {
  for (let i = 0; i < 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    gc?.();
  }
  return process.memoryUsage().heapUsed;
}

await operateAll(600); // until what is compiled and cached is there
const before = await heap();
await operateAll(Math.ceil(Number(OPERATIONS) / made.length));
const retained = (await heap()) - before;
console.log(JSON.stringify({ most, left: getEventListeners(signal, "abort").length, retained }));
