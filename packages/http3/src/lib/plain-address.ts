// Addresses as people write them.

/** IPv4 as such where the system gives it inside IPv6 (`::ffff:10.0.0.7`), which it does on a socket for both. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
