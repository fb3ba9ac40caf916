// Starts services in the order of their dependencies, restarts what crashes, and stops it all in reverse.
import { currentNode } from "./ambient.ts";
import { CancelledError } from "./cancelled-error.ts";
import { Context } from "./context.ts";
import type { ContextNode } from "./context-node.ts";
import { contextFor, derive, detach } from "./derive.ts";
import { register } from "./registry.ts";
import { type ServiceEvent, serviceEvents } from "./registry-events.ts";
import { RestartGroup, type RestartPlan } from "./restart-group.ts";
import type { Service, ServiceReport, SupervisorEvent, SupervisorReport } from "./service.ts";
import { makeUnits, type ServiceUnit, startInOrder, stopInOrder } from "./service-unit.ts";
import { onShutdownSignal, type ProcessPort } from "./shutdown-signals.ts";
import { RestartLimitError, StopTimeoutError } from "./supervisor-errors.ts";
import { readSettings, type Settings, type SupervisorOptions } from "./supervisor-options.ts";
import { until } from "./until.ts";

/** What can be set on {@link Supervisor.run}. */
export interface RunOptions {
  /** Stops the services when it ends. Default: the current context. */
  readonly signal?: AbortSignal | Context | undefined;
}

/**
 * Runs the services of a process.
 *
 * **Start**: each service as soon as those it depends on are ready, side by side where possible. If one fails, those
 * that have started are stopped again, and the failure is what `run` and `start` reject with, untouched. **Restart**: a
 * service that calls `fail` is stopped, and started again after a growing delay, as often as `intensity` allows. **Stop**:
 * the other way round, each as soon as those that need it have stopped, all within `stopTimeout`.
 *
 * @example
 * ```ts
 * import { createServer, type Server } from "node:http";
 * import { once } from "node:events";
 * import { Supervisor } from "@proj/concurrency";
 *
 * let server: Server;
 * const supervisor = new Supervisor({
 *   store: { start: async () => {} },
 *   http: {
 *     dependsOn: ["store"],
 *     async start(_context, { fail }) {
 *       server = createServer((_request, response) => response.end("ok")).on("error", fail);
 *       await once(server.listen(0), "listening");
 *     },
 *     async stop() {
 *       await once(server.close(), "close");
 *     },
 *   },
 * });
 *
 * setTimeout(() => process.kill(process.pid, "SIGTERM"), 50);
 * await supervisor.run(); // until SIGTERM, SIGINT or stop()
 * console.log((await supervisor.report()).services.map(({ name, state }) => `${name} ${state}`)); // prints: [ 'store stopped', 'http stopped' ]
 * ```
 */
export class Supervisor<Name extends string> implements AsyncDisposable {
  readonly #name: string;
  readonly #units: readonly ServiceUnit[];
  readonly #settings: Settings;
  readonly #port: ProcessPort;
  readonly #signals: readonly NodeJS.Signals[];
  readonly #onEvent: ((event: SupervisorEvent<Name>) => void) | undefined;
  /** Ends when everything has to stop. */
  readonly #closing: ContextNode;
  readonly #ended = Promise.withResolvers<void>();
  #groups: ReadonlyMap<ServiceUnit, RestartGroup> = new Map();
  /** When the latest restarts were. */
  #restarts: number[] = [];
  #failure: { readonly error: unknown } | undefined;
  #launch: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #isStarted = false;

