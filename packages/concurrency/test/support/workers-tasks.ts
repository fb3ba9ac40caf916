// What the threads of the tests run.
import { threadId } from "node:worker_threads";
import { Context } from "../../src/index.ts";
import { transfer } from "../../src/worker.ts";

export interface Settings {
  /** A shared word that counts what happens in the threads. */
  readonly counts?: Int32Array;
}

let counts: Int32Array | undefined;

export function init(settings: Settings | undefined): void {
  counts = settings?.counts;
  if (counts !== undefined) Atomics.add(counts, 0, 1);
}

export function dispose(): void {
  if (counts !== undefined) Atomics.add(counts, 1, 1);
}

export function add(a: number, b: number): number {
  return a + b;
}

export function sum(...numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

export function echo<T>(value: T): T {
  return value;
}

export async function echoLater<T>(value: T): Promise<T> {
  await new Promise((resolve) => setImmediate(resolve));
  return value;
}

export function thread(): number {
  return threadId;
}

export function quit(code: number): never {
  process.exit(code);
}

/** Fails outside of any task. */
export function throwLater(): Promise<never> {
  setImmediate(() => {
    throw new RangeError("thrown outside of the task");
  });
  return new Promise(() => {});
}

export function exhaustMemory(): number {
  const kept: unknown[] = [];
  for (;;) kept.push(new Array(100_000).fill(kept.length));
}

export class OddError extends TypeError {
  readonly code = "ERR_ODD";
  readonly detail = { line: 7 };
}

export function fail(message: string): never {
  throw new OddError(message, { cause: new RangeError("the reason") });
}

export async function failAll(): Promise<never> {
  await Promise.resolve();
  throw new AggregateError([new SyntaxError("one"), "two"], "all failed");
}

export function failWith(kind: "string" | "function" | "dom" | "loop"): never {
  if (kind === "string") throw "just text";
  if (kind === "dom") throw new DOMException("left", "AbortError");
  const error: Error & { self?: unknown; work?: unknown } = new Error("odd fields");
  error.self = error;
  error.cause = error;
  if (kind === "function") error.work = () => {};
  throw error;
}

export function giveFunction(): unknown {
  return () => {};
}

export function giveBuffer(length: number): ArrayBuffer {
  const buffer = new Uint8Array(length).fill(7).buffer;
  return transfer(buffer, [buffer]);
}

export function lengthOf(buffer: ArrayBuffer): number {
  return buffer.byteLength;
}

/** Says in shared memory that it has begun, and waits there to be let go; never leaves the thread meanwhile. */
export function block(gate: Int32Array): string {
  Atomics.add(gate, 0, 1);
  Atomics.notify(gate, 0);
  Atomics.wait(gate, 1, 0);
  return "let go";
}

/** The same, but looks at its context. Tells whether that ended it. */
export function spin(gate: Int32Array): boolean {
  Atomics.add(gate, 0, 1);
  Atomics.notify(gate, 0);
  const context = Context.current();
  while (!context.cancelled && Atomics.load(gate, 1) === 0);
  Atomics.add(gate, 2, 1);
  Atomics.notify(gate, 2);
  return context.cancelled;
}

/** Waits for its signal, without keeping the thread busy. */
export async function untilAborted(gate: Int32Array): Promise<never> {
  const { signal } = Context.current();
  Atomics.add(gate, 0, 1);
  Atomics.notify(gate, 0);
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  Atomics.add(gate, 2, 1);
  Atomics.notify(gate, 2);
  throw signal.reason;
}

/** Never ends, and does not listen. */
export function hang(gate: Int32Array): never {
  Atomics.add(gate, 0, 1);
  Atomics.notify(gate, 0);
  for (;;) Atomics.wait(gate, 3, 0, 10_000);
}

export function timeLeft(): number {
  return Context.current().remaining;
}

/** Appends to a list in shared memory: the order in which tasks began. */
export function note(list: Int32Array, item: number): void {
  list[Atomics.add(list, 0, 1) + 1] = item;
}
