import fc from "fast-check";
import { expect, test } from "vitest";
import type { Handler, RequestContext } from "./handler.ts";
import { HttpProblem } from "./problem.ts";
import { Router } from "./router.ts";

// The router reads nothing of the context and sets its params.
const newContext = () => ({ params: {} }) as RequestContext;

const ask = (router: Router, method: string, path: string) =>
  router.fetch(new Request(`https://api.test${path}`, { method }), newContext());

/** Shows which template answered, and with which parameters. */
const echo =
  (name: string): Handler =>
  (_request, { params }) =>
    Response.json([name, params]);

async function answer(router: Router, method: string, path: string): Promise<unknown> {
  const response = await ask(router, method, path);
  return response.ok ? response.json() : response.status;
}

test("Router gives a handler the decoded parameters of its path", async () => {
  const router = new Router().get("/orders/:id/files/*path", echo("file"));

  expect(await answer(router, "GET", "/orders/a%20b/files/x/y%2Fz")).toEqual(["file", { id: "a b", path: "x/y/z" }]);
  expect(await answer(router, "GET", "/orders/1/files/?q=1")).toEqual(["file", { id: "1", path: "" }]);
  expect(await answer(router, "GET", "/orders/1/files")).toBe(404);
  expect(await answer(router, "GET", "/orders//files/x")).toBe(404);
});

test("Router prefers static text, then a parameter, then the rest, in whatever order they were registered", async () => {
  const router = new Router()
    .get("/*rest", echo("rest"))
    .get("/a/:id", echo("param"))
    .get("/a/me", echo("static"))
    .get("/a/me/files", echo("files"));

  expect(await answer(router, "GET", "/a/me")).toEqual(["static", {}]);
  expect(await answer(router, "GET", "/a/m%65")).toEqual(["static", {}]);
  expect(await answer(router, "GET", "/a/you")).toEqual(["param", { id: "you" }]);
  expect(await answer(router, "GET", "/a/me/nothing")).toEqual(["rest", { rest: "a/me/nothing" }]);
  expect(await answer(router, "GET", "/")).toEqual(["rest", { rest: "" }]);
});

test("Router keeps paths with and without a trailing slash apart", async () => {
  const router = new Router().get("/a", echo("bare")).get("/b/", echo("slash"));

  expect(await answer(router, "GET", "/a")).toEqual(["bare", {}]);
  expect(await answer(router, "GET", "/a/")).toBe(404);
  expect(await answer(router, "GET", "/b/")).toEqual(["slash", {}]);
  expect(await answer(router, "GET", "/b")).toBe(404);
});

test("Router answers a known path with another method 405 and names what is allowed", async () => {
  const router = new Router().get("/a/:id", echo("get")).delete("/a/:id", echo("delete")).post("/*rest", echo("post"));

  const response = await ask(router, "PUT", "/a/1");
  expect(response.status).toBe(405);
  expect(response.headers.get("allow")).toBe("DELETE, GET, HEAD, OPTIONS, POST");
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(await response.json()).toEqual({
    title: "Method Not Allowed",
    status: 405,
    detail: "PUT is not allowed at /a/1; use DELETE, GET, HEAD, OPTIONS, POST",
  });
});

test("Router answers OPTIONS itself unless a route does", async () => {
  const router = new Router().get("/a", echo("get")).get("/b", echo("get")).on("OPTIONS", "/b", echo("own"));

  const response = await ask(router, "OPTIONS", "/a");
  expect([response.status, response.headers.get("allow")]).toEqual([204, "GET, HEAD, OPTIONS"]);
  expect(await answer(router, "OPTIONS", "/b")).toEqual(["own", {}]);
  expect(await answer(router, "OPTIONS", "/c")).toBe(404);
});

test("Router gives HEAD to the GET handler unless a HEAD route matches", async () => {
  const router = new Router().get("/a", echo("get")).get("/b", echo("get")).on("HEAD", "/b", echo("head"));

  expect(await answer(router, "HEAD", "/a")).toEqual(["get", {}]);
  expect(await answer(router, "HEAD", "/b")).toEqual(["head", {}]);
  expect(await answer(router.on("HEAD", "/*rest", echo("any")), "HEAD", "/a")).toEqual(["any", { rest: "a" }]);
});

