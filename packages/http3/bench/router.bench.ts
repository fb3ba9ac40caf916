// From a URL to the handler and its parameters, for routes of the kinds that an API has.
import { benchmark } from "@tooling/bench";

interface Found {
  readonly name: string;
  readonly params: Readonly<Record<string, string | undefined>>;
}

type Find = (method: string, url: string) => Found;

const routes = [
  "GET /users",
  "GET /users/me/settings",
  "GET /users/:user",
  "GET /users/:user/orders",
  "POST /users/:user/orders",
  "GET /users/:user/orders/:order",
  "PATCH /users/:user/orders/:order",
  "GET /search",
  "GET /health",
  "GET /files/*path",
].map((name) => {
  const [method = "", path = ""] = name.split(" ");
  return { name, method, path };
});

/** By package: registers all routes and makes the look-up that a server does for each request. */
const packages: Readonly<Record<string, () => Promise<Find>>> = {
  async "@proj/http3"() {
    const { Router } = await import("@proj/http3/router");
    const router = new Router();
    let found: Found = { name: "", params: {} };
    const response = new Response();
    for (const { name, method, path } of routes) {
      router.on(method, path, (_request, { params }) => {
        found = { name, params };
        return response;
      });
    }
    const context = { params: {} };
    return (method, url) => {
      // All that the router reads of a request and of its context.
      void router.fetch({ method, url } as Request, context as never);
      return found;
    };
  },
  async "find-my-way"() {
    const { default: create } = await import("find-my-way");
    const router = create();
    for (const { name, method, path } of routes) {
      router.on(method as "GET", path.replace("*path", "*"), () => {}, { name });
    }
    return (method, url) => {
      const match = router.find(method as "GET", pathOf(url));
      return { name: (match?.store as { name: string } | undefined)?.name ?? "", params: match?.params ?? {} };
    };
  },
  async rou3() {
    const { addRoute, createRouter, findRoute } = await import("rou3");
    const router = createRouter<string>();
    for (const { name, method, path } of routes) addRoute(router, method, path.replace("*path", "**:path"), name);
    return (method, url) => {
      const match = findRoute(router, method, pathOf(url));
      return { name: match?.data ?? "", params: match?.params ?? {} };
    };
  },
};

/** As an adapter without a URL parser does it. */
function pathOf(url: string): string {
  const start = url.indexOf("/", 8);
  const query = url.indexOf("?", start);
  return query === -1 ? url.slice(start) : url.slice(start, query);
}

const requests = {
  "a path without parameters": ["GET", "/users/me/settings"],
  "a path with two parameters": ["GET", "/users/u-8123/orders/o-5512?expand=lines"],
  "a path of a file": ["GET", "/files/2026/11/report.pdf"],
} as const;

export const benchmarks = Object.entries(requests).map(([what, [method, target]]) =>
  benchmark(`router: ${what}`, {
    ours: "@proj/http3",
    cases: Object.fromEntries(
      Object.entries(packages).map(([name, load]) => [
        name,
        async () => {
          const find = await load();
          let turn = 0;
          // A new string each time, as from the network: engines remember the hash of one they have seen.
          return () => find(method, `https://host${turn++ & 1023}.test${target}`);
        },
      ]),
    ),
    // find-my-way calls the rest of a path "*".
    check: (found) => JSON.parse(JSON.stringify(found).replace('"*":', '"path":')),
  }),
);
