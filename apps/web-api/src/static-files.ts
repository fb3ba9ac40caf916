// The files of the web page, read once and served from memory.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { FastResponse, type Handler } from "@proj/http3";
import { isNotModified } from "./preconditions.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

// The page takes code and data from this server only, and nobody may frame it.
const contentSecurityPolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** A handler for each file of a folder, by name. */
export function staticFiles(folder: string): ReadonlyMap<string, Handler> {
  return new Map(readdirSync(folder).map((name) => [name, fileHandler(name, readFileSync(join(folder, name)))]));
}

function fileHandler(name: string, content: Uint8Array): Handler {
  const etag = `"${createHash("sha256").update(content).digest("base64url").slice(0, 16)}"`;
  const headers = {
    etag,
    "cache-control": "no-cache",
    "content-type": types[extname(name)] ?? "application/octet-stream",
    "content-security-policy": contentSecurityPolicy,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  };
  return (request) => {
    if (isNotModified(request, etag)) return new FastResponse(null, { status: 304, headers });
    return new FastResponse(content, { headers: { ...headers, "content-length": String(content.byteLength) } });
  };
}
