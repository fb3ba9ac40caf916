// A loop as a service.
import { runIn } from "./ambient.ts";
import type { Context } from "./context.ts";
import type { ContextNode } from "./context-node.ts";
import { derive } from "./derive.ts";
import type { Service } from "./service.ts";

/** What can be set on a {@link background} service. */
export interface BackgroundOptions<Name extends string = string> {
  /** Services that have to be running first, and are stopped later. */
  readonly dependsOn?: readonly Name[] | undefined;
}

/**
 * Makes a service of a task that runs until it is told to stop. It counts as ready at once. To stop it, its context is
 * cancelled and its end awaited. A task that ends or throws before that has crashed.
 *
 * @example
 * ```ts
 * import { background, Supervisor } from "@proj/concurrency";
 *
 * const supervisor = new Supervisor({
 *   poller: background(async (context) => {
 *     while (!context.cancelled) await new Promise((resolve) => setTimeout(resolve, 5));
 *   }),
 * });
 * await supervisor.start();
 * await supervisor.stop();
 * ```
 */
export function background<const Name extends string = never>(
  task: (context: Context) => PromiseLike<void>,
  options: BackgroundOptions<Name> = {},
): Service<Name> {
  let own: ContextNode | undefined;
  let done: Promise<void> | undefined;
  return {
    dependsOn: options.dependsOn,
    start(_context, { fail }) {
      const context = derive({});
      own = context;
      done = runIn(context, async (context) => await task(context), context).then(
        () => {
          if (!context.cancelled) fail(new Error("The task of a background service ended before it was told to stop"));
        },
        (error: unknown) => {
          if (!context.cancelled) fail(error);
          else if (error !== context.cause) throw error; // it failed to stop well
        },
      );
      done.catch(() => {}); // reported by stop()
    },
    stop() {
      own?.cancel();
      return done;
    },
  };
}
