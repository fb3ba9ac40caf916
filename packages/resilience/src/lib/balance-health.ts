// Asks endpoints how they are: a few at a time, at times of their own, and none twice at once.
import { abortable, type Clock, Context, Semaphore, type Timer } from "@proj/concurrency";
import { checkCount, checkDuration, checkFunction } from "@proj/concurrency/options";
import type { Member, Members } from "./balance-members.ts";
import type { Endpoint } from "./endpoint.ts";

/** How endpoints are asked whether they are healthy. */
export interface HealthCheckOptions {
  /** Tells whether the endpoint is healthy: not if it returns or resolves to `false`, throws, rejects, or is late. Its context ends by then. */
  readonly check: (endpoint: Endpoint, context: Context) => unknown;
  /** Milliseconds between two checks of one endpoint, give or take a tenth. Above 0. Default: 5,000. */
  readonly interval?: number | undefined;
  /** Milliseconds that a check may take. Default: 1,000. */
  readonly timeout?: number | undefined;
  /** Good checks in a row after which an unhealthy endpoint is used again. Default: 2. */
  readonly healthy?: number | undefined;
  /** Bad checks in a row after which an endpoint is used no more. Default: 3. */
  readonly unhealthy?: number | undefined;
  /** How many checks run at a time. Default: 16. */
  readonly concurrency?: number | undefined;
}

/** What {@link HealthChecks} tell. */
export interface HealthListener {
  down(member: Member, error: unknown): void;
  up(member: Member): void;
}

export class HealthChecks {
  readonly #settings: ReturnType<typeof settle>;
  readonly #members: Members;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #listener: HealthListener;
  readonly #slots: Semaphore;
  /** Above each check; cancelled by `close`. No part of the context in which the balancer was made. */
  readonly #context: ReturnType<typeof Context.derive>;
  readonly #timers = new Map<Member, Timer>();

  constructor(
    options: HealthCheckOptions,
    members: Members,
    clock: Clock,
    random: () => number,
    listener: HealthListener,
  ) {
    this.#settings = settle(options);
    this.#members = members;
    this.#clock = clock;
    this.#random = random;
    this.#listener = listener;
    this.#slots = new Semaphore(this.#settings.concurrency, { reentry: "ignore" });
    this.#context = Context.derive({ parent: Context.detach(), clock });
  }

  /** Checks those who are here now, and nobody else. New ones soon. */
  update(): void {
    if (this.#context.cancelled) return;
    for (const [member, timer] of this.#timers) {
      if (!member.isGone) continue;
      timer.clear();
      this.#timers.delete(member);
    }
    for (const member of this.#members.all) {
      if (!this.#timers.has(member)) this.#schedule(member, this.#settings.soon * this.#random());
    }
  }

  close(): void {
    this.#context.cancel();
    for (const timer of this.#timers.values()) timer.clear();
    this.#timers.clear();
  }

  #schedule(member: Member, delay: number): void {
    this.#timers.set(member, this.#clock.setTimeout(this.#begin, delay, member));
  }

  readonly #begin = (member: Member): void => {
    this.#schedule(member, this.#settings.interval * (0.9 + 0.2 * this.#random()));
    if (member.check === "none") void this.#check(member);
    else if (member.check === "running") this.#learn(member, new Error("The check before has not come to an end"));
  };

  async #check(member: Member): Promise<void> {
    const { timeout } = this.#settings;
    member.check = "waiting";
    let failure: unknown;
    try {
      using _permit = await this.#slots.acquire({ signal: this.#context });
      using context = Context.derive({ parent: this.#context, timeout });
      const isHealthy = await abortable(this.#ask(member, context), { signal: context });
      if (!isHealthy) failure = new Error("The check said that it is unhealthy");
    } catch (error) {
      failure = error ?? new Error("The check failed with nothing");
    }
    if (this.#context.cancelled || member.isGone) member.check = "none";
    else this.#learn(member, failure);
  }

  /** Runs until the check has really ended, whatever the timeout: what hangs must not pile up. */
  async #ask(member: Member, context: Context): Promise<boolean> {
    member.check = "running";
    try {
      return (await Context.run(context, () => this.#settings.check(member.endpoint, context))) !== false;
    } finally {
      member.check = "none";
    }
  }

  #learn(member: Member, error: unknown): void {
    const isDown = error !== undefined;
    if (isDown === member.isDown) {
      member.turns = 0;
      return;
    }
    if (++member.turns < (isDown ? this.#settings.unhealthy : this.#settings.healthy)) return;
    const now = this.#clock.now();
    member.turns = 0;
    member.isDown = isDown;
    if (!isDown) member.startedAt = now;
    this.#members.refresh(now);
    if (isDown) this.#listener.down(member, error);
    else this.#listener.up(member);
  }
}

function settle(options: HealthCheckOptions) {
  const action = "balance";
  const { check, interval = 5_000, timeout = 1_000, healthy = 2, unhealthy = 3, concurrency = 16 } = options;
  checkFunction(action, "healthCheck.check", check);
  checkDuration(action, "healthCheck.interval", interval);
  if (interval === 0) throw new RangeError(`Cannot ${action}: healthCheck.interval must be above 0 ms, got 0`);
  checkDuration(action, "healthCheck.timeout", timeout);
  checkCount(action, "healthCheck.healthy", healthy, 1);
  checkCount(action, "healthCheck.unhealthy", unhealthy, 1);
  checkCount(action, "healthCheck.concurrency", concurrency, 1, true);
  return { check, interval, timeout, healthy, unhealthy, concurrency, soon: Math.min(interval, 1_000) };
}
