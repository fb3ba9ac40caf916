// Imports every entry for the first time within a request, which must leave nothing of the request behind. Needs
// --expose-gc.
import { AsyncLocalStorage } from "node:async_hooks";
import { Context, ContextKey } from "@proj/concurrency";

// The platform opens these when they are first asked for, as by node:assert, and keeps the frame of whoever asks.
void [process.stdout, process.stderr];

const storage = new AsyncLocalStorage<object>();
const requestKey = new ContextKey<object>("request");

const kept = new Set<string>();
const collected = new FinalizationRegistry<string>((name) => kept.delete(name));

async function serve(name: string, load: () => Promise<unknown>): Promise<void> {
  const request = { body: "of a request" };
  kept.add(name);
  collected.register(request, name);
  using context = Context.derive({ values: [requestKey.of(request)] });
  await storage.run(request, () => Context.run(context, load));
}

const entries = {
  compat: () => import("@proj/concurrency/compat"),
  inspect: () => import("@proj/concurrency/inspect"),
  options: () => import("@proj/concurrency/options"),
  redis: () => import("@proj/concurrency/redis"),
  ring: () => import("@proj/concurrency/ring"),
  testing: () => import("@proj/concurrency/testing"),
  workers: () => import("@proj/concurrency/workers"),
};
for (const [name, load] of Object.entries(entries)) await serve(name, load);
for (let i = 0; i < 50 && kept.size > 0; i++) {
  await new Promise((resolve) => setTimeout(resolve, 5));
  gc?.();
}
console.log(JSON.stringify([...kept]));
