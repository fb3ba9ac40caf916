// The OpenAPI 3.1 document of a table of operations, made from the schemas that validate them.
import { STATUS_CODES } from "node:http";
import { z } from "zod";
import type { Answer, Operation } from "./operation.ts";
import { problemSchema } from "./schemas.ts";

export interface DocumentOptions {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  /** Schemas to give a name; all others are written out where they are used. */
  readonly schemas: Readonly<Record<string, z.ZodType>>;
}

/** Describes the operations; the result is plain JSON. */
export function openApiDocument(operations: readonly Operation[], options: DocumentOptions): Record<string, unknown> {
  const { title, version, description, schemas } = options;
  const names = new Map(Object.entries(schemas).map(([name, schema]) => [schema, name]));
  const reference = (schema: z.ZodType): unknown => {
    const name = names.get(schema);
    return name === undefined ? jsonSchema(schema) : { $ref: `#/components/schemas/${name}` };
  };
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    const path = operation.path.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] ??= {};
    paths[path][operation.method.toLowerCase()] = describe(operation, reference);
  }
  return {
    openapi: "3.1.0",
    info: { title, version, description, license: { name: "MIT", identifier: "MIT" } },
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, jsonSchema(schema)])),
    },
  };
}

type Reference = (schema: z.ZodType) => unknown;

function describe(operation: Operation, reference: Reference): Record<string, unknown> {
  const { id, summary, bodySchema, bodyTypes, answers, problems } = operation;
  const parameters = [
    ...parametersOf("path", operation.pathSchema),
    ...parametersOf("query", operation.querySchema),
    ...(operation.needsIfMatch ? [ifMatch] : []),
  ];
  const content = bodySchema && Object.fromEntries(bodyTypes.map((type) => [type, { schema: reference(bodySchema) }]));
  return {
    operationId: id,
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(content && { requestBody: { required: true, content } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, response(answer, reference)])),
      ...Object.fromEntries(problems.map((status) => [status, problemResponse(status, reference)])),
    },
  };
}

const ifMatch = {
  name: "If-Match",
  in: "header",
  required: true,
  description: "The `ETag` of the state that the change starts from, or `*` for any.",
  schema: { type: "string" },
};

function parametersOf(place: "path" | "query", schema: z.ZodObject | undefined): unknown[] {
  if (schema === undefined) return [];
  return Object.entries(schema.shape).map(([name, field]) => {
    const { description, ...rest } = jsonSchema(field as z.ZodType); // the shape of an object schema holds schemas
    return {
      name,
      in: place,
      required: place === "path",
      ...(description !== undefined && { description }),
      schema: rest,
    };
  });
}

function response({ description, schema, headers }: Answer, reference: Reference): Record<string, unknown> {
  return {
    description,
    ...(headers && {
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, text]) => [name, { description: text, schema: { type: "string" } }]),
      ),
    }),
    ...(schema && { content: { "application/json": { schema: reference(schema) } } }),
  };
}

function problemResponse(status: number, reference: Reference): Record<string, unknown> {
  return {
    description: STATUS_CODES[status] ?? "Problem",
    content: { "application/problem+json": { schema: reference(problemSchema) } },
  };
}

/** As clients write it: what has a default may be left out, and a parameter has the type it stands for. */
function jsonSchema(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: schemaSide(schema) });
  return json;
}

// A preprocessed parameter is text on the way in; only its output side says what the text stands for.
function schemaSide(schema: z.ZodType): "input" | "output" {
  const inner = schema instanceof z.ZodOptional ? schema.unwrap() : schema;
  return inner instanceof z.ZodPipe ? "output" : "input";
}
