// The tree against a model that tells everybody at once and keeps no laziness.
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { Context, type OwnedContext } from "../index.ts";
import { TestClock } from "../testing.ts";

interface Model {
  readonly parent: Model | undefined;
  readonly deadline: number;
  readonly source: { reason: unknown };
  cause: unknown;
}

const operation = fc.oneof(
  fc.record({
    kind: fc.constant("derive" as const),
    at: fc.nat(30),
    timeout: fc.option(fc.nat(50)),
    own: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("cancel" as const), at: fc.nat(30) }),
  fc.record({ kind: fc.constant("abort" as const), at: fc.nat(30) }),
  fc.record({ kind: fc.constant("watch" as const), at: fc.nat(30) }),
  fc.record({ kind: fc.constant("unwatch" as const), at: fc.nat(30) }),
  fc.record({ kind: fc.constant("signal" as const), at: fc.nat(30) }),
  fc.record({ kind: fc.constant("tick" as const), at: fc.nat(30) }),
);

class Time extends TestClock {
  at = 0;
  override now(): number {
    return this.at;
  }
}

test("a tree of contexts agrees with a naive model in any schedule", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const clock = new Time();
      const models: Model[] = [];
      const contexts: OwnedContext[] = [];
      const controllers: AbortController[] = [];
      const watchers: { told: number; registration: Disposable; model: Model }[] = [];

      function end(model: Model, cause: unknown): void {
        if (model.cause !== undefined) return;
        model.cause = cause;
        for (const below of models) if (below.parent === model) end(below, cause);
      }

      for (const step of operations) {
        const index = models.length === 0 ? -1 : step.at % models.length;
        const model = models[index];
        const context = contexts[index];
        if (step.kind === "derive") {
          const controller = new AbortController();
          const parent = step.at % 4 === 0 ? undefined : context;
          contexts.push(
            Context.derive({
              clock,
              ...(parent === undefined ? {} : { parent }),
              ...(step.timeout === null ? {} : { timeout: step.timeout }),
              ...(step.own ? { signal: controller.signal } : {}),
            }),
          );
          controllers.push(controller);
          const above = parent === undefined ? undefined : model;
          models.push({
            parent: above,
            deadline: Math.min(above?.deadline ?? Infinity, clock.at + (step.timeout ?? Infinity)),
            source: { reason: step.own ? undefined : "none" },
            cause: above?.cause,
          });
        } else if (step.kind === "tick") {
          clock.at += step.at;
        } else if (model === undefined || context === undefined) {
          continue;
        } else if (step.kind === "cancel") {
          const cause = { step };
          context.cancel(cause);
          end(model, cause);
        } else if (step.kind === "abort") {
          const cause = { step };
          controllers[index]?.abort(cause);
          if (model.source.reason === undefined) {
            model.source.reason = cause;
            end(model, cause);
          }
        } else if (step.kind === "watch") {
          const watcher = { told: 0, registration: undefined as unknown as Disposable, model };
          watcher.registration = Context.after(context, () => watcher.told++);
          watchers.push(watcher);
        } else if (step.kind === "unwatch") {
          const [watcher] = watchers.splice(step.at % Math.max(1, watchers.length), 1);
          watcher?.registration[Symbol.dispose]();
        } else {
          void context.signal;
        }
        // Deadlines are noticed by looking: the shared cause comes from the context whose deadline it is.
        for (const [at, each] of models.entries()) {
          if (each.cause === undefined && each.deadline <= clock.at) end(each, contexts[at]?.cause);
        }
        for (const [at, each] of models.entries()) {
          expect(contexts[at]?.cancelled).toBe(each.cause !== undefined);
          expect(contexts[at]?.cause).toBe(each.cause);
        }
      }
      for (const [at, each] of models.entries()) expect(contexts[at]?.signal.aborted).toBe(each.cause !== undefined);
      for (const { told, model } of watchers) expect(told).toBe(model.cause === undefined ? 0 : 1);
      for (const context of contexts) context[Symbol.dispose]();
      expect(clock.timers).toBe(0);
    }),
    { numRuns: propertyRuns(2_000) },
  );
});
