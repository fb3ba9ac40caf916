// Reads and validates what a request carries; whatever is wrong becomes a problem that names the field.
import { HttpProblem } from "@proj/http3/router";
import type { z } from "zod";
import type { FieldError } from "./schemas.ts";

/** Most bytes of a request body. */
export const largestBody = 1_048_576;

/** Most errors that one answer names: a request of a megabyte can have a hundred thousand. */
const mostErrors = 20;

/** Throws a 400 problem where the path parameters are not what the schema wants. */
export function readPath<Schema extends z.ZodType>(schema: Schema, params: unknown): z.output<Schema> {
  return validate(schema, params, "path", 400);
}

/** Throws a 400 problem for unknown, repeated and invalid query parameters. */
export function readQuery<Schema extends z.ZodType>(schema: Schema, url: string): z.output<Schema> {
  const { searchParams } = new URL(url);
  const values: Record<string, string> = {};
  for (const [name, value] of searchParams) {
    if (Object.hasOwn(values, name)) {
      throw refusal(400, [{ in: "query", field: name, message: "given more than once", received: brief(value) }]);
    }
    Object.defineProperty(values, name, { value, enumerable: true }); // any name is just a name here
  }
  return validate(schema, values, "query", 400);
}

/** Throws a 415 problem for another content type, 413 for too many bytes, 400 for what is not JSON, 422 for invalid fields. */
export async function readJson<Schema extends z.ZodType>(
  schema: Schema,
  types: readonly string[],
  request: Request,
): Promise<z.output<Schema>> {
  checkContentType(request.headers.get("content-type"), types);
  if (Number(request.headers.get("content-length")) > largestBody) throw tooLarge();
  const bytes = await request.bytes();
  if (bytes.byteLength > largestBody) throw tooLarge();
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (error) {
    const message =
      bytes.byteLength === 0 ? "expected JSON, got nothing" : `malformed JSON: ${(error as Error).message}`;
    throw refusal(400, [{ in: "body", field: "", message }]);
  }
  return validate(schema, value, "body", 422);
}

/** Makes the problem for invalid input. */
export function refusal(
  status: number,
  errors: readonly FieldError[],
  headers: Record<string, string> = {},
): HttpProblem {
  const told = errors.slice(0, mostErrors);
  const list = told.map(({ in: place, field, message }) => `${[place, field].filter(Boolean).join(" ")}: ${message}`);
  const more = errors.length > told.length ? [`and ${errors.length - told.length} more`] : [];
  return new HttpProblem(
    { status, detail: `Invalid input. ${[...list, ...more].join("; ")}`, errors: told },
    { headers },
  );
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function checkContentType(header: string | null, types: readonly string[]): void {
  const [type = "", ...parameters] = (header ?? "")
    .toLowerCase()
    .split(";")
    .map((part) => part.trim());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice("charset=".length);
  if (types.includes(type) && (charset === undefined || /^"?utf-8"?$/.test(charset))) return;
  const message = `expected ${types.join(" or ")} in UTF-8`;
  throw refusal(415, [{ in: "header", field: "content-type", message, received: brief(header) }], {
    accept: types.join(", "),
  });
}

function tooLarge(): HttpProblem {
  return refusal(413, [{ in: "body", field: "", message: `larger than ${largestBody} bytes` }]);
}

function validate<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  place: FieldError["in"],
  status: number,
): z.output<Schema> {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const errors = result.error.issues.flatMap((issue): FieldError[] => {
    const path = issue.path.map(String);
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ in: place, field: [...path, brief(key)].join("."), message: "unknown field" }));
    }
    const message = issue.input === undefined && path.length > 0 ? "is required" : issue.message;
    const received = issue.input === undefined ? {} : { received: brief(issue.input) };
    return [{ in: place, field: path.join("."), message, ...received }];
  });
  throw refusal(status, errors);
}

/** Enough of a value to recognise it. */
function brief(value: unknown): unknown {
  if (typeof value === "string") return value.length > 100 ? `${value.slice(0, 100)}…` : value;
  if (typeof value !== "object" || value === null) return value;
  return Array.isArray(value) ? "an array" : "an object";
}
