// A thread of a pool, from its own side: loads the module, runs its hooks and its functions.
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { encodeFault } from "./worker-fault.ts";
import { ThreadMemory } from "./worker-memory.ts";
import type { ThreadMessage, ThreadReport, ThreadStart } from "./worker-protocol.ts";
import { TaskRunner, type WorkerFunction } from "./worker-runner.ts";

const hooks = ["init", "dispose"];

/**
 * Runs the module of a pool in this thread. The pool calls it in each thread that it starts; it is of no use elsewhere.
 *
 * @throws TypeError outside such a thread.
 *
 * @example
 * ```ts
 * import { hostWorker } from "@proj/concurrency/worker";
 *
 * const error = await hostWorker().catch((error: unknown) => error);
 * console.log(error instanceof TypeError); // true
 * ```
 */
export async function hostWorker(): Promise<void> {
  const port = parentPort;
  if (port === null) throw new TypeError("Cannot host a worker: this thread was not started by workers()");
  const start = workerData as ThreadStart; // what the pool gives to its threads
  let module: Record<string, unknown>;
  try {
    module = (await import(start.module)) as Record<string, unknown>; // a module's namespace
    await (module["init"] as WorkerFunction | undefined)?.(start.data); // the types of the pool have checked it
  } catch (error) {
    try {
      port.postMessage({ failed: encodeFault(error) } satisfies ThreadReport);
    } catch {
      port.postMessage({ failed: encodeFault(error, true) } satisfies ThreadReport);
    }
    process.exit(1);
  }
  const names = Object.keys(module).filter((name) => typeof module[name] === "function" && !hooks.includes(name));
  const functions = names.map((name) => module[name] as WorkerFunction); // just filtered
  const runner = new TaskRunner(functions, new ThreadMemory(start.memory), start.concurrency, {
    post: (message, transfer) => port.postMessage(message, transfer),
    takeMessages() {
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
        runner.receive(next.message);
      }
    },
    stop: () => void end(module["dispose"] as WorkerFunction | undefined),
  });
  process.on("exit", () => runner.flush()); // results of tasks that were done are not lost with the one that ends us
  port.on("message", (message: ThreadMessage) => runner.receive(message));
  port.on("messageerror", (error) => {
    throw error; // arguments that cannot be put together here: the pool learns of it as of any other crash
  });
  port.postMessage({ ready: names } satisfies ThreadReport);
}

async function end(dispose: WorkerFunction | undefined): Promise<void> {
  await dispose?.();
  process.exit(0);
}
