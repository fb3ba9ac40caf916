// Every way a circuit can go, against a model that is too simple to be wrong.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type BegunCall, GateCalls } from "../../test/support/gate-calls.ts";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { breaker } from "./breaker.ts";
import type { OutcomeKind } from "./call.ts";

const step = 5;
const plan = {
  window: 10,
  minCalls: 3,
  failureRate: 0.5,
  timeoutRate: 0.34,
  slowCall: 2,
  slowRate: 0.5,
  consecutive: 3,
  halfOpen: { probes: 3, required: 2 },
  probeTimeout: 10,
  open: (attempt: number) => 5 * attempt,
};

/** A circuit that keeps all it has seen in lists. */
class Model {
  state: "closed" | "open" | "half-open" = "closed";
  forced: "open" | "closed" | undefined;
  log: { at: number; outcome: OutcomeKind; slow: boolean }[] = [];
  run = 0;
  epoch = 0;
  firstEpoch = 0; // since it was forced
  openings = 0;
  openUntil = 0;
  probes: { id: number; at: number; result?: boolean }[] = [];

  settle(now: number): void {
    const lost = this.probes.find((probe) => probe.result === undefined && now - probe.at >= plan.probeTimeout);
    if (this.state === "half-open" && lost) this.judge(lost, false, lost.at + plan.probeTimeout, now);
    if (this.state === "open" && now >= this.openUntil) this.go("half-open");
  }
  enter(now: number, id: number): number | undefined {
    if (this.forced) return this.forced === "closed" ? 0 : undefined;
    this.settle(now);
    if (this.state === "open" || (this.state === "half-open" && this.probes.length >= 3)) return undefined;
    if (this.state === "half-open") this.probes.push({ id, at: now });
    return this.epoch;
  }
  exit(now: number, id: number, epoch: number, outcome: OutcomeKind, slow: boolean): void {
    if (this.forced) return;
    this.settle(now);
    if (epoch !== this.epoch) return;
    const probe = this.probes.find((candidate) => candidate.id === id && candidate.result === undefined);
    if (this.state === "half-open" && probe && outcome === "ignore") this.probes.splice(this.probes.indexOf(probe), 1);
    else if (this.state === "half-open" && probe) this.judge(probe, outcome === "ok" && !slow, now, now);
    if (this.state !== "closed" || probe || outcome === "ignore") return;
    this.log = this.log.filter((entry) => now - entry.at < plan.window);
    this.run = outcome === "ok" ? 0 : (this.log.length === 0 ? 0 : this.run) + 1;
    this.log.push({ at: now, outcome, slow });
    const share = (test: (entry: (typeof this.log)[0]) => boolean) => this.log.filter(test).length / this.log.length;
    const isBad = [share((e) => e.outcome !== "ok") > 0.5, share((e) => e.outcome === "timeout") > 0.34, share((e) => e.slow) > 0.5]; // biome-ignore format: one line
    if (this.run >= 3 || (this.log.length >= 3 && isBad.includes(true))) this.open(now);
  }
  judge(probe: (typeof this.probes)[0], isGood: boolean, at: number, now: number): void {
    probe.result = isGood;
    if (this.probes.filter((p) => p.result === true).length >= 2) this.go("closed");
    else if (this.probes.filter((p) => p.result === false).length > 1) this.open(at);
    this.settle(now);
  }
  open(at: number): void {
    this.openUntil = at + plan.open(++this.openings);
    this.go("open");
  }
  go(state: "closed" | "open" | "half-open"): void {
    if (state === "closed") this.openings = 0;
    Object.assign(this, { state, log: [], run: 0, epoch: this.epoch + 1, probes: [] });
  }
  force(state: "open" | "closed" | "auto"): void {
    this.forced = state === "auto" ? undefined : state;
    this.go("closed");
    this.firstEpoch = this.epoch;
  }
}

const actions = ["ok", "fail", "timeout", "slow", "ignore", "begin", "end-ok", "end-fail", "end-ignore", "tick", "open", "closed", "auto"] as const; // biome-ignore format: one line
type Action = (typeof actions)[number];

interface Held {
  readonly id: number;
  readonly epoch: number;
  readonly begun: BegunCall;
}

/** The model and the breaker, side by side. */
class Pair {
  readonly model = new Model();
  readonly calls = new GateCalls((clock) => breaker({ ...plan, clock, random: () => 0.5 }));
  readonly held: Held[] = [];
  #ids = 0;

  /** Returns whether the action meant anything. */
  do(action: Action): boolean {
    if (action === "tick") this.calls.pass(step);
    else if (action === "open" || action === "closed" || action === "auto") this.#force(action);
    else if (action === "begin") return this.held.length < 3 && this.#begin() !== undefined;
    else if (action.startsWith("end-")) return this.#endOldest(action.slice(4) as OutcomeKind);
    else {
      const call = this.#begin();
      if (call === undefined) return true;
      this.held.pop();
      if (action === "slow") this.calls.pass(3);
      this.#end(call, action === "slow" ? "ok" : (action as OutcomeKind));
      if (action === "slow") this.calls.pass(step - 3); // the model knows no bucket that is half full
    }
    return true;
  }

