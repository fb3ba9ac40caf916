// Scopes against a naive model, in random schedules.
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Context, suppressed, TaskScope } from "../index.ts";

type Join = "all" | "any" | "settled" | "race";

interface ModelTask {
  state: "waiting" | "running" | "done";
  result?: PromiseSettledResult<number>;
}

/** Holds arrays and looks through all of them each time. Every task obeys at once. */
class Model {
  readonly tasks: ModelTask[] = [];
  readonly join: Join;
  readonly limit: number;
  cause: unknown;
  failure: unknown;
  winner: number | undefined;
  readonly suppressed: unknown[] = [];

  constructor(join: Join, limit: number) {
    this.join = join;
    this.limit = limit;
  }

  spawn(): void {
    this.tasks.push({ state: this.cause === undefined ? "waiting" : "done" });
    if (this.cause !== undefined) this.#reject(this.tasks.length - 1, this.cause);
    this.#start();
  }

  running(): number[] {
    return [...this.tasks.keys()].filter((index) => this.tasks[index]?.state === "running");
  }

  settle(index: number, error?: unknown): void {
    const task = this.#task(index);
    task.state = "done";
    if (error !== undefined) {
      this.#reject(index, error);
    } else {
      task.result = { status: "fulfilled", value: index };
      if ((this.join === "any" || this.join === "race") && this.failure === undefined && this.winner === undefined) {
        this.winner = index;
        this.cancel("won");
      }
    }
    this.#start();
  }

  cancel(cause: unknown): void {
    if (this.cause !== undefined) return;
    this.cause = cause;
    for (const [index, task] of this.tasks.entries()) {
      if (task.state === "done") continue;
      task.state = "done";
      this.#reject(index, cause);
    }
  }

  #reject(index: number, error: unknown): void {
    this.#task(index).result = { status: "rejected", reason: error };
    if (this.join === "settled" || this.join === "any" || this.winner !== undefined) return;
    if (this.failure === undefined) {
      this.failure = error;
      this.cancel(error);
    } else if (error !== this.cause) {
      this.suppressed.push(error);
    }
  }

  #start(): void {
    for (const task of this.tasks) {
      if (this.running().length < this.limit && task.state === "waiting") task.state = "running";
    }
  }

  #task(index: number): ModelTask {
    return this.tasks[index] as ModelTask; // every caller has the index of one
  }
}

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("spawn" as const) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("succeed" as const), at: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("fail" as const), at: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const) }) },
);

test("a scope agrees with a naive model in any schedule", async () => {
  const join = fc.constantFrom<Join[]>("all", "any", "settled", "race");
  const limit = fc.constantFrom(1, 2, Number.POSITIVE_INFINITY);
  await fc.assert(
    fc.asyncProperty(join, limit, fc.array(step, { maxLength: 30 }), async (join, limit, steps) => {
      const model = new Model(join, limit);
      const s = new TaskScope<number, Join>({ join, limit });
      const controls = new Map<number, PromiseWithResolvers<number>>();
      const results: Promise<PromiseSettledResult<number>>[] = [];

      for (const action of steps) {
        const running = model.running();
        const index = "at" in action ? running[action.at % Math.max(1, running.length)] : undefined;
        if (action.kind === "spawn") {
          const index = results.length;
          const task = (context: Context): Promise<number> => {
            const control = Promise.withResolvers<number>();
            controls.set(index, control);
            Context.after(context, control.reject);
            return control.promise;
          };
          results.push(Promise.allSettled([s.spawn(task)]).then(([result]) => result));
          model.spawn();
        } else if (action.kind === "cancel") {
          s.cancel("cancelled");
          model.cancel("cancelled");
        } else if (index !== undefined) {
          const failure = action.kind === "fail" ? new Error(`task ${index}`) : undefined;
          if (failure === undefined) controls.get(index)?.resolve(index);
          else controls.get(index)?.reject(failure);
          model.settle(index, failure);
        }
        await settled();
        expect(s.active).toBe(model.tasks.filter((task) => task.state !== "done").length);
        expect([...controls.keys()].length).toBeLessThanOrEqual(results.length);
      }

      for (let [index] = model.running(); index !== undefined; [index] = model.running()) {
        controls.get(index)?.resolve(index);
        model.settle(index);
        await settled();
      }
      s.cancel("end");
      model.cancel("end");
      await settled();
      expect(s.active).toBe(0);
      const [outcome] = await Promise.allSettled([s.join()]);
      if (model.winner !== undefined) expect(outcome).toEqual({ status: "fulfilled", value: model.winner });
      else if (model.failure !== undefined) expect(outcome).toMatchObject({ reason: model.failure });
      else if (join === "any" || join === "race") expect(outcome).toMatchObject({ reason: model.cause });
      expect(suppressed(model.failure)).toEqual(model.suppressed);
      expect((await Promise.all(results)).map(({ status }) => status)).toEqual(
        model.tasks.map((task) => task.result?.status),
      );
    }),
    { numRuns: propertyRuns(3_000) },
  );
});

/** Longer than any chain of microtasks here. */
async function settled(): Promise<void> {
  for (let step = 0; step < 20; step++) await Promise.resolve();
}
