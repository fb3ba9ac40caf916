export {
  type Discovery,
  type DiscoveryFeed,
  type DiscoveryWatch,
  discover,
} from "./lib/discover.ts";
export { type ConsulOptions, consul } from "./lib/discover-consul.ts";
export { type DnsOptions, type DnsResolver, type DnsTtl, dns } from "./lib/discover-dns.ts";
export { type EtcdOptions, etcd } from "./lib/discover-etcd.ts";
export { type FileOptions, file } from "./lib/discover-file.ts";
export { fixed } from "./lib/discover-fixed.ts";
export type { RegistryOptions } from "./lib/discover-http.ts";
export type { AddressOptions, DiscoverOptions } from "./lib/discover-options.ts";
export { DiscoveryError } from "./lib/discovery-error.ts";
