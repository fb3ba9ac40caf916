// Chooses the handler of a request by method and path.
import type { Handler, RequestContext } from "./handler.ts";
import { problem, responseOf } from "./problem.ts";
import { decodePath, type PathParams, parseTemplate, pathOf } from "./router-path.ts";
import { type Match, PathTree } from "./router-tree.ts";

/** A handler that knows the parameters of its path. */
export type RouteHandler<Path extends string> = (
  request: Request,
  context: Omit<RequestContext, "params"> & { readonly params: PathParams<Path> },
) => Response | Promise<Response>;

/**
 * Code around handlers. `next` is the rest of the way, itself a handler: call it with the request and context to go on
 * with, or answer without it.
 */
export type Middleware = (request: Request, context: RequestContext, next: Handler) => Response | Promise<Response>;

/** One entry of the route table. */
export interface Route {
  /** As registered: `"GET"` answers HEAD too. */
  readonly method: string;
  /** The whole template, with the prefixes it was mounted under. */
  readonly path: string;
}

interface Entry extends Route {
  readonly handler: Handler;
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Routes requests to handlers by method and path, and is itself a handler: `serve(router)`.
 *
 * - `:name` takes one whole segment that is not empty, `*name` takes the rest of the path (which may be empty) and comes
 *   last. Of several templates that match, the one with static text at the first difference wins, then `:name`, then
 *   `*name`; the order of registration never matters. Two templates for the same paths are a `TypeError`.
 * - Paths are compared decoded; `%2F` in a segment does not end it. Malformed encoding and dot segments are answered 400.
 * - `/a` and `/a/` are two paths: a trailing slash is neither added nor removed. In a group or mounted router the empty
 *   path is the prefix itself: `group("/a", (a) => a.get("", list))` answers `/a`.
 * - A path without route is answered 404; a known path with another method 405 with `Allow`. HEAD falls back to the GET
 *   handler (`serve` leaves the body out) and OPTIONS is answered 204 with `Allow`, unless you register them.
 * - An `HttpProblem` thrown by a handler or middleware becomes its response right there, so the middleware around it sees
 *   a response. Any other error passes through; `serve` answers it with a bare 500.
 *
 * @example
 * ```ts
 * import { serve } from "@proj/http3";
 * import { Router } from "@proj/http3/router";
 *
 * const router = new Router()
 *   .use(async (request, context, next) => {
 *     const response = await next(request, context);
 *     console.log(request.method, request.url, response.status);
 *     return response;
 *   })
 *   .get("/hello/:name", (_request, { params }) => new Response(`Hello ${params.name}\n`));
 *
 * await using server = await serve(router, { port: 0 });
 * console.log(server.url);
 * ```
 */
export class Router<Prefix extends string = ""> {
  readonly #trees = new Map<string, PathTree<Entry>>();
  readonly #entries: Entry[] = [];
  readonly #middleware: Middleware[] = [];
  #miss: Handler = (request) => this.#answerMiss(request);
  #mountedAt: string | undefined;

  /** Answers a request; a `Handler`, bound to this router. */
  readonly fetch: Handler = (request, context) => {
    const match = this.#find(request.method, request.url);
    if (match === undefined) return this.#miss(request, context);
    // The context belongs to this request alone, and params is the router's part of it.
    (context as { params: RequestContext["params"] }).params = match.params;
    return match.value.handler(request, context);
  };

  /** The route table, in order of registration. */
  get routes(): readonly Route[] {
    return this.#entries.map(({ method, path }) => ({ method, path }));
  }

  /**
   * Puts middleware around all routes registered after it and around the router's own answers (400, 404, 405, OPTIONS);
   * the first one added is the outermost. Composed here, once, not per request. Throws a `TypeError` when a route that
   * it would not cover is already there: use `group()` for middleware of some routes only.
   */
  use(middleware: Middleware): this {
    const first = this.#entries[0];
    if (first !== undefined) {
      throw new TypeError(`Cannot add middleware: ${label(first)} is already registered and would not pass through it`);
    }
    this.#assertOpen("Cannot add middleware");
    assertFunction("Cannot add middleware", middleware);
    this.#middleware.push(middleware);
    this.#miss = this.#wrap((request) => this.#answerMiss(request));
    return this;
  }

  /** Registers a handler for GET, and for HEAD unless that has its own. */
  get<const Path extends string>(path: Path, handler: RouteHandler<`${Prefix}${Path}`>): this {
    return this.on("GET", path, handler);
  }

  /** Registers a handler for POST. */
  post<const Path extends string>(path: Path, handler: RouteHandler<`${Prefix}${Path}`>): this {
    return this.on("POST", path, handler);
  }

  /** Registers a handler for PUT. */
  put<const Path extends string>(path: Path, handler: RouteHandler<`${Prefix}${Path}`>): this {
    return this.on("PUT", path, handler);
  }

  /** Registers a handler for PATCH. */
  patch<const Path extends string>(path: Path, handler: RouteHandler<`${Prefix}${Path}`>): this {
    return this.on("PATCH", path, handler);
  }

