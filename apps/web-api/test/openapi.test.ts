import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AskOptions, type OpenApi, openApi } from "./open-api.ts";

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, OperationObject>>;
  readonly components: { readonly schemas: Record<string, object> };
}

interface OperationObject {
  readonly operationId: string;
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: object }> }>;
}

let api: OpenApi;
let document: Document;
beforeAll(async () => {
  api = await openApi();
  document = (await api.ask("GET", "/openapi.json")).json as unknown as Document; // checked below
}, 60_000);
afterAll(() => api[Symbol.asyncDispose]());

test("the document is valid OpenAPI 3.1", async () => {
  const { valid, errors } = await new Validator().validate({ ...document });
  expect(errors ?? []).toEqual([]);
  expect([valid, document.openapi]).toEqual([true, "3.1.0"]);
});

test("the document has each route but the pages, and nothing else", () => {
  const routes = api.app.router.routes
    .filter(({ path }) => path !== "/" && path !== "/docs" && !path.startsWith("/assets/"))
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(documented.sort()).toEqual(routes.sort());
});

test("real answers fit the JSON Schemas of the document", async () => {
  const headers = { "if-match": "*" };
  const fields = { name: "Own", text: "x" };
  const say = async (method: string, path: string, options: AskOptions = {}) => {
    const { status, json, headers } = await api.ask(method, path, options);
    const template = path.split("?")[0]?.replace(/^\/licences\/.+/, "/licences/{id}") ?? "";
    const response = document.paths[template]?.[method.toLowerCase()]?.responses[status];
    expect(response, `${method} ${path} may be answered ${status}`).toBeDefined();
    const schema = response?.content?.[headers.get("content-type") ?? ""]?.schema;
    expect(schema === undefined, `${method} ${path} ${status} has a body`).toBe(json === undefined);
    if (schema !== undefined) expect(schemaErrors(schema, json)).toEqual([]);
  };

  await say("POST", "/licences", { body: { id: "Own", ...fields } });
  await say("POST", "/licences", { body: { id: "Own", ...fields } });
  await say("POST", "/licences", { body: {} });
  await say("GET", "/licences");
  await say("GET", "/licences?q=own");
  await say("GET", "/licences?limit=no");
  await say("GET", "/licences/Own");
  await say("GET", "/licences/Nobody");
  await say("PUT", "/licences/Own", { headers, body: fields });
  await say("PATCH", "/licences/Own", { headers, body: { policy: "denied" } });
  await say("PATCH", "/licences/Own", { body: { policy: "denied" } });
  await say("DELETE", "/licences/Own", { headers });
  await say("GET", "/healthz");
  await say("GET", "/readyz");
  await say("GET", "/openapi.json");
});

test("the schemas refuse what the API never says", () => {
  const schema = document.components.schemas["Licence"] ?? {};
  expect(schemaErrors(schema, { id: "x" })).not.toEqual([]);
});

function schemaErrors(schema: object, value: unknown): unknown[] {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  const validate = ajv.compile({ components: document.components, ...schema });
  validate(value);
  return validate.errors ?? [];
}
