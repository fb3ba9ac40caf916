// Imports every entry for the first time within a request, which must leave nothing of the request behind. Needs
// --expose-gc.
import { AsyncLocalStorage } from "node:async_hooks";
import { Context, ContextKey } from "@proj/concurrency";

const storage = new AsyncLocalStorage<object>();
const requestKey = new ContextKey<object>("request");

async function serve(load: () => Promise<unknown>): Promise<WeakRef<object>> {
  const request = { body: "of a request" };
  using context = Context.derive({ values: [requestKey.of(request)] });
  await storage.run(request, () => Context.run(context, load));
  return new WeakRef(request);
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
const requests: [string, WeakRef<object>][] = [];
for (const [name, load] of Object.entries(entries)) requests.push([name, await serve(load)]);
for (let i = 0; i < 20 && requests.some(([, request]) => request.deref() !== undefined); i++) {
  await new Promise((resolve) => setTimeout(resolve, 5));
  gc?.();
}
console.log(JSON.stringify(requests.filter(([, request]) => request.deref() !== undefined).map(([name]) => name)));
