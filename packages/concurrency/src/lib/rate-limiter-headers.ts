// A decision as HTTP header fields.
import type { RateLimitDecision } from "./rate-limiter.ts";

/** How the header fields look. */
export interface RateLimitHeadersOptions {
  /** Name of the policy, for clients that meet several. Printable ASCII. Default: `"default"`. */
  readonly name?: string | undefined;
}

/**
 * Renders a decision as `ratelimit-policy` and `ratelimit` (draft-ietf-httpapi-ratelimit-headers-10) and, when the
 * request has to wait, `retry-after` (RFC 9110, section 10.2.3). Times are rounded up to seconds, so who waits as told is
 * not early.
 *
 * @example
 * ```ts
 * import { fixedWindow, rateLimitHeaders } from "@proj/concurrency";
 *
 * const quota = fixedWindow<string>({ limit: 100, window: 60_000 });
 * quota.tryTake("ada", 100);
 * console.log(rateLimitHeaders(quota.peek("ada")));
 * // { "ratelimit-policy": '"default";q=100;w=60', ratelimit: '"default";r=0;t=60', "retry-after": "60" }
 * ```
 */
export function rateLimitHeaders(
  decision: RateLimitDecision,
  { name = "default" }: RateLimitHeadersOptions = {},
): Record<string, string> {
  if (!/^[\x20-\x7e]+$/.test(name)) {
    throw new RangeError(`Cannot render rate limit headers: name must be printable ASCII, got ${JSON.stringify(name)}`);
  }
  const policy = `"${name.replace(/["\\]/g, "\\$&")}"`;
  const { limit, windowMs, remaining, resetMs, retryAfterMs } = decision;
  const headers: Record<string, string> = {
    "ratelimit-policy": `${policy};q=${limit};w=${seconds(windowMs)}`,
    ratelimit: `${policy};r=${remaining};t=${seconds(resetMs)}`,
  };
  if (retryAfterMs > 0 && retryAfterMs !== Number.POSITIVE_INFINITY)
    headers["retry-after"] = `${seconds(retryAfterMs)}`;
  return headers;
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}
