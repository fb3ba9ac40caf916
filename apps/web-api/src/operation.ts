// One operation of the API: what it takes, what it answers and the code between, in one place. The same description
// validates requests and makes the documentation, so the two cannot drift apart.
import type { Handler, RequestContext } from "@proj/http3";
import type { z } from "zod";
import { readJson, readPath, readQuery } from "./input.ts";
import { type IfMatch, readIfMatch } from "./preconditions.ts";

/** An answer that a client can expect. */
export interface Answer {
  readonly description: string;
  /** Of its JSON body; none for an answer without one. */
  readonly schema?: z.ZodType;
  /** Header fields it carries, with what they say. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** An operation, ready to be routed and documented. */
export interface Operation {
  readonly id: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly summary: string;
  readonly pathSchema?: z.ZodObject | undefined;
  readonly querySchema?: z.ZodObject | undefined;
  readonly bodySchema?: z.ZodType | undefined;
  /** Content types of the body. */
  readonly bodyTypes: readonly string[];
  readonly needsIfMatch: boolean;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Statuses that come with a problem document. */
  readonly problems: readonly number[];
  readonly handler: Handler;
}

/** What the code of an operation works with, all of it valid. */
export interface OperationInput<Path, Query, Body> {
  readonly request: Request;
  readonly context: RequestContext;
  readonly path: Path;
  readonly query: Query;
  readonly body: Body;
  /** `"*"` in operations without a precondition. */
  readonly ifMatch: IfMatch;
}

export interface OperationDefinition<Path extends z.ZodObject, Query extends z.ZodObject, Body extends z.ZodType>
  extends Pick<Operation, "id" | "method" | "path" | "summary" | "answers" | "problems"> {
  readonly pathSchema?: Path;
  readonly querySchema?: Query;
  readonly bodySchema?: Body;
  /** Default: `application/json`. */
  readonly bodyTypes?: readonly string[];
  /** Default: `false`. */
  readonly needsIfMatch?: boolean;
  handle(input: OperationInput<z.output<Path>, z.output<Query>, z.output<Body>>): Response | Promise<Response>;
}

/** Makes an operation; conditions are checked before the body is read, and all of the input before the code runs. */
export function operation<Path extends z.ZodObject, Query extends z.ZodObject, Body extends z.ZodType>(
  definition: OperationDefinition<Path, Query, Body>,
): Operation {
  const { handle, bodyTypes = ["application/json"], needsIfMatch = false, ...rest } = definition;
  const { pathSchema, querySchema, bodySchema } = rest;
  return {
    ...rest,
    bodyTypes,
    needsIfMatch,
    handler: async (request, context) => {
      // Where the definition has no schema, its type says that the code must not look.
      const path = (pathSchema && readPath(pathSchema, context.params)) as z.output<Path>;
      const query = (querySchema && readQuery(querySchema, request.url)) as z.output<Query>;
      const ifMatch = needsIfMatch ? readIfMatch(request) : "*";
      const body = (bodySchema && (await readJson(bodySchema, bodyTypes, request))) as z.output<Body>;
      return handle({ request, context, path, query, body, ifMatch });
    },
  };
}
