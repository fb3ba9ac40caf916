// One thread, from the side of the pool: what it has been given, and what comes back.
import type { Transferable } from "node:worker_threads";
import type { Timer } from "./clock.ts";
import { continueStack, decodeFault, type Fault } from "./worker-fault.ts";
import { ThreadMemory } from "./worker-memory.ts";
import { type Batch, bell, type PoolMessage, stop, type ThreadMessage } from "./worker-protocol.ts";
import { answers, areNumbers, endless } from "./worker-slots.ts";
import { WorkerLostError } from "./workers-errors.ts";
import type { Job } from "./workers-job.ts";
import type { ThreadPort } from "./workers-port.ts";
import { StuckJobs } from "./workers-stuck.ts";
import { type ThreadOwner, type ThreadSettings, type ThreadState, terminateMs } from "./workers-thread-owner.ts";

export class Thread {
  readonly #settings: ThreadSettings;
  readonly #owner: ThreadOwner;
  readonly #memory: ThreadMemory;
  readonly #port: ThreadPort;
  readonly #free: number[] = [];
  readonly #jobs: (Job | undefined)[] = [];
  /** By slot: whether its arguments went by message. */
  readonly #isMailed: boolean[] = [];
  #functions = new Map<string, number>();
  #batch: unknown[] = [];
  #transfer: Transferable[] = [];
  /** Jobs that went by message and have not come back. */
  #mailed = 0;
  /** Slots whose job is not its own any more, which it does not know so far. */
  #withdrawn = 0;
  readonly #stuck: StuckJobs;
  #timer: Timer | undefined;
  #isUnwanted = false;
  #runs = 0;
  #busyMs = 0;

  state: ThreadState = "starting";
  /** When it became ready, on the pool's clock. */
  readyAt = Number.POSITIVE_INFINITY;
  /** Whether it had something to do since somebody set this to false. */
  isTouched = true;
  /** What it failed with, if it did. */
  error: unknown;

