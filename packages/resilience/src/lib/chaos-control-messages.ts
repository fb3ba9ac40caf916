// What comes in to a control server, and what goes out.
import type { IncomingMessage } from "node:http";
import { describe } from "@proj/concurrency/options";

/** Bytes of a request's body at most. */
const maxBody = 1_048_576;

/** What a request is answered with when it cannot be done. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What an error is answered with. */
export function statusOf(error: unknown): number {
  if (error instanceof Refusal) return error.status;
  return error instanceof TypeError || error instanceof RangeError ? 422 : 500;
}

/** A page in a browser can send requests to this machine too: it must not be able to break things. */
export function checkSender(request: IncomingMessage): void {
  const host = (request.headers.host ?? "").replace(/:\d+$/, "");
  if (!["127.0.0.1", "localhost", "[::1]"].includes(host) || request.headers.origin !== undefined) {
    throw new Refusal(403, "Only programs of this machine may ask");
  }
}

/** What it carries: an object or a list. */
export async function bodyOf(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
    throw new Refusal(415, "The body must be application/json");
  }
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size <= maxBody) parts.push(part); // the rest is read and forgotten, or the answer would not get through
  }
  if (size > maxBody) throw new Refusal(413, `The body must have at most ${maxBody} bytes`);
  try {
    const value: unknown = JSON.parse(Buffer.concat(parts).toString());
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // As below.
  }
  throw new Refusal(400, "The body must be a JSON object or list");
}

/** A part of a path. */
export function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Refusal(400, "The path cannot be read");
  }
}

/** A fault as far as JSON can tell it: it may hold expressions, errors, functions and whatever a task returns. */
export function asData(fault: unknown): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fault as object).map(([name, value]) => [name, plain(value)]));
}

function plain(value: unknown): unknown {
  if (value instanceof RegExp || value instanceof Error) return String(value);
  try {
    return JSON.stringify(value) === undefined ? describe(value) : value;
  } catch {
    return describe(value);
  }
}