test.each(["/a/%", "/a/%zz", "/a/%ff", "/a/%C3", "/a/..%2f..%2fetc", "/a/x%2f..", "/a/..%5cx"])(
  "Router answers the malformed path %s with 400",
  async (path) => {
    const router = new Router().get("/*rest", echo("rest"));
    const response = await ask(router, "GET", path);

    expect([response.status, response.headers.get("content-type")]).toEqual([400, "application/problem+json"]);
  },
);

test("Router takes dots that lead nowhere as they are", async () => {
  const router = new Router().get("/*rest", echo("rest"));

  expect(await answer(router, "GET", "/.well-known/a..b/...")).toEqual(["rest", { rest: ".well-known/a..b/..." }]);
});

test("Router runs middleware from the outside in, around its own answers too", async () => {
  const seen: string[] = [];
  const trace =
    (name: string) =>
    async (request: Request, context: RequestContext, next: Handler): Promise<Response> => {
      seen.push(`${name} in`);
      const response = await next(request, context);
      seen.push(`${name} out ${response.status}`);
      return response;
    };
  const router = new Router()
    .use(trace("outer"))
    .use(trace("inner"))
    .get("/a", echo("a"))
    .group("/g", (group) => {
      group.use(trace("group")).get("/:id", echo("g"));
    });

  await ask(router, "GET", "/a");
  expect(seen.splice(0)).toEqual(["outer in", "inner in", "inner out 200", "outer out 200"]);
  expect(await answer(router, "GET", "/g/1")).toEqual(["g", { id: "1" }]);
  expect(seen.splice(0)).toEqual([
    "outer in",
    "inner in",
    "group in",
    "group out 200",
    "inner out 200",
    "outer out 200",
  ]);
  await ask(router, "POST", "/a");
  expect(seen.splice(0)).toEqual(["outer in", "inner in", "inner out 405", "outer out 405"]);
});

test("Router composes middleware once, not per request", async () => {
  const nexts = new Set<Handler>();
  const router = new Router()
    .use((request, context, next) => {
      nexts.add(next);
      return next(request, context);
    })
    .get("/a", echo("a"));

  await ask(router, "GET", "/a");
  await ask(router, "GET", "/a");
  expect(nexts.size).toBe(1);
});

test("Router turns a thrown problem into its response before the middleware around it sees it", async () => {
  const statuses: number[] = [];
  const router = new Router()
    .use(async (request, context, next) => {
      const response = await next(request, context);
      statuses.push(response.status);
      return response;
    })
    .use((request, context, next) => {
      if (request.headers.has("x-stop")) throw new HttpProblem({ status: 403, detail: "Stopped on the way" });
      return next(request, context);
    })
    .get("/now", () => {
      throw new HttpProblem({ status: 409, detail: "At once" });
    })
    .get("/later", async () => Promise.reject(new HttpProblem({ status: 410, detail: "Later" })));

  expect(await answer(router, "GET", "/now")).toBe(409);
  expect(await answer(router, "GET", "/later")).toBe(410);
  const stopped = new Request("https://api.test/now", { headers: { "x-stop": "1" } });
  expect((await router.fetch(stopped, newContext())).status).toBe(403);
  expect(statuses).toEqual([409, 410, 403]);
});

test("Router lets every other error pass untouched", async () => {
  const failure = new Error("database password is 1234");
  const router = new Router()
    .use((request, context, next) => next(request, context))
    .get("/a", async () => Promise.reject(failure));

  await expect(ask(router, "GET", "/a")).rejects.toBe(failure);
});

test("Router mounts another router below a prefix, parameters and middleware included", async () => {
  const orders = new Router()
    .use(async (request, context, next) => {
      const response = await next(request, context);
      response.headers.set("x-team", context.params["team"] ?? "");
      return response;
    })
    .get("", echo("list"))
    .get("/:id", echo("one"));
  const router = new Router().mount("/teams/:team/orders", orders);

  expect(await answer(router, "GET", "/teams/red/orders")).toEqual(["list", { team: "red" }]);
  expect(await answer(router, "GET", "/teams/red/orders/7")).toEqual(["one", { team: "red", id: "7" }]);
  expect((await ask(router, "GET", "/teams/red/orders/7")).headers.get("x-team")).toBe("red");
  expect(router.routes).toEqual([
    { method: "GET", path: "/teams/:team/orders" },
    { method: "GET", path: "/teams/:team/orders/:id" },
  ]);
});