  #force(state: "open" | "closed" | "auto"): void {
    this.model.force(state);
    this.calls.gate.force(state);
  }

  #begin(): Held | undefined {
    const id = this.#ids++;
    const epoch = this.model.enter(this.calls.clock.now(), id);
    let begun: BegunCall | undefined;
    try {
      begun = this.calls.begin();
    } catch {}
    if ((begun !== undefined) !== (epoch !== undefined)) throw new Error(`let in: ${begun !== undefined}`);
    if (begun === undefined || epoch === undefined) return undefined;
    const held = { id, epoch, begun };
    this.held.push(held);
    return held;
  }

  #endOldest(outcome: OutcomeKind): boolean {
    const call = this.held.shift();
    if (call !== undefined) this.#end(call, outcome);
    return call !== undefined;
  }

  #end({ id, epoch, begun }: Held, outcome: OutcomeKind): void {
    const now = this.calls.clock.now();
    this.model.exit(now, id, epoch, outcome, now - begun.call.startedAt > plan.slowCall);
    this.calls.end(begun, outcome);
  }

  check(): void {
    const { model, calls } = this;
    const now = calls.clock.now();
    if (model.forced === undefined) model.settle(now);
    const isFull = model.state === "half-open" && model.probes.length >= 3;
    const expected: (string | number | boolean)[] = [
      model.forced ?? model.state,
      (model.forced ?? model.state) === "open" || (!model.forced && isFull),
    ];
    const actual: (string | number | boolean)[] = [calls.gate.state(), calls.gate.isOpen()];
    if (model.forced === undefined && model.state === "closed") {
      const log = model.log.filter((entry) => now - entry.at < plan.window);
      const { calls: all, failures, timeouts, slow } = calls.gate.counts();
      actual.push(all, failures, timeouts, slow);
      expected.push(log.length, log.filter((entry) => entry.outcome !== "ok").length);
      expected.push(
        log.filter((entry) => entry.outcome === "timeout").length,
        log.filter((entry) => entry.slow).length,
      );
    }
    if (actual.join() !== expected.join()) throw new Error(`expected ${expected.join()}, got ${actual.join()}`);
    if (model.probes.length > 3) throw new Error("more than three probes");
  }

  /** What the future depends on, with times relative to now. */
  get fingerprint(): string {
    const { model, held } = this;
    const now = this.calls.clock.now();
    const { state, forced, run, openings } = model;
    const log = model.log.filter((entry) => now - entry.at < plan.window);
    const probes = model.probes.map((probe) => [
      held.findIndex(({ id }) => id === probe.id),
      now - probe.at,
      probe.result,
    ]);
    const epochs = held.map(({ epoch, begun }) => [
      epoch === model.epoch,
      epoch < model.firstEpoch,
      Math.min(3, now - begun.call.startedAt),
    ]);
    const left = state === "open" ? model.openUntil - now : 0;
    const past = log.map((entry) => [now - entry.at, entry.outcome, entry.slow]).sort();
    return JSON.stringify([state, forced, log.length === 0 ? 0 : run, openings, left, past, probes, epochs]);
  }
}

/** Where to begin: what takes many steps to reach is explored from there on. */
const trip = ["fail", "fail", "fail"] as const;
const roots: readonly (readonly Action[])[] = [
  [],
  [...trip, "tick"],
  ["begin", ...trip, "tick", "begin"],
  [...trip, "tick", "ok", "ok"],
  [...trip, "tick", "begin", "begin", "tick"],
];

function play(path: readonly Action[]): Pair | undefined {
  const pair = new Pair();
  let isOver = true;
  for (const action of path) isOver = pair.do(action);
  if (!isOver) return undefined;
  try {
    pair.check();
    return pair;
  } catch (cause) {
    throw new Error(`The breaker differs from its model after ${path.join(", ")}`, { cause });
  }
}

test.each(roots.map((root) => ({ root })))(
  "A breaker agrees with its model in every state eight steps from $root",
  ({ root }) => {
    const depth = Number(process.env["BREAKER_DEPTH"] ?? 8);
    const seen = new Set<string>();
    let frontier: (readonly Action[])[] = [root];
    for (let level = 0; level < depth; level++) {
      const next: Action[][] = [];
      for (const path of frontier) {
        for (const action of actions) {
          const longer = [...path, action];
          const fingerprint = play(longer)?.fingerprint;
          if (fingerprint === undefined || seen.has(fingerprint)) continue;
          seen.add(fingerprint);
          next.push(longer);
        }
      }
      frontier = next;
    }
    expect(seen.size).toBeGreaterThan(depth < 8 ? 0 : 5_000);
  },
);

test("A breaker agrees with its model on long random walks", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...actions.slice(0, 10)), { minLength: 20, maxLength: 60 }), (path) => {
      const pair = new Pair();
      for (const action of path) {
        pair.do(action);
        pair.check();
      }
    }),
    { numRuns: propertyRuns(2_000) },
  );
});
