// The whole app as one handler: API, documentation, health, pages and log.
import { join } from "node:path";
import { FastResponse } from "@proj/http3";
import { HttpProblem, type Middleware, Router } from "@proj/http3/router";
import { z } from "zod";
import { isBusy, isDiskFull } from "./database.ts";
import { licenceOperations } from "./licence-operations.ts";
import type { LicenceStore } from "./licence-store.ts";
import { openApiDocument } from "./openapi.ts";
import { type Operation, operation } from "./operation.ts";
import { type RequestLogOptions, requestLog } from "./request-log.ts";
import {
  healthSchema,
  licencePageSchema,
  licencePatchSchema,
  licenceReplacementSchema,
  licenceSchema,
  newLicenceSchema,
  problemSchema,
} from "./schemas.ts";
import { staticFiles } from "./static-files.ts";

/** How the app stands; `/readyz` tells it to whoever sends requests here. */
export interface Readiness {
  state: "starting" | "ready" | "draining";
}

export interface AppOptions {
  readonly store: LicenceStore;
  readonly readiness: Readiness;
  readonly log: RequestLogOptions;
}

export interface App {
  readonly router: Router;
  /** The documented operations; all other routes are pages. */
  readonly operations: readonly Operation[];
}

/** Puts the app together. */
export function createApp({ store, readiness, log }: AppOptions): App {
  const operations: Operation[] = [...licenceOperations(store), ...healthOperations(store, readiness)];
  const document = operation({
    id: "getOpenApiDocument",
    method: "GET",
    path: "/openapi.json",
    summary: "Read this document",
    answers: { 200: { description: "An OpenAPI 3.1 document", schema: z.record(z.string(), z.unknown()) } },
    problems: [],
    handle: () => FastResponse.json(description, { headers: { "cache-control": "no-cache" } }),
  });
  operations.push(document);
  const description = openApiDocument(operations, {
    title: "Licence register",
    version: "1.0.0",
    description: "Software licences of the SPDX list and your own, with the policy of your company for each.",
    schemas: {
      Licence: licenceSchema,
      LicencePage: licencePageSchema,
      NewLicence: newLicenceSchema,
      LicenceReplacement: licenceReplacementSchema,
      LicencePatch: licencePatchSchema,
      Health: healthSchema,
      Problem: problemSchema,
    },
  });

  const router = new Router().use(requestLog(log)).use(answerDatabaseTrouble);
  for (const { method, path, handler } of operations) router.on(method, path, handler);
  for (const [name, handler] of staticFiles(join(import.meta.dirname, "../public"))) {
    router.get(name === "index.html" ? "/" : name === "docs.html" ? "/docs" : `/assets/${name}`, handler);
  }
  return { router, operations };
}

/** A write that found no room, or the database locked, is undone whole; everything else goes on. */
const answerDatabaseTrouble: Middleware = async (request, context, next) => {
  try {
    return await next(request, context);
  } catch (error) {
    if (isDiskFull(error)) {
      const detail = "There is no room left to store this. Nothing was changed, and reading goes on";
      throw new HttpProblem({ status: 507, detail }, { cause: error });
    }
    if (isBusy(error)) {
      const detail = "Another program keeps the database locked. Nothing was changed: try again";
      throw new HttpProblem({ status: 503, detail }, { headers: { "retry-after": "1" }, cause: error });
    }
    throw error;
  }
};

function healthOperations(store: LicenceStore, readiness: Readiness): Operation[] {
  return [
    operation({
      id: "getHealth",
      method: "GET",
      path: "/healthz",
      summary: "Ask whether the process is alive",
      answers: { 200: { description: "It is", schema: healthSchema } },
      problems: [],
      handle: () => health("ok", 200),
    }),
    operation({
      id: "getReadiness",
      method: "GET",
      path: "/readyz",
      summary: "Ask whether to send requests here",
      answers: {
        200: { description: "Yes", schema: healthSchema },
        503: { description: "Not yet, no longer, or the database cannot be read", schema: healthSchema },
      },
      problems: [],
      handle() {
        if (readiness.state !== "ready") return health(readiness.state, 503);
        try {
          store.check();
          return health("ok", 200);
        } catch {
          return health("failed", 503);
        }
      },
    }),
  ];
}

function health(status: z.output<typeof healthSchema>["status"], code: number): Response {
  return FastResponse.json({ status }, { status: code, headers: { "cache-control": "no-store" } });
}
