// Runs tasks in a worker: takes them as they come, a given number at a time, and sends their results back in batches.
import type { Transferable } from "node:worker_threads";
import { runIn } from "./ambient.ts";
import type { ContextNode } from "./context-node.ts";
import { derive } from "./derive.ts";
import { encodeFault } from "./worker-fault.ts";
import { mostSlots, type ThreadMemory } from "./worker-memory.ts";
import { type Batch, bell, stop, type ThreadMessage } from "./worker-protocol.ts";
import { SlotSignal } from "./worker-signal.ts";
import { answers, endless, mailed } from "./worker-slots.ts";
import { transferListOf } from "./worker-transfer.ts";

/** A function of the worker's module: what it takes and gives is checked by the types of the pool. */
export type WorkerFunction = (...args: unknown[]) => unknown;

/** How long results wait for others to go with, while tasks that do not leave the thread run one after the other. */
const batchMs = 1;
/** After how long such tasks let the thread's event loop turn. */
const turnMs = 10;

/** For how long a thread that has nothing to do stands still before it lets its event loop turn. */
const restMs = 1;

export interface RunnerPort {
  /** The pool wants the thread to end. */
  stop(): void;
  post(message: Batch | typeof bell, transfer: readonly Transferable[]): void;
  /** Hands over the messages that have come, without a turn of the event loop. Absent: the thread never stands still. */
  takeMessages?(): void;
}

export class TaskRunner {
  readonly #functions: readonly WorkerFunction[];
  readonly #memory: ThreadMemory;
  readonly #concurrency: number;
  readonly #port: RunnerPort;

  /** In the order of their arrival: a circle, since there are never more than there are slots. */
  readonly #waiting = new Uint8Array(mostSlots);
  #first = 0;
  #size = 0;
  /** By slot: arguments that came with a message. */
  readonly #args: unknown[][] = [];
  readonly #signals = new Map<number, SlotSignal>();
  /** Results to be sent as a message: slots and values in turn. */
  #mail: unknown[] = [];
  #transfer: Transferable[] = [];

  /** How many have been received; wraps. */
  #messages = 0;
  #running = 0;
  #isPumping = false;
  #isPumpDue = false;

  constructor(functions: readonly WorkerFunction[], memory: ThreadMemory, concurrency: number, port: RunnerPort) {
    this.#functions = functions;
    this.#memory = memory;
    this.#concurrency = concurrency;
    this.#port = port;
    memory.requests.turn();
  }

  receive(message: ThreadMessage): void {
    this.#messages = (this.#messages + 1) | 0;
    if (message === stop) {
      this.#port.stop();
    } else if (typeof message === "number") {
      this.#signals.get(message)?.tell(); // the bell has none
    } else {
      this.#takeRequests(); // they were sent before
      for (let i = 0; i < message.length; i += 2) {
        const slot = message[i] as number; // as the pool has put it together
        this.#args[slot] = message[i + 1] as unknown[];
        this.#enqueue(slot);
      }
    }
    this.#pump();
  }

  /** Sends the results that there are. */
  flush(): void {
    const { replies } = this.#memory;
    const hasReplies = replies.send();
    const mail = this.#mail;
    if (mail.length === 0) {
      if (hasReplies && replies.wake()) this.#port.post(bell, []);
      return;
    }
    const transfer = this.#transfer;
    this.#mail = [];
    this.#transfer = [];
    try {
      this.#port.post(mail, transfer);
    } catch {
      // Something in there cannot be copied: each on its own, to find out which.
      for (let i = 0; i < mail.length; i += 2) this.#postAlone(mail[i] as number, mail[i + 1]);
    }
  }

