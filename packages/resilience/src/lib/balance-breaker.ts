// A balancer and the breaker of its endpoints as one: no pick of an endpoint that would turn the call away, or that has
// failed it already.
import type { ComponentStats } from "@proj/concurrency/inspect";
import type { Balancer } from "./balancer.ts";
import type { Breaker } from "./breaker.ts";
import type { Call } from "./call.ts";
import { CallRecord } from "./call-record.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Gate } from "./policy.ts";

export class ChoosyBalancer implements Gate {
  readonly kind = "balance";
  readonly #balancer: Balancer;
  readonly #breaker: Pick<Breaker, "isOpen"> | undefined;
  /** Of the pick that is being made: picks are synchronous, so no closure is needed. */
  #tried: readonly string[] | undefined;
  #now = 0;

  constructor(balancer: Balancer, breaker: Pick<Breaker, "isOpen"> | undefined) {
    this.#balancer = balancer;
    this.#breaker = breaker;
  }

  enter(call: Call): number {
    const record = call instanceof CallRecord ? call : undefined;
    this.#now = call.startedAt;
    this.#tried = record?.tried;
    const token = this.#pick(call);
    if (record?.tried !== undefined && call.endpoint !== undefined) record.tried.push(call.endpoint.id);
    return token;
  }

  exit(call: Call, token: number): void {
    this.#balancer.exit(call, token);
  }

  stats(): ComponentStats {
    return this.#balancer.stats();
  }

  /** When all have been tried, one of them is better than none. */
  #pick(call: Call): number {
    if (this.#tried === undefined || this.#tried.length === 0) {
      return this.#breaker === undefined ? this.#balancer.enter(call) : this.#balancer.pick(call, this.#isWell);
    }
    const token = this.#balancer.tryPick(call, this.#isNew);
    return token >= 0 ? token : this.#balancer.pick(call, this.#isWell);
  }

  readonly #isWell = ({ id }: Endpoint): boolean => this.#breaker === undefined || !this.#breaker.isOpen(id, this.#now);

  readonly #isNew = (endpoint: Endpoint): boolean =>
    this.#tried?.includes(endpoint.id) !== true && this.#isWell(endpoint);
}