  constructor(settings: ThreadSettings, owner: ThreadOwner, name: string) {
    this.#settings = settings;
    this.#owner = owner;
    this.#stuck = new StuckJobs(settings);
    this.#memory = new ThreadMemory(settings.inFlight);
    for (let slot = settings.inFlight - 1; slot >= 0; slot--) this.#free.push(slot);
    const { module, data, concurrency, clock, startTimeout } = settings;
    const start = { module, data, concurrency, memory: this.#memory.shared };
    this.#port = settings.open(
      start,
      {
        onMessage: (message) => this.#receive(message as PoolMessage), // it runs our code
        onExit: (code, error) => this.#end(code, error),
      },
      name,
    );
    this.#timer = clock.setTimeout(() => {
      this.error = new Error(`The thread was not ready within ${startTimeout} ms`);
      this.terminate();
    }, startTimeout);
  }

  /** Tasks that it holds, those included that were cancelled and still run. */
  get held(): number {
    return this.#settings.inFlight - this.#free.length;
  }

  /** Whether it may be given more: not while it is stuck with something that nobody waits for. */
  get hasRoom(): boolean {
    return this.state === "ready" && this.#free.length > 0 && this.#stuck.size === 0;
  }

  /** Whether it would begin with something at once. */
  get isIdle(): boolean {
    return this.hasRoom && this.held < this.#settings.concurrency;
  }

  /** Tasks that it will not begin with before others have ended, at most. */
  get backlog(): number {
    return this.state === "ready" ? this.held - this.#withdrawn - this.#settings.concurrency : 0;
  }

  /** Share of its life in which it was busy, from 0 to 1. */
  get utilization(): number {
    const { active, idle } = this.#port.eventLoopTimes;
    const total = active + idle;
    return total === 0 ? 0 : Math.max(0, active - this.#memory.slots.restMs) / total; // resting counts as active there
  }

  /** Milliseconds and number of the tasks that it has run since the last call. */
  takeRuns(): { readonly ms: number; readonly runs: number } {
    const { busyMs, runs } = this.#memory.slots;
    const taken = { ms: busyMs - this.#busyMs, runs: runs - this.#runs };
    this.#busyMs = busyMs;
    this.#runs = runs;
    return taken;
  }

  setAlive(isAlive: boolean): void {
    if (isAlive) this.#port.ref();
    else this.#port.unref();
  }

  /** Takes a job; it goes out with the next `flush`. There must be room. */
  give(job: Job): void {
    const index = this.#functions.get(job.name);
    if (index === undefined) {
      job.fail(
        () => new TypeError(`Cannot call ${job.name}: ${this.#settings.module} exports no function of this name`),
      );
      return;
    }
    const slot = this.#free.pop() as number; // there is room
    const { context, args } = job;
    const left = context.isRoot ? endless : context.remaining;
    // Shared memory must not overtake a message: the order of calls would change.
    const numbers = this.#mailed === 0 && areNumbers(args) && job.transfer === undefined ? args : undefined;
    this.#jobs[slot] = job;
    this.#isMailed[slot] = numbers === undefined;
    job.thread = this;
    job.slot = slot;
    this.isTouched = true;
    this.#memory.slots.post(slot, index, left, numbers);
    if (numbers !== undefined) {
      this.#memory.requests.add(slot);
      return;
    }
    this.#mailed++;
    this.#batch.push(slot, args);
    if (job.transfer !== undefined) this.#transfer.push(...job.transfer);
  }

  /** Hands over what was given since the last time. */
  flush(): void {
    const { requests } = this.#memory;
    const hasRequests = requests.send();
    const batch = this.#batch;
    if (batch.length === 0) {
      if (hasRequests && requests.wake()) this.#post(bell);
      return;
    }
    const transfer = this.#transfer;
    this.#batch = [];
    this.#transfer = [];
    try {
      this.#post(batch, transfer);
      if (transfer.length > 0) this.#markMoved(batch);
    } catch {
      // One of them cannot be copied: each on its own, to find out which.
      for (let i = 0; i < batch.length; i += 2) this.#postAlone(this.#jobs[batch[i] as number] as Job);
    }
  }

  #post(message: ThreadMessage, transfer: readonly Transferable[] = []): void {
    this.#port.post(message, transfer);
    this.#memory.slots.countMessage();
    this.#memory.requests.unblock();
  }

  #markMoved(batch: Batch): void {
    for (let i = 0; i < batch.length; i += 2) {
      const job = this.#jobs[batch[i] as number] as Job; // in the batch since it has the slot
      job.isMoved = job.transfer !== undefined && job.transfer.length > 0;
    }
  }

  #postAlone(job: Job): void {
    try {
      this.#post([job.slot, job.args], job.transfer);
      job.isMoved = job.transfer !== undefined && job.transfer.length > 0;
    } catch (error) {
      this.#vacate(job);
      job.fail(() => continueStack(error));
    }
  }

  /** The caller of one of its jobs has given up. */
  cancel(job: Job): void {
    const { slots } = this.#memory;
    if (slots.withdraw(job.slot)) {
      this.#withdrawn++; // never begun: the slot comes back when the thread has seen it
      return;
    }
    slots.cancel(job.slot);
    if (this.state !== "ready") return;
    this.#post(job.slot);
    this.#stuck.add(job, (error) => {
      this.error = error;
      this.#owner.onStuck(this);
    });
  }

  /** Takes back the oldest jobs that it has not begun with, and at most half of them. */
  takeBack(): Job[] {
    const { slots } = this.#memory;
    const candidates = this.#jobs.filter(
      (job): job is Job => job !== undefined && !job.isSettled && !job.isMoved && slots.isPosted(job.slot),
    );
    candidates.sort((a, b) => a.id - b.id);
    const taken = candidates.slice(0, Math.ceil(candidates.length / 2)).filter((job) => slots.withdraw(job.slot));
    for (const job of taken) job.thread = undefined;
    this.#withdrawn += taken.length;
    return taken;
  }

  /** Lets it end by itself, after its `dispose`; one that starts, as soon as it could do something. */
  stop(): void {
    if (this.state === "starting") this.#isUnwanted = true;
    if (this.state !== "ready") return;
    this.state = "ending";
    this.#post(stop);
    this.#timer = this.#settings.clock.setTimeout(() => this.terminate(), this.#settings.disposeTimeout);
  }

  /** Ends it now. */
  terminate(): void {
    if (this.state === "gone") return;
    this.state = "ending";
    this.#timer?.clear();
    this.#timer = this.#settings.clock.setTimeout(() => this.#end(undefined, undefined), terminateMs);
    this.#port.terminate();
  }

  /** All its jobs that somebody waits for. */
  get jobs(): Job[] {
    return this.#jobs.filter((job): job is Job => job !== undefined && !job.isSettled && job.thread === this);
  }

  #receive(message: PoolMessage): void {
    if (this.state === "gone") return;
    if (message === bell || "length" in message) {
      this.#takeReplies();
      if (message !== bell) {
        for (let i = 0; i < message.length; i += 2) this.#answer(message[i] as number, message[i + 1]);
      }
      this.#owner.onAnswers(this);
    } else if ("failed" in message) {
      this.error = decodeFault(message.failed); // its exit follows
    } else if (this.state === "starting") {
      this.#timer?.clear();
      this.state = "ready";
      this.readyAt = this.#settings.clock.now();
      this.#functions = new Map(message.ready.map((name, index) => [name, index]));
      this.#memory.replies.turn();
      if (this.#isUnwanted) this.stop();
      else this.#owner.onReady(this);
    }
  }

  #takeReplies(): void {
    const { replies } = this.#memory;
    replies.turn();
    for (let slots = replies.take(); slots !== undefined; slots = replies.take()) {
      for (let i = 0; i < slots.length; i++) this.#answer(slots[i] as number, undefined); // within its length
    }
  }

  #answer(slot: number, mail: unknown): void {
    const job = this.#jobs[slot] as Job; // it has the slot until this answer
    const { slots } = this.#memory;
    const answer = slots.answer(slot);
    this.#vacate(job, slot);
    if (answer === answers.skipped) this.#withdrawn--;
    else if (answer === answers.mailed) job.succeed(mail);
    else if (answer === answers.failed)
      job.fail(() => decodeFault(mail as Fault)); // the thread has put it together
    else job.succeed(slots.result(slot));
  }

  #vacate(job: Job, slot = job.slot): void {
    this.#jobs[slot] = undefined;
    this.#free.push(slot);
    if (this.#isMailed[slot]) this.#mailed--;
    this.#stuck.delete(job);
  }

  #end(code: number | undefined, error: unknown): void {
    if (this.state === "gone") return;
    this.#takeReplies(); // sent before its end
    this.state = "gone";
    this.error ??= error;
    this.#timer?.clear();
    this.#stuck.clear();
    const unstarted: Job[] = [];
    for (const job of this.jobs) {
      // Withdrawing is exact, even from a thread that lives on: it cannot begin with a job after this.
      const isUnstarted = this.#memory.slots.withdraw(job.slot);
      if (isUnstarted && !job.isMoved) {
        job.thread = undefined;
        unstarted.push(job);
      } else {
        const cause = this.error === undefined ? undefined : { cause: this.error };
        job.fail(() => new WorkerLostError(job.name, !isUnstarted, code, cause));
      }
    }
    this.#owner.onGone(this, unstarted);
  }
}
