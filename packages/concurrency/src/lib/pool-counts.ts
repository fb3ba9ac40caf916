// What a pool has done so far: in numbers, and told to whoever listens.
import type { PoolStats } from "./pool.ts";
import { type PoolEvent, poolEvents } from "./registry-events.ts";

type Totals = Pick<PoolStats, "created" | "destroyed" | "createErrors" | "destroyErrors" | "invalid" | "timeouts">;

export class PoolCounts {
  lastError: unknown;
  timeouts = 0;
  readonly #name: string;
  #created = 0;
  #destroyed = 0;
  #createErrors = 0;
  #destroyErrors = 0;
  #invalid = 0;

  constructor(name: string) {
    this.#name = name;
  }

  get totals(): Totals {
    return {
      created: this.#created,
      destroyed: this.#destroyed,
      createErrors: this.#createErrors,
      destroyErrors: this.#destroyErrors,
      invalid: this.#invalid,
      timeouts: this.timeouts,
    };
  }

  onCreated(tookMs: number, size: number): void {
    this.#created++;
    if (poolEvents.hasSubscribers) tell({ kind: "resource-created", name: this.#name, tookMs, size });
  }

  onCreateFailed(error: unknown, tookMs: number, failures: number): void {
    this.#createErrors++;
    this.lastError = error;
    if (poolEvents.hasSubscribers) tell({ kind: "create-failed", name: this.#name, error, tookMs, failures });
  }

  onInvalid(): void {
    this.#invalid++;
  }

  onCheckFailed(error: unknown): void {
    this.#invalid++;
    this.lastError = error;
  }

  onDestroyed(size: number): void {
    this.#destroyed++;
    this.#tellDestroyed(size, undefined);
  }

  onDestroyFailed(error: unknown, size: number): void {
    this.#destroyErrors++;
    this.lastError = error;
    this.#tellDestroyed(size, error);
  }

  #tellDestroyed(size: number, error: unknown): void {
    if (poolEvents.hasSubscribers) tell({ kind: "resource-destroyed", name: this.#name, size, error });
  }
}

function tell(event: PoolEvent): void {
  poolEvents.publish(event);
}
