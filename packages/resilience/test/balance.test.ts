// Calls over real sockets to servers that die and come back.
import { once } from "node:events";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { balance, leastRequests, p2cEwma, resilient, ring, roundRobin, weighted } from "@proj/resilience";
import { expect, test } from "vitest";

interface Upstream extends AsyncDisposable {
  readonly url: string;
  served: number;
  die(): Promise<void>;
  comeBack(): Promise<void>;
}

async function startUpstream(): Promise<Upstream> {
  const open = async (port: number): Promise<Server> => {
    const server = createServer((incoming, response) => {
      if (incoming.url !== "/health") upstream.served++;
      response.setHeader("connection", "close").end("ok");
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return server;
  };
  const close = async (): Promise<void> => {
    server.close();
    server.closeAllConnections();
    if (server.listening) await once(server, "close");
  };
  const upstream: Upstream = {
    url: "",
    served: 0,
    die: close,
    comeBack: async () => {
      server = await open(port);
    },
    [Symbol.asyncDispose]: close,
  };
  let server = await open(0);
  const { port } = server.address() as AddressInfo;
  return Object.assign(upstream, { url: `http://127.0.0.1:${port}` });
}

function get(url: string, signal: AbortSignal): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const sent = request(url, { signal, agent: false }, (response) => {
    response.resume().on("end", () => resolve(response.statusCode));
  });
  sent.on("error", reject).end();
  return promise;
}

test.each([roundRobin, weighted, leastRequests, p2cEwma, ring])(
  "%o with a retry loses no call while a server is dead, leaves it alone, and uses it again when it is back",
  async (strategy) => {
    await using stack = new AsyncDisposableStack();
    const upstreams = await Promise.all([startUpstream(), startUpstream(), startUpstream()]);
    for (const upstream of upstreams) stack.use(upstream);
    const [victim] = upstreams as [Upstream, ...Upstream[]];
    const balancer = stack.use(
      balance(
        upstreams.map(({ url }) => url),
        strategy(),
        {
          slowStart: 0,
          ejection: { consecutive: 2, duration: 50 },
          healthCheck: {
            check: async ({ address }, { signal }) => (await get(`${address}/health`, signal)) === 200,
            interval: 20,
            unhealthy: 1,
            healthy: 1,
          },
        },
      ),
    );
    const call = resilient({ balance: balancer, retry: { attempts: 3, backoff: () => 0 }, idempotent: true });
    let key = 0;
    const calls = (count: number): Promise<(number | undefined)[]> => {
      const one = () => call(({ signal }, { endpoint }) => get(`${endpoint?.address}/`, signal), { key: `${key++}` });
      return Promise.all(Array.from({ length: count }, one));
    };
    const state = (): string | undefined => balancer.stats().endpoints.find(({ id }) => id === victim.url)?.state;

    await victim.die();
    expect(new Set(await calls(60))).toEqual(new Set([200]));
    while (state() === "healthy") await calls(1);
    await victim.comeBack();
    expect(victim.served).toBe(0);
    while (state() !== "healthy") await calls(1);
    while (victim.served === 0) await calls(3);
  },
);
