// One service in the hands of a supervisor: its state, its context, and the calls of its start, stop and health.
import { runIn } from "./ambient.ts";
import type { Clock } from "./clock.ts";
import type { ContextNode } from "./context-node.ts";
import { derive } from "./derive.ts";
import type { Health, Service, ServiceReport, ServiceState } from "./service.ts";
import { startOrder } from "./service-graph.ts";
import { TimeoutError } from "./timeout-error.ts";
import { until } from "./until.ts";

export interface UnitObserver {
  changed(unit: ServiceUnit): void;
  crashed(unit: ServiceUnit, error: unknown): void;
}

export class ServiceUnit {
  readonly name: string;
  readonly dependencies: readonly ServiceUnit[];
  readonly dependents: ServiceUnit[] = [];
  restarts = 0;
  lastError: unknown;
  readonly #service: Service;
  readonly #clock: Clock;
  readonly #observer: UnitObserver;
  #state: ServiceState = "idle";
  #since: number;
  #life: ContextNode | undefined;
  #running = Promise.withResolvers<void>();

  constructor(
    name: string,
    service: Service,
    dependencies: readonly ServiceUnit[],
    clock: Clock,
    observer: UnitObserver,
  ) {
    this.name = name;
    this.dependencies = dependencies;
    this.#service = service;
    this.#clock = clock;
    this.#observer = observer;
    this.#since = clock.wall();
    for (const dependency of dependencies) dependency.dependents.push(this);
  }

  get state(): ServiceState {
    return this.#state;
  }

  /** Resolves when it is running, at once or later. */
  get running(): Promise<void> {
    return this.#running.promise;
  }

