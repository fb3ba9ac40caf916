// Where a proxy listens and leads to.
import { isIPv6, SocketAddress } from "node:net";
import { checkCount, describe } from "@proj/concurrency/options";

/** A host and a port; or both as `"host:port"`; or the port alone, on 127.0.0.1. */
export type ProxyAddress = string | number | { readonly host: string; readonly port: number };

/** Reads what users write. */
export function parseAddress(action: string, option: string, address: ProxyAddress): { host: string; port: number } {
  if (typeof address === "number") return { host: "127.0.0.1", port: checkPort(action, option, address) };
  if (typeof address === "string") {
    const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(address) ?? [];
    const host = bracketed ?? plain;
    if (host === undefined) {
      throw new TypeError(`Cannot ${action}: ${option} must be a port or a host:port, got ${describe(address)}`);
    }
    return { host, port: checkPort(action, option, Number(port)) };
  }
  if (address === null || typeof address !== "object" || typeof address.host !== "string") {
    throw new TypeError(`Cannot ${action}: ${option} must be a port or a host:port, got ${describe(address)}`);
  }
  return { host: address.host, port: checkPort(action, option, address.port) };
}

/** As people write it. */
export function formatAddress(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** As the system writes it, which shortens IPv6 addresses. */
export function canonical(address: string): string {
  if (!isIPv6(address) || address.includes("%")) return address;
  return new SocketAddress({ address, family: "ipv6" }).address;
}

export function checkPort(action: string, option: string, port: number, least = 1): number {
  if (checkCount(action, option, port, least) <= 65_535) return port;
  throw new RangeError(`Cannot ${action}: ${option} must be a port up to 65535, got ${port}`);
}
