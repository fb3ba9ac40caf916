// Makes an HTTP server's answers slow, wrong, short or missing.
import type { RequestListener } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { type Clock, systemClock } from "@proj/concurrency";
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkFunction } from "@proj/concurrency/options";
import { answerBadly } from "./chaos-http-fetch.ts";
import { listenBadly } from "./chaos-http-node.ts";
import {
  checkHttpFault,
  type HttpFault,
  type HttpFaultPlan,
  type HttpFaultRequest,
  isFor,
} from "./chaos-http-rules.ts";
import { freshSeed } from "./chaos-random.ts";
import { RuleList } from "./chaos-rule-list.ts";
import { Subjects } from "./chaos-subjects.ts";

/** What can be set on {@link httpFaults}. */
export interface HttpFaultsOptions {
  /** With a name it is listed by `components()`, and can be steered through `chaosControl`. Default: none. */
  readonly name?: string | undefined;
  /** Decides which requests are hit. Default: another one each time. */
  readonly seed?: number | undefined;
  /** Whether the faults apply. Default: `false` if `NODE_ENV` is `"production"`, else `true`. */
  readonly enabled?: boolean | undefined;
  /** Measures delays. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** What {@link HttpFaults} has done so far. */
export interface HttpFaultsStats {
  /** Whether the faults apply. */
  readonly enabled: boolean;
  /** As in the options. */
  readonly seed: number;
  /** How many faults there are. */
  readonly rules: number;
  /** Requests that came along while there were faults and they applied. */
  readonly requests: number;
  /** How many requests each fault has hit, by name. */
  readonly hits: Readonly<Record<string, number>>;
}

/** A listener of the compatible side of `node:http2`. */
export type Http2Listener = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

/** Faults for handlers, made by {@link httpFaults}. */
export interface HttpFaults {
  /** As the options say. */
  readonly name: string | undefined;
  /** With the same one, the n-th request with a method and a path always has the same fate. */
  readonly seed: number;
  /** Whether the faults apply; can be set at any time. */
  enabled: boolean;
  /** In the order in which they are tried. */
  readonly rules: readonly HttpFault[];
  /** Replaces all faults. The requests are counted from one again. */
  set(rules: readonly HttpFault[]): void;
  /** Adds a fault behind the others. Disposing the result takes it away. */
  add(rule: HttpFault): Disposable;
  /** Takes all faults away. */
  clear(): void;
  /** The same fetch handler with these faults. What else it takes besides the request is passed on. */
  wrap<Rest extends readonly unknown[]>(
    handler: (request: Request, ...rest: Rest) => Response | PromiseLike<Response>,
  ): (request: Request, ...rest: Rest) => Promise<Response>;
  /** The same listener of `node:http` or of the compatible side of `node:http2` with these faults. */
  listener(listener: RequestListener): RequestListener;
  listener(listener: Http2Listener): Http2Listener;
  /** A snapshot. */
  stats(): HttpFaultsStats & Readonly<Record<string, unknown>>;
}

/**
 * Makes faults that wrap a fetch handler or a listener of `node:http`. All that hit a request are put together: delays
 * add up, the slowest body, the lowest limit and the first other status count.
 *
 * In a fetch handler a reset is a body that fails, which servers turn into a reset; and whether a wrong or unmet
 * content-length gets out is up to the server.
 *
 * @throws RangeError or TypeError for faults and options that make no sense
 * @example
 * ```ts
 * import { httpFaults } from "@proj/resilience/chaos";
 *
 * const faults = httpFaults([{ kind: "status", status: 503, path: /^\/api/, headers: { "retry-after": "1" } }], { seed: 1 });
 * const handler = faults.wrap((request) => new Response(`hello from ${new URL(request.url).pathname}`));
 * console.log((await handler(new Request("http://localhost/api/users"))).status); // prints: 503
 * console.log(await (await handler(new Request("http://localhost/home"))).text()); // prints: hello from /home
 * ```
 */
export function httpFaults(rules: readonly HttpFault[] = [], options: HttpFaultsOptions = {}): HttpFaults {
  return new HandlerFaults(rules, options);
}

class HandlerFaults implements HttpFaults {
  readonly name: string | undefined;
  readonly seed: number;
  enabled: boolean;
  readonly #clock: Clock;
  readonly #list: RuleList<HttpFault>;
  readonly #subjects: Subjects;
  #requests = 0;

