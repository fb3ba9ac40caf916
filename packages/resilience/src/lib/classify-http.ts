// What an HTTP status says, and how long to wait.
import type { Classification } from "./classify.ts";

/** `undefined` for what is no status of a failure. */
export function classifyStatus(status: number, headers: object | undefined): Classification | "ok" | "ignore" {
  if (status < 400) return "ok";
  if (status === 408 || status === 504)
    return { kind: "timeout", retryAfterMs: retryAfterOf(headers), untouched: false };
  // 421, 425 and 429 say that the request was not looked at.
  const untouched = status === 421 || status === 425 || status === 429;
  if (status < 500 && !untouched) return "ignore";
  return { kind: "fail", retryAfterMs: retryAfterOf(headers), untouched };
}

/** RFC 9110, section 10.2.3: seconds, or a date, which is compared with the sender's own `Date` if there is one. */
function retryAfterOf(headers: object | undefined): number | undefined {
  const text = headerOf(headers, "retry-after");
  if (text === undefined) return undefined;
  if (/^\s*\d+(\.\d+)?\s*$/.test(text)) return Math.ceil(Number(text) * 1_000);
  const at = Date.parse(text);
  if (Number.isNaN(at)) return undefined;
  const sent = Date.parse(headerOf(headers, "date") ?? "");
  return Math.max(0, at - (Number.isNaN(sent) ? Date.now() : sent));
}

function headerOf(headers: object | undefined, name: string): string | undefined {
  if (headers === undefined) return undefined;
  const { get } = headers as { get?: unknown };
  const value: unknown = typeof get === "function" ? get.call(headers, name) : Reflect.get(headers, name);
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? value : undefined;
}
