// Draws docs/chaos-scenario.svg from a real run, with sockets: node --conditions=@proj/source bench/chaos-picture.ts
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { exponential, resilient, retryBudget } from "@proj/resilience";
import { down, errorRateBelow, heal, inject, recoveredWithin, scenario, tcpProxy } from "@proj/resilience/chaos";

const server = createServer((_, response) => response.end("ok")).listen(0, "127.0.0.1");
await once(server, "listening");
await using api = await tcpProxy({ upstream: (server.address() as { port: number }).port, name: "api", seed: 1 });

const call = resilient({
  name: "api",
  idempotent: true,
  timeout: 1_000,
  attemptTimeout: 400,
  retry: { attempts: 3, backoff: exponential({ base: 30, cap: 300 }), budget: retryBudget() },
  breaker: { consecutive: 10, open: 300, halfOpen: { probes: 2, required: 2 } },
});
const task = async (): Promise<string> =>
  await call(async ({ signal }) => await (await fetch(`http://${api.address}`, { signal })).text());

const report = await scenario("An API loses packets, then is down, then comes back")
  .warmUp(300)
  .load({ rate: 120, task })
  .at(2_000, inject(api, { type: "loss", rate: 0.15, retransmit: 200 }))
  .at(5_000, down(api))
  .at(7_500, heal())
  .for(12_000)
  .expect(recoveredWithin(2_000), errorRateBelow(0.01, { before: 5_000 }))
  .run({ bucket: 200 });
console.log(String(report));
await writeFile(new URL("../docs/chaos-scenario.svg", import.meta.url), report.toSvg());
server.closeAllConnections();
server.close();