  constructor(rules: readonly HttpFault[], options: HttpFaultsOptions) {
    const { name, seed = freshSeed(), clock = systemClock } = options;
    const { enabled = process.env["NODE_ENV"] !== "production" } = options;
    this.name = name;
    this.seed = checkCount("create httpFaults", "seed", seed, Number.MIN_SAFE_INTEGER) >>> 0;
    this.enabled = enabled;
    this.#clock = clock;
    this.#list = new RuleList(this.seed, rules, checkHttpFault);
    this.#subjects = new Subjects(this.seed);
    if (name !== undefined) register("http-faults", name, this, (self) => self.stats());
  }

  get rules(): readonly HttpFault[] {
    return this.#list.rules;
  }

  set(rules: readonly HttpFault[]): void {
    this.#list.set(rules);
    this.#subjects.clear();
  }

  add(rule: HttpFault): Disposable {
    return this.#list.add(rule);
  }

  clear(): void {
    this.set([]);
  }

  stats(): HttpFaultsStats & Readonly<Record<string, unknown>> {
    const { enabled, seed } = this;
    return { enabled, seed, rules: this.rules.length, requests: this.#requests, hits: this.#list.hits };
  }

  wrap<Rest extends readonly unknown[]>(
    handler: (request: Request, ...rest: Rest) => Response | PromiseLike<Response>,
  ): (request: Request, ...rest: Rest) => Promise<Response> {
    checkFunction("wrap a handler", "handler", handler);
    return async (request, ...rest) => {
      const plan = this.#isActive ? this.#plan(request.method, pathOf(request.url)) : undefined;
      if (plan === undefined) return await handler(request, ...rest);
      return await answerBadly(plan, request, () => handler(request, ...rest), this.#clock);
    };
  }

  listener(listener: RequestListener): RequestListener;
  listener(listener: Http2Listener): Http2Listener;
  listener(given: RequestListener | Http2Listener): RequestListener & Http2Listener {
    const listener = given as RequestListener; // of both kinds no more is used than what they have in common
    checkFunction("wrap a listener", "listener", listener);
    const spoilt: RequestListener = (request, response) => {
      const plan = this.#isActive ? this.#plan(request.method ?? "", pathOf(request.url ?? "")) : undefined;
      if (plan === undefined) listener(request, response);
      else listenBadly(plan, request, response, listener, this.#clock);
    };
    return spoilt as RequestListener & Http2Listener;
  }

  get #isActive(): boolean {
    return this.enabled && this.rules.length > 0;
  }

  #plan(method: string, path: string): HttpFaultPlan | undefined {
    this.#requests++;
    const request: HttpFaultRequest = { method, path };
    const subject = this.#subjects.next(`${method} ${path}`);
    const plan = { delay: 0, noAnswer: false, status: undefined, wrongBy: 0, body: undefined } as {
      -readonly [Field in keyof HttpFaultPlan]: HttpFaultPlan[Field];
    };
    const body = {
      slice: Number.POSITIVE_INFINITY,
      interval: 0,
      limit: Number.POSITIVE_INFINITY,
      end: "truncate" as "truncate" | "reset",
    };
    let isHit = false;
    for (const [place, rule] of this.rules.entries()) {
      if (!isFor(rule, request) || !this.#list.tryHit(rule, place, subject)) continue;
      isHit = true;
      if (rule.kind === "slow-headers") plan.delay += this.#list.delay(rule.delay, rule.jitter ?? 0, place, subject);
      else if (rule.kind === "no-answer") plan.noAnswer = true;
      else if (rule.kind === "status") plan.status ??= rule;
      else if (rule.kind === "wrong-length") plan.wrongBy += rule.by;
      else {
        plan.body = body;
        if (rule.kind === "slow-body") {
          body.slice = Math.min(body.slice, rule.bytes ?? 1_024);
          body.interval = Math.max(body.interval, rule.interval);
        } else if ((rule.bytes ?? 0) < body.limit) {
          body.limit = rule.bytes ?? 0;
          body.end = rule.kind;
        }
      }
    }
    return isHit ? plan : undefined;
  }
}

/** Of a URL, or of what stands in a request line. */
function pathOf(url: string): string {
  const start = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(url)?.[0].length ?? 0;
  return url.slice(start).replace(/[?#].*$/s, "") || "/";
}