  /** Rejects, with the state `failed`, when the service fails to start, takes too long or is told to `abort`. */
  async start(parent: ContextNode, timeout: number): Promise<void> {
    this.#change("starting");
    const life = derive({ parent, clock: this.#clock });
    this.#life = life;
    const control = { fail: (error: unknown) => this.#fail(life, error) };
    const timer = this.#clock.setTimeout(() => life.cancel(this.#startTimeout(timeout)), timeout);
    const started = runIn(life, async () => void (await this.#service.start(life, control)), undefined);
    try {
      await until(life, started);
      this.#change("running");
    } catch (error) {
      this.#life = undefined;
      this.lastError = error;
      this.#change("failed");
      life.cancel(error);
      // Given up too early to know what it holds: if it gets there after all, it is stopped.
      started
        .then(
          () => this.#service.stop?.(life),
          () => {},
        )
        .catch(() => {});
      throw error;
    } finally {
      timer.clear();
    }
  }

  /** Makes a start that is under way fail. */
  abort(cause: unknown): void {
    if (this.#state === "starting") this.#life?.cancel(cause);
  }

  /** Stops it if it runs or has crashed. Rejects if its `stop` does, or when the context ends first. */
  async stop(context: ContextNode, next: "stopped" | "waiting" = "stopped"): Promise<void> {
    const life = this.#life;
    if (life === undefined) return; // it never ran, or was stopped after its crash
    this.#life = undefined; // from here on it cannot crash
    if (next === "stopped") this.#change("stopping");
    try {
      await until(
        context,
        runIn(context, async () => void (await this.#service.stop?.(context)), undefined),
      );
    } catch (error) {
      this.lastError = error;
      throw error;
    } finally {
      life.cancel();
      if (!context.cancelled) this.#change(next);
    }
  }

  /** Will be started again, if it does not run. */
  wait(): void {
    if (this.#state !== "running" && this.#state !== "waiting") this.#change("waiting");
  }

  /** Will not be started again. A start that was given up because of `cause` has not failed, it was stopped. */
  end(cause: unknown): void {
    const wasAborted = this.#state === "failed" && this.lastError === cause;
    if (wasAborted) this.lastError = undefined;
    if (wasAborted || this.#state === "idle" || this.#state === "waiting") this.#change("stopped");
  }

  async health(context: ContextNode): Promise<Health> {
    if (this.#state !== "running" || this.#service.health === undefined) return { status: "unknown" };
    try {
      const check = runIn(context, async () => await this.#service.health?.(context), undefined);
      return { status: "healthy", detail: await until(context, check) };
    } catch (error) {
      return { status: "unhealthy", error };
    }
  }

  report(health: Health): ServiceReport {
    const { name, restarts, lastError } = this;
    return { name, state: this.#state, since: this.#since, restarts, lastError, health };
  }

  #fail(life: ContextNode, error: unknown): void {
    if (life !== this.#life) return; // an earlier life, or it has stopped
    if (this.#state === "starting") {
      life.cancel(error);
    } else if (this.#state === "running") {
      this.lastError = error;
      this.#change("waiting");
      this.#observer.crashed(this, error);
    }
  }

  #change(state: ServiceState): void {
    if (this.#state === "running") this.#running = Promise.withResolvers();
    this.#state = state;
    this.#since = this.#clock.wall();
    if (state === "running") this.#running.resolve();
    this.#observer.changed(this);
  }

  #startTimeout(timeout: number): TimeoutError {
    return new TimeoutError(`Cannot start ${this.name}: it was not ready within ${timeout} ms`, timeout);
  }
}

/** The units of services, each after those that it depends on. */
export function makeUnits(
  services: Readonly<Record<string, Service>>,
  clock: Clock,
  observer: UnitObserver,
): ServiceUnit[] {
  const units = new Map<string, ServiceUnit>();
  for (const name of startOrder(services)) {
    const service = services[name];
    if (service === undefined) continue; // never: the order is one of these names
    const dependencies = (service.dependsOn ?? []).flatMap((dependency) => units.get(dependency) ?? []);
    units.set(name, new ServiceUnit(name, service, dependencies, clock, observer));
  }
  return [...units.values()];
}

/** Starts units as soon as those they depend on, among these, are running. Resolves when all have started or failed. */
export async function startInOrder(
  units: readonly ServiceUnit[],
  start: (unit: ServiceUnit) => Promise<void>,
): Promise<void> {
  const gates = new Map<ServiceUnit, PromiseWithResolvers<void>>();

  /** The gate is a promise of its own: a second one who waits for this one would end the stack of an error here. */
  async function startBehind(unit: ServiceUnit, gate: PromiseWithResolvers<void>): Promise<void> {
    gate.promise.catch(() => {});
    try {
      await Promise.all(unit.dependencies.flatMap((dependency) => gates.get(dependency)?.promise ?? []));
      await start(unit);
      gate.resolve();
    } catch (error) {
      gate.reject(error);
      throw error;
    }
  }

  const starts = units.map((unit) => {
    const gate = Promise.withResolvers<void>();
    gates.set(unit, gate);
    return startBehind(unit, gate).catch(() => {});
  });
  await Promise.all(starts);
}

/** Stops units as soon as those that depend on them have stopped. Returns what went wrong. */
export async function stopInOrder(
  units: readonly ServiceUnit[],
  stop: (unit: ServiceUnit) => Promise<void>,
): Promise<unknown[]> {
  const errors: unknown[] = [];
  const gates = new Map<ServiceUnit, PromiseWithResolvers<void>>();

  async function stopBehind(unit: ServiceUnit, gate: PromiseWithResolvers<void>): Promise<void> {
    try {
      await Promise.all(unit.dependents.flatMap((dependent) => gates.get(dependent)?.promise ?? []));
      await stop(unit);
    } catch (error) {
      errors.push(error);
    } finally {
      gate.resolve();
    }
  }

  const stops = units.toReversed().map((unit) => {
    const gate = Promise.withResolvers<void>();
    gates.set(unit, gate);
    return stopBehind(unit, gate);
  });
  await Promise.all(stops);
  return errors;
}
