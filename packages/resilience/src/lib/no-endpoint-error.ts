// The answer of a balancer that has nobody to send a call to.

/** What a {@link NoEndpointError} knows. */
export interface NoEndpointDetails extends ErrorOptions {
  /** How many endpoints the balancer knows; 0 too while it waits for the first answer of a registry. */
  readonly known: number;
  /** How many of them were left to choose from, after ejections and health checks. */
  readonly ready: number;
}

/**
 * A balancer had no endpoint for a call: it knows none, or none of those that it could choose from was accepted, since
 * the circuits of all are open or all have been tried. Never counts as a failure of the dependency. If the balancer's
 * endpoints come from a registry that does not answer, `cause` is the registry's last error.
 *
 * @example
 * ```ts
 * import { balance, NoEndpointError, p2cEwma } from "@proj/resilience";
 *
 * await using servers = balance([], p2cEwma(), { name: "users" });
 * console.log(servers.endpoints.length); // prints: 0
 * console.log(new NoEndpointError("users", { known: 0, ready: 0 }).message);
 * // prints: Cannot pick an endpoint of users: none is known
 * ```
 */
export class NoEndpointError extends Error {
  override readonly name = "NoEndpointError";
  readonly code = "ERR_NO_ENDPOINT";
  /** How many endpoints the balancer knows. */
  readonly known: number;
  /** How many of them it could choose from. */
  readonly ready: number;

  constructor(what: string, { known, ready, ...options }: NoEndpointDetails) {
    super(
      known === 0
        ? `Cannot pick an endpoint of ${what}: none is known`
        : `Cannot pick an endpoint of ${what}: none of the ${ready} ready ones is accepted, ${known} are known`,
      options,
    );
    this.known = known;
    this.ready = ready;
  }
}
