// What can be done at a time of a scenario.
import { checkCount, checkFunction, checkOneOf } from "@proj/concurrency/options";
import type { DownToxic } from "./chaos-toxic.ts";

/** Makes things worse, makes them right again, or neither. */
export type ScenarioActionKind = "fault" | "heal" | "note";

/** Something to do at a time of a scenario. */
export interface ScenarioAction {
  /** Decides when a scenario counts as broken and as healed. */
  readonly kind: ScenarioActionKind;
  /** As in reports. */
  readonly label: string;
  /**
   * Does it; a `heal` has happened once this has resolved. If it gives back something disposable, that is disposed by the
   * next `heal()` without targets, at the latest when the scenario ends.
   */
  run(stage: ScenarioStage): unknown;
}

/** The running scenario, for its actions. */
export interface ScenarioStage {
  /** Undoes what the actions so far have given back, the last one first. */
  undoAll(): Promise<void>;
}

/** Whatever faults can be added to: a proxy, the policy made by `chaos`, `httpFaults`, `lookupFaults`. */
export interface FaultTarget<F> {
  /** For labels. */
  readonly name?: string | undefined;
  /** Adds a fault; disposing the result takes it away. */
  add(fault: F): Disposable;
}

/** Whatever can be healed. */
export interface HealTarget {
  /** For labels. */
  readonly name?: string | undefined;
  /** Takes all faults away. */
  clear(): void;
  /** Resolves when that has come to pass. */
  ready?(): Promise<void>;
}

/**
 * An action: adds faults to a target.
 *
 * @example
 * ```ts
 * import { chaos, inject, latency } from "@proj/resilience/chaos";
 *
 * const network = chaos([], { name: "network" });
 * console.log(inject(network, latency({ ms: 100 })).label); // prints: latency for network
 * ```
 */
export function inject<
  F extends { readonly name?: string | undefined; readonly type?: string; readonly kind?: string },
>(target: FaultTarget<F>, ...faults: readonly F[]): ScenarioAction {
  const labels = faults.map(({ name, type, kind }) => name ?? type ?? kind).join(", ");
  return act("fault", `${labels} for ${target.name ?? "target"}`, () => {
    using added = new DisposableStack(); // one that is refused takes the earlier ones along
    for (const fault of faults) added.use(target.add(fault));
    return added.move();
  });
}

/**
 * An action: a proxy refuses connections and resets those that are open.
 *
 * @example
 * ```ts
 * import { down, tcpProxy } from "@proj/resilience/chaos";
 *
 * await using db = await tcpProxy({ upstream: "localhost:5432", name: "db" });
 * console.log(down(db).label); // prints: down for db
 * ```
 */
export function down(proxy: FaultTarget<DownToxic>): ScenarioAction {
  return inject(proxy, { type: "down" });
}

/**
 * An action: takes all faults away from these targets; without a target, undoes what the scenario itself has done so far.
 *
 * @example
 * ```ts
 * import { heal } from "@proj/resilience/chaos";
 *
 * console.log(heal().label); // prints: heal
 * ```
 */
export function heal(...targets: readonly HealTarget[]): ScenarioAction {
  if (targets.length === 0) return act("heal", "heal", async (stage) => await stage.undoAll());
  return act("heal", `heal ${targets.map(({ name = "target" }) => name).join(", ")}`, async () => {
    for (const target of targets) target.clear();
    for (const target of targets) await target.ready?.();
  });
}

/**
 * An action of your own. What it gives back is disposed, if it can be, by a later `heal()`, at the latest when the scenario ends.
 *
 * @throws TypeError for a kind that there is not, or what is no function
 * @example
 * ```ts
 * import { act, pressure } from "@proj/resilience/chaos";
 *
 * const squeeze = act("fault", "cpu pressure", () => pressure.cpu({ threads: 1, load: 0.5 }));
 * console.log(squeeze.kind, squeeze.label); // prints: fault cpu pressure
 * ```
 */
export function act(kind: ScenarioActionKind, label: string, run: (stage: ScenarioStage) => unknown): ScenarioAction {
  checkOneOf("make a scenario action", "kind", kind, ["fault", "heal", "note"]);
  checkFunction("make a scenario action", "run", run);
  return { kind, label, run };
}

/**
 * An action: stops a process as a long pause for garbage collection would, or a machine that hangs: its connections stay
 * open, and nothing in it goes on. `heal()` lets it go on. Needs a system with signals, so not Windows.
 *
 * @throws RangeError or TypeError for this process itself, and for what is no process
 * @example
 * ```ts
 * import { freeze } from "@proj/resilience/chaos";
 *
 * console.log(freeze({ pid: 4242 }).label); // prints: freeze process 4242
 * ```
 */
export function freeze(target: { readonly pid?: number | undefined }): ScenarioAction {
  const { pid } = target;
  if (pid !== undefined) checkCount("freeze a process", "pid", pid, 1); // others are groups of processes
  if (pid === process.pid) throw new RangeError("Cannot freeze a process: this one could not let itself go on");
  return act("fault", `freeze process ${pid}`, () => {
    if (pid === undefined) throw new TypeError("Cannot freeze a process: it has no pid, it may not have started");
    process.kill(pid, "SIGSTOP");
    return {
      [Symbol.dispose]() {
        try {
          process.kill(pid, "SIGCONT");
        } catch {
          // It has ended meanwhile.
        }
      },
    };
  });
}