  /** @throws TypeError or RangeError for a bad option, an unknown name in `dependsOn`, and services that wait for each other */
  constructor(services: { readonly [N in Name]: Service<NoInfer<Name>> }, options: SupervisorOptions<Name> = {}) {
    this.#name = options.name ?? "supervisor";
    this.#settings = readSettings(options);
    this.#port = options.process ?? process;
    this.#signals = options.signals ?? ["SIGTERM", "SIGINT"];
    this.#onEvent = options.onEvent;
    this.#units = makeUnits(services, this.#settings.clock, {
      changed: ({ name, state }) => this.#tell({ kind: "service-changed", name: name as Name, state }),
      crashed: (unit, error) => this.#recover(unit, error),
    });
    this.#closing = derive({ parent: detach(currentNode(), this.#settings.clock) });
    this.#ended.promise.catch(() => {}); // whoever calls run() sees it
    if (options.name !== undefined) {
      register("supervisor", options.name, this as Supervisor<Name>, (supervisor) => ({
        ready: supervisor.ready,
        services: Object.fromEntries(supervisor.#units.map(({ name, state }) => [name, state])),
      }));
    }
  }

  /** Whether every service is running. */
  get ready(): boolean {
    return this.#units.every((unit) => unit.state === "running");
  }

  /**
   * Starts all services and resolves when they have been stopped: by SIGTERM or SIGINT, by `stop`, or by the end of the
   * current context. A second signal ends the process at once, with exit code 143 or 130. Keeps the process alive.
   *
   * @throws what a service failed to start with · RestartLimitError when services crash too often · StopTimeoutError ·
   * what the `stop` of a service threw, as an AggregateError if there were several
   */
  async run(options: RunOptions = {}): Promise<void> {
    const context = contextFor("run a Supervisor", options.signal);
    const stop = (): void => void this.stop().catch(() => {}); // #ended tells
    using _signals = onShutdownSignal(this.#port, this.#signals, (signal) => {
      this.#tell({ kind: "signal-received", signal });
      stop();
    });
    using _end = Context.after(context, stop);
    const alive = this.#settings.clock.setTimeout(() => {}, Number.MAX_SAFE_INTEGER);
    alive.ref();
    try {
      await this.start().catch((error: unknown) => {
        if (error !== this.#closing.cause) throw error; // else it was told to stop while it started
      });
      await this.#ended.promise;
    } finally {
      alive.clear();
    }
  }

  /**
   * Starts all services; resolves when all are ready, or rejects when the failure of one has been cleaned up. Listens to
   * no signal.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Stops all services; resolves when they have. Whatever goes wrong is told when all is done that can be done. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** The same as {@link Supervisor.stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Tells the state of every service, and asks those that run for their health. Never rejects. */
  async report(): Promise<SupervisorReport<Name>> {
    const { clock, healthTimeout } = this.#settings;
    using limit = derive({ parent: detach(currentNode(), clock), timeout: healthTimeout });
    const services = await Promise.all(this.#units.map(async (unit) => unit.report(await unit.health(limit))));
    // The names are the keys of the services that this was made of.
    return { ready: this.ready, services: services as ServiceReport<Name>[] };
  }

  async #start(): Promise<void> {
    this.#closing.throwIfCancelled();
    const lives = detach(currentNode(), this.#settings.clock);
    this.#groups = this.#makeGroups(lives);
    this.#launch = startInOrder(this.#units, (unit) => {
      if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
      return unit.start(lives, this.#settings.startTimeout).catch((error: unknown) => {
        this.#fail(error);
        throw error;
      });
    });
    await this.#launch;
    if (this.#failure === undefined) {
      this.#isStarted = true;
      return;
    }
    const { error } = this.#failure;
    await this.stop().catch(() => {}); // the first failure counts
    throw error;
  }

  /** While services start, one failure is enough to give up the others. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const unit of this.#units) unit.abort(error);
  }

  #recover(unit: ServiceUnit, error: unknown): void {
    this.#tell({ kind: "service-crashed", name: unit.name as Name, error });
    if (!this.#isStarted) {
      this.#fail(error);
    } else if (!this.#closing.cancelled) {
      this.#groups.get(unit)?.recover();
    }
  }

  async #stop(): Promise<void> {
    const { clock, stopTimeout } = this.#settings;
    this.#closing.cancel(new CancelledError("The supervisor was told to stop"));
    const { cause } = this.#closing;
    const failure = this.#failure;
    this.#fail(cause); // whatever starts now
    using limit = derive({ parent: detach(currentNode(), clock), timeout: stopTimeout });
    const settled = Promise.all([this.#launch, ...this.#groups.values().map((group) => group.settled)]);
    await until(limit, settled).catch(() => {}); // out of time: the stops below find that out one by one
    const errors = (await stopInOrder(this.#units, (unit) => unit.stop(limit))).filter((e) => e !== limit.cause);
    const stuck = this.#units.filter(({ state }) => state === "stopping" || state === "starting");
    if (stuck.length > 0) {
      errors.push(
        new StopTimeoutError(
          stuck.map(({ name }) => name),
          stopTimeout,
        ),
      );
    }
    for (const unit of this.#units) unit.end(cause);
    const error = errors.length > 1 ? new AggregateError(errors, "Cannot stop all services") : errors[0];
    if (failure !== undefined) this.#ended.reject(failure.error);
    else if (errors.length > 0) this.#ended.reject(error);
    else this.#ended.resolve();
    if (errors.length > 0) throw error;
  }

  #makeGroups(lives: ContextNode): Map<ServiceUnit, RestartGroup> {
    const plan: RestartPlan = {
      ...this.#settings,
      lives,
      closing: this.#closing,
      admit: (unit) => this.#admit(unit),
      scheduled: ({ name }, delayMs) => this.#tell({ kind: "restart-scheduled", name: name as Name, delayMs }),
    };
    const all = this.#settings.strategy === "one-for-all" ? new RestartGroup(this.#units, plan) : undefined;
    return new Map(this.#units.map((unit) => [unit, all ?? new RestartGroup([unit], plan)]));
  }

  #admit(unit: ServiceUnit): boolean {
    const { clock, restarts, period } = this.#settings;
    const now = clock.now();
    this.#restarts = this.#restarts.filter((time) => time > now - period);
    this.#restarts.push(now);
    if (this.#restarts.length <= restarts) return true;
    this.#failure = { error: new RestartLimitError(unit.name, restarts, period, unit.lastError) };
    this.stop().catch(() => {}); // #ended tells
    return false;
  }

  #tell(event: SupervisorEvent<Name>): void {
    if (serviceEvents.hasSubscribers) {
      serviceEvents.publish({ ...event, supervisor: this.#name } satisfies ServiceEvent);
    }
    try {
      this.#onEvent?.(event);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
}
