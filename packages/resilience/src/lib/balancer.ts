// Sends each call to one of several endpoints: the gate, and who is told what.
import { abortable, type Clock, ClosedError, Context, type WaitOptions } from "@proj/concurrency";
import { register } from "@proj/concurrency/inspect";
import { checkDuration, checkFunction, checkRatio } from "@proj/concurrency/options";
import { Ejection, type EjectionListener } from "./balance-ejection.ts";
import { type EndpointSet, type EndpointSource, endpointsFrom } from "./balance-endpoints.ts";
import { HealthChecks, type HealthListener } from "./balance-health.ts";
import { type Member, Members, type MembersListener } from "./balance-members.ts";
import type { BalanceOptions } from "./balance-options.ts";
import type { BalancerStats, EndpointStats } from "./balance-stats.ts";
import type { AcceptEndpoint, BalanceStrategy, Picker } from "./balance-strategy.ts";
import { Watching, type WatchListener } from "./balance-watch.ts";
import type { Call } from "./call.ts";
import { checkObject } from "./check-object.ts";
import type { Endpoint } from "./endpoint.ts";
import { listening, tell } from "./events.ts";
import { NoEndpointError } from "./no-endpoint-error.ts";
import type { Gate } from "./policy.ts";
import { rejection } from "./stackless.ts";

/** Instead of a token. */
const none = -1;

/**
 * Sends each call to one of several endpoints. Made by {@link balance}.
 *
 * As a gate it sets `call.endpoint` on entry and learns from the end of the call. `close()` ends the watch of the source
 * and the checks; calls go on being sent to the endpoints that were known last.
 *
 * @example
 * ```ts
 * import { balance, resilient, roundRobin } from "@proj/resilience";
 *
 * await using servers = balance(["http://10.0.0.1", "http://10.0.0.2"], roundRobin());
 * const call = resilient({ balance: servers, retry: { attempts: 2 } });
 * const address = await call(async (_context, { endpoint }) => endpoint?.address);
 * console.log(servers.endpoints.some((endpoint) => endpoint.address === address)); // prints: true
 * ```
 */
export class Balancer implements Gate, AsyncDisposable {
  readonly kind = "balance";
  /** As in its messages. */
  readonly name: string;
  readonly #strategy: string;
  readonly #picker: Picker;
  readonly #members: Members;
  readonly #ejection: Ejection | undefined;
  readonly #checks: HealthChecks | undefined;
  readonly #watching: Watching | undefined;
  readonly #clock: Clock;
  readonly #stack: boolean;
  readonly #first = Promise.withResolvers<void>();
  #wasReady = false;
  #failure: unknown;
  #wasPanicking = false;

  /** @throws TypeError or RangeError for options or endpoints that are none */
  constructor(source: EndpointSource, strategy: BalanceStrategy, options: BalanceOptions = {}) {
    const action = "balance";
    checkObject(action, "options", options);
    const { name = "balancer", slowStart = 10_000, panic = 0.3, ejection = {}, healthCheck } = options;
    const { clock = Context.current().clock, random = Math.random, stack = false } = options;
    checkFunction(action, "strategy.open", strategy?.open);
    checkDuration(action, "slowStart", slowStart);
    checkRatio(action, "panic", panic);
    checkFunction(action, "random", random);
    if (ejection !== false) checkObject(action, "ejection", ejection);
    if (healthCheck !== undefined) checkObject(action, "healthCheck", healthCheck);
    this.name = name;
    this.#clock = clock;
    this.#stack = stack;
    this.#strategy = strategy.name;
    this.#members = new Members(slowStart, panic, this.#onMembers);
    this.#picker = strategy.open(this.#members, random);
    this.#ejection = ejection === false ? undefined : new Ejection(ejection, this.#members, random, this.#onEjection);
    this.#checks = healthCheck && new HealthChecks(healthCheck, this.#members, clock, random, this.#onHealth);
    this.#first.promise.catch(() => {}); // whoever waits in ready() is told
    if (isStatic(source)) this.update(source);
    else this.#watching = new Watching(source, this.#onWatch);
    if (options.name !== undefined) register("balancer", name, this, (balancer) => balancer.stats());
  }

  /** Those that are known, healthy or not. */
  get endpoints(): readonly Endpoint[] {
    return this.#members.all.map(({ endpoint }) => endpoint);
  }

