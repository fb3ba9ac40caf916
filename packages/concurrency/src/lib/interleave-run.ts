// One run of programs in one order of their steps.
import type { InterleavingProgram } from "./interleave.ts";
import type { Decide } from "./interleave-schedule.ts";
import type { TestClock } from "./test-clock.ts";

/** What a run needs to know. */
export interface RunPlan {
  readonly clock: TestClock;
  readonly decide: Decide;
  readonly preemptions: number;
  readonly microtasks: number;
  readonly check: () => void;
}

/** Steps after which a run is taken for one that never ends. */
const mostSteps = 1_000;

/** Turns to wait for programs that none can be told to go on, before they are taken for stuck. */
const mostTurns = 50;

/** Taken at import: a test runner's fake timers must not stop it. */
const { setImmediate } = globalThis;

export class InterleavingRun<Subject> {
  /** What was decided, where there was a choice. */
  readonly decisions: number[] = [];
  readonly steps: string[] = [];
  readonly #players: readonly Player[];
  readonly #plan: RunPlan;
  #preemptions: number;
  #last = -1;

  constructor(plan: RunPlan, programs: Readonly<Record<string, InterleavingProgram<Subject>>>, subject: Subject) {
    this.#plan = plan;
    this.#preemptions = plan.preemptions;
    this.#players = Object.entries(programs).map(([name, program]) => {
      const player = new Player(name);
      void player.play(async () => await program(subject, (label = "step") => player.park(label)));
      return player;
    });
  }

  /** Runs all programs to their end. Rejects with what one of them or the check throws, or if they do not end. */
  async toEnd(): Promise<void> {
    const { clock, check } = this.#plan;
    await turn();
    let isQuiet = true;
    for (let idle = 0; this.#players.some(({ isDone }) => !isDone); ) {
      const failed = this.#players.find(({ failure }) => failure !== undefined);
      if (failed?.failure !== undefined) throw failed.failure.error;
      check();
      if (this.steps.length >= mostSteps) throw new Error(`The programs have not ended after ${mostSteps} steps`);
      const ready = this.#ready();
      const names = ready.map(({ name }) => name);
      // A timer calls back when everything else has come to rest, as on the platform.
      if (isQuiet && clock.timers > 0) names.push("time");
      if (names.length === 0) {
        if (isQuiet && ++idle > mostTurns) throw new Error(`Nobody can go on: ${this.#stuck()}`);
        await turn();
        isQuiet = true;
        continue;
      }
      idle = 0;
      const player = ready[this.#decide(names.length, names)];
      const wasQuiet = isQuiet;
      if (player === undefined) {
        clock.advanceToNext();
        this.steps.push(`time: ${clock.now()} ms`);
      } else {
        this.#last = this.#players.indexOf(player);
        this.steps.push(`${player.name}: ${player.resume()}${wasQuiet ? "" : " (at once)"}`);
      }
      // Interrupting at the first of the microtasks means not even waiting for one.
      const interruption = this.#decideInterruption();
      for (let passed = 1; passed < interruption; passed++) await Promise.resolve();
      isQuiet = interruption === 0 || this.#ready().length === 0;
      if (isQuiet) await turn();
      else this.#preemptions--;
    }
    const failed = this.#players.find(({ failure }) => failure !== undefined);
    if (failed?.failure !== undefined) throw failed.failure.error;
    check();
  }

  /** 0 to let everything come to rest, else the microtask at which to go on before that. */
  #decideInterruption(): number {
    return this.#preemptions > 0 && this.#ready().length > 0 ? this.#decide(this.#plan.microtasks + 1) : 0;
  }

  /** Who can be told to go on: in turn, beginning behind the one who was last. */
  #ready(): Player[] {
    const all = this.#players;
    const rotated = all.map((_, index) => all[(this.#last + 1 + index) % all.length] as Player); // within its bounds
    return rotated.filter(({ isParked }) => isParked);
  }

  #decide(count: number, names?: readonly string[]): number {
    if (count === 1) return 0;
    const decision = this.#plan.decide(count, names);
    this.decisions.push(decision);
    return decision;
  }

  #stuck(): string {
    return this.#players
      .filter(({ isDone }) => !isDone)
      .map(({ name, label }) => `${name} waits after "${label}"`)
      .join(", ");
  }
}

/** One program: parked at a step, going on, or done. */
class Player {
  readonly name: string;
  label = "start";
  isDone = false;
  failure: { readonly error: unknown } | undefined;
  #resume: (() => void) | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get isParked(): boolean {
    return this.#resume !== undefined;
  }

  async play(program: () => Promise<unknown>): Promise<void> {
    try {
      await this.park("start");
      await program();
    } catch (error) {
      this.failure = { error };
    }
    this.isDone = true;
  }

  park(label: string): Promise<void> {
    if (this.isParked) throw new Error(`Cannot wait at "${label}": ${this.name} already waits at "${this.label}"`);
    this.label = label;
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  /** Returns the step from which it goes on. */
  resume(): string {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
    return this.label;
  }
}

/** Resolves when no microtask is left. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
