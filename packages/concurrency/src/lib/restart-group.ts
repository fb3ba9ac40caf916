// Units that are started again together: each alone (one-for-one), or all of them (one-for-all).
import type { Clock } from "./clock.ts";
import type { ContextNode } from "./context-node.ts";
import { derive } from "./derive.ts";
import { type ServiceUnit, startInOrder, stopInOrder } from "./service-unit.ts";
import { sleep, until } from "./until.ts";

export interface RestartPlan {
  readonly clock: Clock;
  /** The parent of all services' contexts. */
  readonly lives: ContextNode;
  /** Ends when the supervisor stops. */
  readonly closing: ContextNode;
  readonly startTimeout: number;
  readonly stopTimeout: number;
  /** After so many milliseconds without a crash, the next one counts as the first again. */
  readonly period: number;
  backoff(attempt: number): number;
  /** Counts a restart. When there were too many, has the supervisor stop and returns false. */
  admit(unit: ServiceUnit): boolean;
  scheduled(unit: ServiceUnit, delayMs: number): void;
}

export class RestartGroup {
  readonly #units: readonly ServiceUnit[];
  readonly #plan: RestartPlan;
  #recovery: Promise<void> | undefined;
  #attempt = 0;
  #recoveredAt = Number.NEGATIVE_INFINITY;

  constructor(units: readonly ServiceUnit[], plan: RestartPlan) {
    this.#units = units;
    this.#plan = plan;
  }

  /** Settles when no restart is under way. */
  get settled(): Promise<void> {
    return this.#recovery ?? Promise.resolve();
  }

  /** One of the units has crashed. A restart that is under way will notice by itself. */
  recover(): void {
    if (this.#recovery !== undefined) return;
    if (this.#plan.clock.now() - this.#recoveredAt > this.#plan.period) this.#attempt = 0;
    this.#recovery = this.#restart()
      .catch(() => {}) // the supervisor stops: nothing is left to do
      .finally(() => {
        this.#recovery = undefined;
        this.#recoveredAt = this.#plan.clock.now();
      });
  }

  async #restart(): Promise<void> {
    const { clock, closing, stopTimeout } = this.#plan;
    for (let crashed = this.#crashed(); crashed !== undefined; crashed = this.#crashed()) {
      if (!this.#plan.admit(crashed)) return;
      const delayMs = this.#plan.backoff(++this.#attempt);
      this.#plan.scheduled(crashed, delayMs);
      using limit = derive({ clock, parent: this.#plan.lives, timeout: stopTimeout });
      await stopInOrder(this.#units, (unit) => unit.stop(limit, "waiting")); // a failure stays as its lastError
      for (const unit of this.#units) unit.wait();
      await sleep(closing, clock, delayMs);
      await startInOrder(this.#units, (unit) => this.#start(unit));
    }
  }

  #crashed(): ServiceUnit | undefined {
    if (this.#plan.closing.cancelled) return undefined;
    return this.#units.find((unit) => unit.state !== "running");
  }

  async #start(unit: ServiceUnit): Promise<void> {
    const { closing, lives, startTimeout } = this.#plan;
    const missing = () => unit.dependencies.find(({ state }) => state !== "running");
    // One after the other, from the start each time: while one comes back another may crash.
    for (let away = missing(); away !== undefined; away = missing()) await until(closing, away.running);
    closing.throwIfCancelled();
    unit.restarts++;
    await unit.start(lives, startTimeout);
  }
}
