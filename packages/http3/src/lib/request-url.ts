// The URL of a request from its parts, without parsing it where its text is already in its final form.
import type { Exchange } from "./exchange.ts";

// Characters that the URL parser leaves as they are.
const plainTarget = /^\/[\w\-~!$&()*+,;=:@/%.]*(?:\?[\w\-~!$&()*+,;=:@/%.?]*)?$/;
const dotSegment = /\/(?:\.|%2e)/i;
const badAuthority = /[/?#@\\\s]/;

/** Whether scheme and target make a URL of the authority: anything but a path could run into the host, and be read as part of it. */
export function hasGoodTarget({ scheme, method, target }: Exchange): boolean {
  if (scheme !== "https" && scheme !== "http") return false;
  return target.startsWith("/") ? !target.includes("#") : target === "*" && method === "OPTIONS";
}

/** The absolute URL as the platform writes it. Throws a `TypeError` where the authority is malformed. */
export function requestUrl({ scheme, authority, target }: Exchange): string {
  const origin = originOf(scheme, authority);
  if (plainTarget.test(target) && !dotSegment.test(target)) return origin + target;
  if (target === "*") return `${origin}/*`;
  return new URL(origin + target).href;
}

let lastScheme = "";
let lastAuthority = "";
let lastOrigin = "";

/** `scheme://host:port`, kept from one request to the next: most ask for the same one. */
export function originOf(scheme: string, authority: string): string {
  if (authority !== lastAuthority || scheme !== lastScheme) {
    if (badAuthority.test(authority)) throw new TypeError(`Cannot read a request: ${authority} is no authority`);
    lastOrigin = new URL(`${scheme}://${authority || "localhost"}`).origin;
    lastAuthority = authority;
    lastScheme = scheme;
  }
  return lastOrigin;
}