  /**
   * Resolves as soon as endpoints are known; keeps the process alive meanwhile. A call that comes before is rejected.
   *
   * @throws the reason of the signal or context · what the source failed with, if it did before it gave any · a
   * NoEndpointError if it ended before that · a ClosedError if the balancer did
   */
  async ready(options: WaitOptions = {}): Promise<void> {
    const timer = this.#clock.setTimeout(() => {}, 2 ** 31 - 1);
    timer.ref();
    try {
      await abortable(this.#wasReady ? Promise.resolve() : this.#first.promise, options);
    } finally {
      timer.clear();
    }
  }

  /**
   * Takes these endpoints instead of those before. One whose id is known keeps its statistics; calls in flight on one that
   * is gone go on. Of several with one id the first counts; one of weight 0 is left out.
   *
   * @throws TypeError or RangeError for what is no endpoint
   */
  update(endpoints: EndpointSet): void {
    const now = this.#clock.now();
    this.#members.update(endpointsFrom("balance", endpoints), now);
    this.#ejection?.update(now);
    this.#members.refresh(now);
    this.#checks?.update();
    this.#failure = undefined;
    if (this.#members.all.length === 0) return;
    this.#wasReady = true;
    this.#first.resolve();
  }

  /**
   * Chooses an endpoint for the call, among those that `accept` does not turn down, and sets `call.endpoint`. Returns a
   * token for {@link Balancer.exit}, which must follow. `accept` is for what the caller knows: circuits that are open,
   * endpoints that the call has tried.
   *
   * @throws NoEndpointError
   */
  pick(call: Call, accept?: AcceptEndpoint): number {
    const token = this.tryPick(call, accept);
    if (token !== none) return token;
    const error = this.#noEndpoint();
    if (listening()) tell({ kind: "call-rejected", name: this.name, policy: this.kind, error });
    throw error;
  }

  /** The same as {@link Balancer.pick}, but for one thing: it returns -1 if there is no endpoint, and tells nobody. */
  tryPick(call: Call, accept?: AcceptEndpoint): number {
    this.#ejection?.check(call.startedAt);
    const member = this.#picker.pick(call, accept) as Member | undefined; // strategies know no other candidates
    if (member === undefined) return none;
    member.inFlight++;
    member.calls++;
    this.#members.inFlight++;
    call.endpoint = member.endpoint;
    return member.slot;
  }

  /** The same as {@link Balancer.pick} with all endpoints. */
  enter(call: Call): number {
    return this.pick(call);
  }

  /** Learns how the call has ended, and how long it took. */
  exit(call: Call, token: number): void {
    const member = this.#members.at(token);
    if (call.outcome === "fail" || call.outcome === "timeout") member.failures++;
    this.#members.leave(member);
    this.#picker.done?.(member, call);
    this.#ejection?.observe(member, call);
  }

  /** What is known of each endpoint, and of all together. */
  stats(): BalancerStats {
    const { all, ready, inFlight, isPanicking } = this.#members;
    return {
      strategy: this.#strategy,
      known: all.length,
      ready: ready.length,
      ejected: this.#ejection?.count ?? 0,
      isPanicking,
      inFlight,
      endpoints: all.map(statsOf),
    };
  }

  /** Ends the watch of the source and the checks. What they do at the moment is told to stop, and not awaited. */
  async close(): Promise<void> {
    this.#watching?.stop();
    this.#checks?.close();
    this.#first.reject(new ClosedError(this.name));
  }

  /** The same as {@link Balancer.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #noEndpoint(): NoEndpointError {
    const { all, ready } = this.#members;
    const details = { known: all.length, ready: ready.length };
    return rejection(this.#stack, () => {
      const cause = this.#failure;
      return new NoEndpointError(this.name, cause === undefined ? details : { ...details, cause });
    });
  }

  readonly #onMembers: MembersListener = {
    added: (member, now) => this.#picker.added?.(member, now),
    changed: (now) => {
      this.#picker.changed?.(now);
      const { isPanicking, all } = this.#members;
      if (isPanicking === this.#wasPanicking) return;
      this.#wasPanicking = isPanicking;
      const kind = isPanicking ? "balancer-panicked" : "balancer-calmed";
      if (listening()) tell({ kind, name: this.name, known: all.length });
    },
  };

  readonly #onEjection: EjectionListener = {
    ejected: ({ endpoint }, reason, durationMs) => {
      if (listening()) tell({ kind: "endpoint-ejected", name: this.name, endpoint, reason, durationMs });
    },
    returned: ({ endpoint }) => {
      if (listening()) tell({ kind: "endpoint-returned", name: this.name, endpoint });
    },
  };

  readonly #onHealth: HealthListener = {
    down: ({ endpoint }, error) => {
      if (listening()) tell({ kind: "endpoint-down", name: this.name, endpoint, error });
    },
    up: ({ endpoint }) => {
      if (listening()) tell({ kind: "endpoint-up", name: this.name, endpoint });
    },
  };

  readonly #onWatch: WatchListener = {
    found: (set) => {
      try {
        this.update(set);
      } catch (error) {
        this.#lose(error); // it is dropped, and the next one may be good
      }
    },
    failed: (error) => {
      this.#lose(error);
      this.#first.reject(error);
    },
    ended: () => this.#first.reject(this.#failure ?? this.#noEndpoint()),
  };

  #lose(error: unknown): void {
    this.#failure = error;
    if (listening()) tell({ kind: "discovery-failed", name: this.name, error, known: this.#members.all.length });
  }
}

function isStatic(source: EndpointSource): source is EndpointSet {
  return typeof (source as Partial<AsyncIterable<EndpointSet>> | undefined)?.[Symbol.asyncIterator] !== "function";
}

function statsOf(member: Member): EndpointStats {
  const { endpoint, inFlight, calls, failures, ejections, isDown, isEjected } = member;
  const state = isDown ? "down" : isEjected ? "ejected" : "healthy";
  return { id: endpoint.id, address: endpoint.address, state, inFlight, calls, failures, ejections };
}