  /** Registers a handler for DELETE. */
  delete<const Path extends string>(path: Path, handler: RouteHandler<`${Prefix}${Path}`>): this {
    return this.on("DELETE", path, handler);
  }

  /** Registers a handler for any method; method names are case-sensitive. */
  on<const Path extends string>(method: string, path: Path, handler: RouteHandler<`${Prefix}${Path}`>): this {
    if (!token.test(method)) {
      throw new TypeError(`Cannot register a route: method must be an HTTP method, got ${JSON.stringify(method)}`);
    }
    assertFunction(`Cannot register ${method} ${path}`, handler);
    // A route's handler is only called with the params of its own template.
    this.#add({ method, path, handler: catchProblem(handler as Handler) });
    return this;
  }

  /**
   * Registers routes under a prefix, which may hold parameters, with middleware of their own.
   *
   * @example
   * ```ts
   * import { Router } from "@proj/http3/router";
   *
   * const router = new Router().group("/teams/:team", (group) => {
   *   group.get("/members/:id", (_request, { params }) => new Response(`${params.id} of ${params.team}`));
   * });
   * console.log(router.routes); // [{ method: "GET", path: "/teams/:team/members/:id" }]
   * ```
   */
  group<const Path extends string>(prefix: Path, register: (group: Router<`${Prefix}${Path}`>) => void): this {
    const group = new Router<`${Prefix}${Path}`>();
    register(group);
    return this.mount(prefix, group);
  }

  /**
   * Takes over all routes of another router under a prefix, inside the middleware of this one. The other router is
   * closed by it: registering more there is a `TypeError`, since it would come too late for this one.
   */
  mount(prefix: string, router: Router<string>): this {
    const action = `Cannot mount a router at ${JSON.stringify(prefix)}`;
    if ((router as unknown) === this) throw new TypeError(`${action}: it is this router`);
    if (prefix !== "") parseTemplate(action, prefix);
    if (prefix.endsWith("/")) throw new TypeError(`${action}: the prefix must not end with "/"`);
    router.#assertOpen(action);
    router.#mountedAt = prefix;
    for (const { method, path, handler } of router.#entries) this.#add({ method, path: prefix + path, handler });
    return this;
  }

  #add({ method, path, handler }: Entry): void {
    const action = `Cannot register ${method} ${path}`;
    this.#assertOpen(action);
    const entry: Entry = { method, path, handler: this.#wrap(handler) };
    const tree = this.#trees.get(method) ?? new PathTree<Entry>();
    const holder = tree.insert(parseTemplate(action, path), entry);
    if (holder !== undefined) throw new TypeError(`${action}: ${label(holder)} already answers the same paths`);
    this.#trees.set(method, tree);
    this.#entries.push(entry);
  }

  #assertOpen(action: string): void {
    if (this.#mountedAt === undefined) return;
    throw new TypeError(`${action}: the router is already mounted at ${JSON.stringify(this.#mountedAt)}`);
  }

  /** Composes the middleware around a handler, innermost first. */
  #wrap(handler: Handler): Handler {
    return this.#middleware.reduceRight<Handler>(
      (next, middleware) => catchProblem((request, context) => middleware(request, context, next)),
      handler,
    );
  }

  #find(method: string, url: string): Match<Entry> | undefined {
    const match = this.#trees.get(method)?.find(url);
    return match === undefined && method === "HEAD" ? this.#trees.get("GET")?.find(url) : match;
  }

  /** The answer where no route has one: all the work that good requests need not do. */
  #answerMiss({ method, url }: Request): Response {
    const path = pathOf(url);
    if (decodePath(path) === undefined) {
      return problem({ status: 400, detail: "The path has malformed percent-encoding or dot segments" });
    }
    const allowed = new Set<string>();
    for (const [name, tree] of this.#trees) if (tree.find(url)) allowed.add(name);
    if (allowed.size === 0) return problem({ status: 404, detail: `There is nothing at ${path}` });
    if (allowed.has("GET")) allowed.add("HEAD");
    const allow = [...allowed.add("OPTIONS")].sort().join(", ");
    if (method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
    return problem(
      { status: 405, detail: `${method} is not allowed at ${path}; use ${allow}` },
      { headers: { allow } },
    );
  }
}

/** Turns a thrown problem into its response; other errors pass. */
function catchProblem(handler: Handler): Handler {
  return (request, context) => {
    try {
      const answer = handler(request, context);
      return answer instanceof Promise ? answer.catch(answerProblem) : answer;
    } catch (error) {
      return answerProblem(error);
    }
  };
}

function answerProblem(error: unknown): Response {
  const response = responseOf(error);
  if (response === undefined) throw error;
  return response;
}

function assertFunction(action: string, value: unknown): void {
  if (typeof value !== "function") throw new TypeError(`${action}: expected a function, got ${typeof value}`);
}

function label({ method, path }: Route): string {
  return `${method} ${path}`;
}
