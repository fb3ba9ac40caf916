// What a registry's answer was refused for.

/**
 * A source of endpoints answered with something that is no set of endpoints: an HTTP status other than 200, content that
 * cannot be read, or nothing at all where that is not accepted. The endpoints that were known stay.
 *
 * @example
 * ```ts
 * import { DiscoveryError } from "@proj/resilience/discovery";
 *
 * console.log(new DiscoveryError("consul", "it answered with status 500", { status: 500 }).message);
 * // prints: Cannot take endpoints from consul: it answered with status 500
 * ```
 */
export class DiscoveryError extends Error {
  override readonly name = "DiscoveryError";
  readonly code = "ERR_DISCOVERY";
  /** Of an HTTP answer; `undefined` if it was none. */
  readonly status: number | undefined;

  constructor(source: string, problem: string, options: ErrorOptions & { readonly status?: number } = {}) {
    const { status, ...rest } = options;
    super(`Cannot take endpoints from ${source}: ${problem}`, rest);
    this.status = status;
  }
}
