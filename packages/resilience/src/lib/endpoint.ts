// One of several places that can do the same work.

/** A server, or whatever else a balancer chooses from. Two with the same `id` are the same one. */
export interface Endpoint {
  /** Tells it from the others, in keys, statistics and messages; often the same as `address`. */
  readonly id: string;
  /** Where it is: an origin as `https://10.0.0.1:8443`, a `host:port`, a path; whatever the task understands. */
  readonly address: string;
  /** Its share of the work, relative to that of the others. Default: 1. */
  readonly weight?: number | undefined;
  /** Whatever else a registry knows of it. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}
