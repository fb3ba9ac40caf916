// What the value of a key in etcd may look like.
import type { Endpoint } from "./endpoint.ts";

interface Written {
  readonly id?: unknown;
  readonly address?: unknown;
  readonly Addr?: unknown;
  readonly weight?: unknown;
  readonly metadata?: unknown;
}

/**
 * Understands an address, the JSON of an endpoint, and that of etcd's own naming.
 *
 * @throws TypeError for anything else
 */
export function endpointOf(key: string, value: string): Endpoint {
  const text = value.trim();
  if (text === "") throw new TypeError("it is empty");
  if (!text.startsWith("{")) return { id: key, address: text };
  const written = JSON.parse(text) as Written;
  const { id = key, address = written.Addr, weight, metadata } = written;
  if (typeof id !== "string" || typeof address !== "string") throw new TypeError("it has no address");
  if (weight !== undefined && !(typeof weight === "number" && weight >= 0)) throw new TypeError("its weight is none");
  return {
    id,
    address,
    ...(weight === undefined ? {} : { weight }),
    ...(isTexts(metadata) ? { metadata } : {}),
  };
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).every((item) => typeof item === "string");
}
