// The answer to bytes that are no HTTP request: there is no exchange for them, only a socket to write to.
import { STATUS_CODES } from "node:http";

const statusByCode: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [431, "The header fields of the request are too large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "The chunk extensions of the body are too large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "The request did not arrive in time"],
};

/** A whole HTTP/1.1 answer with a problem document, after which the connection ends. */
export function malformedAnswer(code: string | undefined): string {
  const [status, detail] = statusByCode[code ?? ""] ?? [400, "The request is not valid HTTP"];
  const title = STATUS_CODES[status] ?? "";
  const body = JSON.stringify({ title, status, detail });
  return [
    `HTTP/1.1 ${status} ${title}`,
    "content-type: application/problem+json",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
    "",
    body,
  ].join("\r\n");
}
