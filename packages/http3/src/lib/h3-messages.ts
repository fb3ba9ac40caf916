// What makes an HTTP/3 message well formed (RFC 9114, sections 4.2 and 4.3), for requests we get and answers we give.

export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  /** Path and query; empty for CONNECT. */
  readonly target: string;
  /** Without pseudo-headers; cookie crumbs are one `cookie` again. */
  readonly headers: string[];
  readonly contentLength: number | undefined;
}

export interface MessageLimits {
  /** Bytes of one header section, counted as RFC 9114 does: name, value and 32 for each field. */
  readonly maxHeaderSize: number;
  /** Fields of one header section. */
  readonly maxHeaderCount: number;
}

/** Why a message is refused. `malformed` is an error of the stream, `too-large` deserves the answer 431. */
export interface Refusal {
  readonly kind: "malformed" | "too-large";
  readonly reason: string;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// Visible characters, obs-text, and blanks between them.
const FIELD_VALUE = /^(?:[\x21-\x7e\x80-\u{10ffff}](?:[\t\x20-\x7e\x80-\u{10ffff}]*[\x21-\x7e\x80-\u{10ffff}])?)?$/u;
const AUTHORITY = /^[0-9A-Za-z\-._~%!$&'()*+,;=:[\]]+$/;
const TARGET = /^(?:\/[!"$-~]*|\*)$/;
const DIGITS = /^\d{1,15}$/;

const CONNECTION_FIELDS = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

/** Reads the header section of a request: a `RequestHead`, or why there is none. */
export function readRequest(list: readonly string[], limits: MessageLimits): RequestHead | Refusal {
  const large = tooLarge(list, limits);
  if (large !== undefined) return large;

  const pseudo = new Map<string, string>();
  const headers: string[] = [];
  const cookies: string[] = [];
  let host: string | undefined;
  let contentLength: number | undefined;

  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = list[i] ?? "";
    const value = list[i + 1] ?? "";
    if (name.startsWith(":")) {
      if (headers.length + cookies.length > 0) return malformed(`${name} comes after a regular field`);
      if (pseudo.has(name)) return malformed(`${name} is there twice`);
      pseudo.set(name, value);
      continue;
    }
    const wrong = checkField(name, value);
    if (wrong !== undefined) return malformed(wrong);
    switch (name) {
      case "cookie":
        cookies.push(value);
        continue;
      case "te":
        if (value.toLowerCase() !== "trailers") return malformed("te is not trailers");
        break;
      case "host":
        if (host !== undefined) return malformed("host is there twice");
        host = value;
        break;
      case "content-length":
        if (contentLength !== undefined) return malformed("content-length is there twice");
        if (!DIGITS.test(value)) return malformed("content-length is not a number");
        contentLength = Number(value);
        break;
      default:
        break;
    }
    headers.push(name, value);
  }
  // A client may split cookies for better compression; they are one field to everybody above (RFC 9114, section 4.2.1).
  if (cookies.length > 0) headers.push("cookie", cookies.join("; "));

  const target = readTarget(pseudo, host);
  return "kind" in target ? target : { ...target, headers, contentLength };
}

/** Says what is wrong with the trailers of a request, if anything. */
export function checkTrailers(list: readonly string[], limits: MessageLimits): Refusal | undefined {
  const large = tooLarge(list, limits);
  if (large !== undefined) return large;
  for (let i = 0; i + 1 < list.length; i += 2) {
    const wrong = checkField(list[i] ?? "", list[i + 1] ?? "");
    if (wrong !== undefined) return malformed(wrong);
  }
  return undefined;
}

/**
 * The header section of an answer: `:status` first, then the fields without those that only mean something to a connection
 * of HTTP/1.1. Throws a `TypeError` for what would be malformed, so that no answer ever is.
 */
export function writeResponse(status: number, headers: readonly string[]): string[] {
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new TypeError(`Cannot answer over HTTP/3: status must be an integer from 200 to 599, got ${status}`);
  }
  const list = [":status", String(status)];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? "";
    const value = headers[i + 1] ?? "";
    if (CONNECTION_FIELDS.has(name)) continue;
    if (name === "content-length" && status === 204) continue;
    const wrong = checkField(name, value);
    if (wrong !== undefined) throw new TypeError(`Cannot answer over HTTP/3: ${wrong}`);
    list.push(name, value);
  }
  return list;
}

function checkField(name: string, value: string): string | undefined {
  if (!FIELD_NAME.test(name)) return `field name ${JSON.stringify(name.slice(0, 100))} is not a token in lower case`;
  if (!FIELD_VALUE.test(value)) return `the value of ${name} has a control character, or a blank at an end`;
  if (CONNECTION_FIELDS.has(name)) return `${name} is a field of HTTP/1.1 connections`;
  return undefined;
}

function readTarget(
  pseudo: ReadonlyMap<string, string>,
  host: string | undefined,
): Pick<RequestHead, "method" | "scheme" | "authority" | "target"> | Refusal {
  const method = pseudo.get(":method");
  const scheme = pseudo.get(":scheme");
  const path = pseudo.get(":path");
  const authority = pseudo.get(":authority");
  const known = [method, scheme, path, authority].filter((value) => value !== undefined).length;
  if (pseudo.size > known) return malformed("it has a pseudo-header that requests do not have");
  if (method === undefined || !TOKEN.test(method)) return malformed(":method is missing or not a token");
  if (authority !== undefined && !AUTHORITY.test(authority)) return malformed(":authority is not a host");
  if (host !== undefined && !AUTHORITY.test(host)) return malformed("host is not a host");
  if (authority !== undefined && host !== undefined && authority !== host) {
    return malformed(":authority and host differ");
  }

  if (method === "CONNECT") {
    if (scheme !== undefined || path !== undefined) return malformed("CONNECT has no :scheme and no :path");
    if (authority === undefined) return malformed(":authority is missing");
    return { method, scheme: "", authority, target: "" };
  }
  if (scheme !== "https" && scheme !== "http") return malformed(":scheme is missing or not one of HTTP");
  if (path === undefined || !TARGET.test(path)) return malformed(":path is missing or not a path");
  if (path === "*" && method !== "OPTIONS") return malformed(":path * is for OPTIONS");
  const from = authority ?? host;
  if (from === undefined) return malformed("neither :authority nor host is there");
  return { method, scheme, authority: from, target: path };
}

function tooLarge(list: readonly string[], limits: MessageLimits): Refusal | undefined {
  if (list.length > 2 * limits.maxHeaderCount) {
    return { kind: "too-large", reason: `it has more than ${limits.maxHeaderCount} fields` };
  }
  let size = 16 * list.length;
  for (const text of list) size += text.length;
  if (size > limits.maxHeaderSize)
    return { kind: "too-large", reason: `it has more than ${limits.maxHeaderSize} bytes` };
  return undefined;
}

function malformed(reason: string): Refusal {
  return { kind: "malformed", reason };
}
