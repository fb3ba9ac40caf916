// The whole app in this process, on a database of its own; each answer is checked against what the API promises.
import type { DatabaseSync } from "node:sqlite";
import { Context } from "@proj/concurrency";
import type { RequestContext } from "@proj/http3";
import { temporaryFolder } from "@tooling/testing";
import { expect } from "vitest";
import { type App, createApp, type Readiness } from "../src/app.ts";
import { openDatabase } from "../src/database.ts";
import { LicenceStore } from "../src/licence-store.ts";
import type { Operation } from "../src/operation.ts";
import { type FieldError, type Licence, type LicencePage, problemSchema } from "../src/schemas.ts";
import { seed } from "../src/seed.ts";

export interface AskOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, or as it is when it is text. */
  readonly body?: unknown;
}

/** Whatever a body of the API may hold: a test looks into what it asked for, and the app's promises are checked for each. */
export type AnyBody = Licence &
  LicencePage & { readonly detail: string; readonly errors: readonly FieldError[]; readonly requestId: string };

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON body; undefined where there is none or it is something else. */
  readonly json: AnyBody;
  readonly text: string;
}

export interface OpenApi extends AsyncDisposable {
  readonly app: App;
  readonly store: LicenceStore;
  readonly database: DatabaseSync;
  readonly readiness: Readiness;
  /** The lines of the request log. */
  readonly log: string[];
  ask(method: string, path: string, options?: AskOptions): Promise<Answered>;
}

export interface OpenApiOptions {
  /** Whether the SPDX list is in it. Default: `false`. */
  readonly seeded?: boolean;
  /** Where the database is. Default: a temporary folder. */
  readonly folder?: string;
}

/** Opens the app. */
export async function openApi({ seeded = false, folder: given }: OpenApiOptions = {}): Promise<OpenApi> {
  await using stack = new AsyncDisposableStack();
  const folder = given ?? stack.use(await temporaryFolder()).path;
  const database = openDatabase(folder);
  stack.defer(() => {
    if (database.isOpen) database.close();
  });
  if (seeded) await seed(database);
  const store = new LicenceStore(database);
  const readiness: Readiness = { state: "ready" };
  const log: string[] = [];
  const app = createApp({ store, readiness, log: { format: "json", write: (line) => log.push(line) } });
  const owned = stack.move();
  return {
    app,
    store,
    database,
    readiness,
    log,
    ask: (method, path, options) => ask(app, method, path, options),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function ask(app: App, method: string, path: string, { headers = {}, body }: AskOptions = {}): Promise<Answered> {
  const payload = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const request = new Request(`https://api.test${path}`, {
    method,
    headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    ...(payload !== undefined && { body: payload }),
  });
  const response = await app.router.fetch(request, newContext());
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") === true && method !== "HEAD";
  const json: unknown = isJson ? JSON.parse(text) : undefined;
  checkPromises(app.operations, method, path, response, json);
  return { status: response.status, headers: response.headers, json: json as AnyBody, text };
}

function newContext(): RequestContext {
  const context = Context.derive();
  return { context, signal: context.signal, protocol: "h2", remoteAddress: "127.0.0.1", remotePort: 1, params: {} };
}

/** Fails the test when an answer is not one that the operation names, or its body does not fit the schema. */
function checkPromises(
  operations: readonly Operation[],
  method: string,
  path: string,
  response: Response,
  json: unknown,
): void {
  expect(response.headers.get("x-request-id")).not.toBeNull();
  if (response.status >= 400 && response.status !== 503) {
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    problemSchema.parse(json);
  }
  const [pathname = ""] = path.split("?");
  const operation = operations.find(
    (candidate) =>
      candidate.method === method && new RegExp(`^${candidate.path.replace(/:\w+/g, "[^/]+")}$`).test(pathname),
  );
  if (operation === undefined || response.status === 500) return;
  const promised = operation.answers[response.status];
  expect(promised !== undefined || operation.problems.includes(response.status), `${response.status} is promised`).toBe(
    true,
  );
  promised?.schema?.parse(json);
  for (const name of Object.keys(promised?.headers ?? {})) {
    if (name !== "link") expect(response.headers.has(name), `${name} is promised`).toBe(true);
  }
}