test.each<[string, () => unknown]>([
  [
    "Cannot register GET /a/:name: GET /a/:id already answers the same paths",
    () => new Router().get("/a/:id", echo("")).get("/a/:name", echo("")),
  ],
  [
    "Cannot register GET /a: GET /a already answers the same paths",
    () => new Router().get("/a", echo("")).mount("", new Router().get("/a", echo(""))),
  ],
  ['Cannot register GET a: the path must start with "/", got "a"', () => new Router().get("a", echo(""))],
  [
    'Cannot register GET /a?b: the path must be decoded and hold no query, dot segment or fragment, got "?"',
    () => new Router().get("/a?b", echo("")),
  ],
  [
    'Cannot register GET /:a.json: a parameter is a whole segment named by an identifier, got ":a.json"',
    () => new Router().get("/:a.json", echo("")),
  ],
  ['Cannot register GET /:a/:a: the path names the parameter "a" twice', () => new Router().get("/:a/:a", echo(""))],
  ['Cannot register GET /*a/b: "*a" must be the last segment', () => new Router().get("/*a/b", echo(""))],
  ['Cannot register a route: method must be an HTTP method, got "G T"', () => new Router().on("G T", "/", echo(""))],
  [
    "Cannot register GET /: expected a function, got undefined",
    () => new Router().get("/", undefined as unknown as Handler), // what plain JavaScript could pass
  ],
  [
    "Cannot add middleware: GET /a is already registered and would not pass through it",
    () => new Router().get("/a", echo("")).use(echo("")),
  ],
  [
    'Cannot register GET /b: the router is already mounted at "/a"',
    () => {
      const child = new Router();
      new Router().mount("/a", child);
      child.get("/b", echo(""));
    },
  ],
  ['Cannot mount a router at "/a/": the prefix must not end with "/"', () => new Router().mount("/a/", new Router())],
])("Router refuses: %s", (message, misuse) => {
  expect(misuse).toThrow(new TypeError(message));
});

test("Router finds what a linear search over all templates finds", async () => {
  const part = fc.constantFrom("a", "b", ":x", ":y");
  const template = fc
    .tuple(fc.array(part, { maxLength: 4 }), fc.constantFrom("", "*rest", "/"))
    .map(
      ([parts, tail]) =>
        `/${[...parts.map((text, index) => (text[0] === ":" ? `${text}${index}` : text)), ...(tail === "*rest" ? [tail] : tail === "/" ? [""] : [])].join("/")}`,
    );
  const path = fc
    .array(fc.constantFrom("a", "b", "c", "", "%61"), { maxLength: 5 })
    .map((parts) => `/${parts.join("/")}`);

  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(template, { selector: shape, maxLength: 12 }),
      fc.array(path, { minLength: 1, maxLength: 12 }),
      async (templates, paths) => {
        const router = new Router();
        for (const text of templates) router.get(text, echo(text));
        for (const text of paths) expect(await answer(router, "GET", text)).toEqual(linearSearch(templates, text));
      },
    ),
    { numRuns: 300 },
  );
});

/** What two templates for the same paths have in common. */
function shape(template: string): string {
  return template.replace(/:\w+/g, ":");
}

/** The specification, written for the reader: match each template alone, then take the one that sorts first. */
function linearSearch(templates: readonly string[], path: string): unknown {
  const given = path.slice(1).split("/").map(decodeURIComponent);
  const matches = templates.flatMap((template) => {
    const parts = template.slice(1).split("/");
    const params: Record<string, string> = {};
    const ranks: number[] = [];
    for (const [index, part] of parts.entries()) {
      const text = given[index];
      if (part.startsWith("*")) {
        if (text === undefined) return [];
        params[part.slice(1)] = given.slice(index).join("/");
        return [{ template, params, rank: [...ranks, 2].join("") }];
      }
      if (text === undefined || (part.startsWith(":") ? text === "" : text !== part)) return [];
      if (part.startsWith(":")) params[part.slice(1)] = text;
      ranks.push(part.startsWith(":") ? 1 : 0);
    }
    return parts.length === given.length ? [{ template, params, rank: ranks.join("") }] : [];
  });
  const [best] = matches.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  return best === undefined ? 404 : [best.template, best.params];
}