  #postAlone(slot: number, value: unknown): void {
    const { slots } = this.#memory;
    const isFailed = slots.answer(slot) === answers.failed;
    try {
      this.#port.post([slot, value], (isFailed ? undefined : transferListOf(value)) ?? []);
    } catch (error) {
      slots.setAnswer(slot, answers.failed);
      this.#port.post([slot, isFailed ? this.#faults.get(value as object)?.() : encodeFault(error, true)], []);
    }
  }

  /** By fault that is on its way: how to make one of it that can be copied for sure. */
  readonly #faults = new WeakMap<object, () => unknown>();

  #takeRequests(): boolean {
    const slots = this.#memory.requests.take();
    if (slots === undefined) return false;
    for (let i = 0; i < slots.length; i++) this.#enqueue(slots[i] as number); // within its length
    return true;
  }

  #enqueue(slot: number): void {
    this.#waiting[(this.#first + this.#size++) % mostSlots] = slot;
  }

  /** Starts what can be started; then waits for more. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const end = performance.now() + turnMs;
    do this.#runAll(end);
    while (this.#rest(end));
    this.#isPumping = false;
  }

  #runAll(end: number): void {
    const { slots } = this.#memory;
    let before = performance.now();
    let flushAt = before + batchMs;
    while (this.#running < this.#concurrency && before < end) {
      if (this.#size === 0 && !this.#takeRequests()) break;
      const slot = this.#waiting[this.#first] as number; // one is there
      this.#first = (this.#first + 1) % mostSlots;
      this.#size--;
      const isRun = this.#run(slot);
      const now = performance.now();
      slots.addRuns(now - before, isRun ? 1 : 0);
      before = now;
      if (now >= flushAt) {
        this.flush();
        flushAt = now + batchMs;
      }
    }
    this.flush();
  }

  /**
   * Stands still for a moment, since a thread that is woken up from that has its next task in half the time that it takes
   * through the event loop. Returns whether there is something to do at once.
   */
  #rest(end: number): boolean {
    const { requests, slots } = this.#memory;
    const begin = performance.now();
    if (this.#running === 0 && this.#size === 0 && begin < end && this.#port.takeMessages !== undefined) {
      requests.block(restMs, this.#hasMessages);
      slots.addRest(performance.now() - begin);
      if (this.#hasMessages()) this.#port.takeMessages();
      if (this.#size > 0 || !requests.isEmpty) return true;
    }
    requests.turn();
    if (this.#running < this.#concurrency && (this.#size > 0 || !requests.isEmpty)) this.#pumpAfter(setImmediate);
    return false;
  }

  readonly #hasMessages = (): boolean => this.#memory.slots.messages !== this.#messages;

  /** Once for all results of this turn. */
  #pumpAfter(defer: (callback: () => void) => unknown): void {
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    defer(() => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  /** Returns whether it is one that nobody has taken back. */
  #run(slot: number): boolean {
    const { slots } = this.#memory;
    if (!slots.start(slot)) {
      slots.setAnswer(slot, answers.skipped);
      this.#memory.replies.add(slot);
      return false;
    }
    let context: ContextNode | undefined;
    try {
      const left = slots.timeLeft(slot);
      let result: unknown;
      if (left === endless) {
        result = this.#call(slot);
      } else {
        context = this.#contextOf(slot, left);
        result = runIn(context, this.#boundCall, slot);
      }
      if (isThenable(result)) this.#follow(slot, result, context);
      else this.#succeed(slot, result, context);
    } catch (error) {
      this.#fail(slot, error, context);
    }
    return true;
  }

  #contextOf(slot: number, left: number): ContextNode {
    const signal = new SlotSignal(this.#memory.slots, slot);
    this.#signals.set(slot, signal);
    return derive({ signal: signal as unknown as AbortSignal, timeout: left }); // contexts use nothing else of a signal
  }

  readonly #boundCall = (slot: number): unknown => this.#call(slot);

  #call(slot: number): unknown {
    const { slots } = this.#memory;
    const f = this.#functions[slots.functionOf(slot)] as WorkerFunction; // the pool knows only those of this module
    const count = slots.count(slot);
    switch (count) {
      case mailed: {
        const args = this.#args[slot] as unknown[]; // it came with the message
        this.#args[slot] = noArguments;
        return f(...args);
      }
      case 0:
        return f();
      case 1:
        return f(slots.number(slot, 0));
      case 2:
        return f(slots.number(slot, 0), slots.number(slot, 1));
      default:
        return f(...Array.from({ length: count }, (_, index) => slots.number(slot, index)));
    }
  }

  /** An asynchronous task has begun. */
  #follow(slot: number, result: PromiseLike<unknown>, context: ContextNode | undefined): void {
    this.#running++;
    const begin = performance.now();
    const end = () => {
      this.#running--;
      this.#memory.slots.addRuns(performance.now() - begin, 0); // it was counted when it began
      this.#pumpAfter(process.nextTick);
    };
    result.then(
      (value) => {
        end();
        this.#succeed(slot, value, context);
      },
      (error: unknown) => {
        end();
        this.#fail(slot, error, context);
      },
    );
  }

  #succeed(slot: number, value: unknown, context: ContextNode | undefined): void {
    if (context !== undefined) this.#release(slot, context);
    if (this.#memory.slots.setResult(slot, value)) {
      this.#memory.replies.add(slot);
      return;
    }
    this.#mail.push(slot, value);
    const list = transferListOf(value);
    if (list !== undefined) this.#transfer.push(...list);
  }

  #fail(slot: number, error: unknown, context: ContextNode | undefined): void {
    if (context !== undefined) this.#release(slot, context);
    this.#memory.slots.setAnswer(slot, answers.failed);
    const fault = encodeFault(error);
    this.#faults.set(fault, () => encodeFault(error, true));
    this.#mail.push(slot, fault);
  }

  #release(slot: number, context: ContextNode): void {
    this.#signals.delete(slot);
    context.cancel(); // releases its timer, before the slot gets another task
  }
}

const noArguments: unknown[] = [];

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
