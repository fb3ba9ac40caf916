// The memory that the pool shares with one thread: a slot for each task that it has handed over.

const wordsPerSlot = 8;
const numbersPerSlot = 8;

// In the words of a slot:
const state = 0;
const cancelled = 1;
const target = 2;
const count = 3;
const answer = 4;

/** The states of a slot. Who moves one on does so in one step, so a task is either started or withdrawn, never both. */
const posted = 1;
const started = 2;
const withdrawn = 3;

// Before the slots, each on cache lines of its own:
const requestSleep = 0;
const messages = 1;
const replySleep = 16;
const head = 32;

// Before the numbers of the slots:
const busy = 0;
const runs = 1;
const rest = 2;
const numbersHead = 8;

/** How the result of a task comes back: `mailed` and `failed` with a message, the others within the slot. */
export const answers = {
  mailed: 0,
  number: 1,
  undefined: 2,
  true: 3,
  false: 4,
  null: 5,
  failed: 6,
  skipped: 7,
} as const;

/** Arguments that a slot has room for when all are numbers. */
export const maxNumbers = numbersPerSlot - 1;

/** `count` of a slot whose arguments come with a message. */
export const mailed = -1;

/** What the time left is for a task that nobody can cancel. */
export const endless = -1;

/** Both sides have one over the same buffer. Slots are numbers from 0 to `size` - 1. */
export class SlotTable {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly requestSleep = requestSleep;
  readonly replySleep = replySleep;
  readonly #numbers: Float64Array;

  constructor(size: number, buffer?: SharedArrayBuffer) {
    const wordBytes = (head + size * wordsPerSlot) * 4; // a multiple of 32
    this.buffer = buffer ?? new SharedArrayBuffer(wordBytes + (numbersHead + size * numbersPerSlot) * 8);
    this.words = new Int32Array(this.buffer, 0, wordBytes / 4);
    this.#numbers = new Float64Array(this.buffer, wordBytes);
  }

  /** The pool hands a task over: its numbers, if it has only such, are there before the state says so. */
  post(slot: number, functionIndex: number, left: number, numbers: readonly number[] | undefined): void {
    const word = head + slot * wordsPerSlot;
    const number = numbersHead + slot * numbersPerSlot;
    this.words[word + target] = functionIndex;
    this.words[word + cancelled] = 0;
    this.words[word + count] = numbers === undefined ? mailed : numbers.length;
    this.#numbers[number] = left;
    if (numbers !== undefined) {
      for (let i = 0; i < numbers.length; i++) this.#numbers[number + 1 + i] = numbers[i] as number; // within its length
    }
    Atomics.store(this.words, word + state, posted);
  }

  /** The thread takes the task up. False: it was withdrawn. */
  start(slot: number): boolean {
    const word = head + slot * wordsPerSlot + state;
    return Atomics.compareExchange(this.words, word, posted, started) === posted;
  }

  /** The pool takes the task back. False: it has started. */
  withdraw(slot: number): boolean {
    const word = head + slot * wordsPerSlot + state;
    return Atomics.compareExchange(this.words, word, posted, withdrawn) === posted;
  }

  /** Whether the thread has not taken the task up so far. */
  isPosted(slot: number): boolean {
    return Atomics.load(this.words, head + slot * wordsPerSlot + state) === posted;
  }

  /** The pool says that nobody waits for the result. A task sees it without a turn of its event loop. */
  cancel(slot: number): void {
    Atomics.store(this.words, head + slot * wordsPerSlot + cancelled, 1);
  }

  isCancelled(slot: number): boolean {
    return Atomics.load(this.words, head + slot * wordsPerSlot + cancelled) === 1;
  }

  functionOf(slot: number): number {
    return this.#word(slot, target);
  }

  timeLeft(slot: number): number {
    return this.#numbers[numbersHead + slot * numbersPerSlot] as number; // every slot has it
  }

  /** How many numbers are its arguments, or `mailed`. */
  count(slot: number): number {
    return this.#word(slot, count);
  }

  number(slot: number, index: number): number {
    return this.#numbers[numbersHead + slot * numbersPerSlot + 1 + index] as number; // every slot has it
  }

  /** The thread has a result. Returns whether the slot can hold it; if not it has to be mailed. */
  setResult(slot: number, value: unknown): boolean {
    const word = head + slot * wordsPerSlot + answer;
    switch (value) {
      case undefined:
        this.words[word] = answers.undefined;
        return true;
      case true:
        this.words[word] = answers.true;
        return true;
      case false:
        this.words[word] = answers.false;
        return true;
      case null:
        this.words[word] = answers.null;
        return true;
    }
    if (typeof value === "number") {
      this.words[word] = answers.number;
      this.#numbers[numbersHead + slot * numbersPerSlot + 1] = value;
      return true;
    }
    this.words[word] = answers.mailed;
    return false;
  }

  setAnswer(slot: number, value: number): void {
    this.words[head + slot * wordsPerSlot + answer] = value;
  }

  answer(slot: number): number {
    return this.#word(slot, answer);
  }

  /** A result that the slot holds. */
  result(slot: number): unknown {
    switch (this.answer(slot)) {
      case answers.number:
        return this.number(slot, 0);
      case answers.true:
        return true;
      case answers.false:
        return false;
      case answers.null:
        return null;
      default:
        return undefined;
    }
  }

  /** The pool has sent a message. */
  countMessage(): void {
    Atomics.add(this.words, messages, 1);
  }

  /** How many messages the pool has sent; wraps. */
  get messages(): number {
    return Atomics.load(this.words, messages);
  }

  /** The thread has spent `ms` on `times` tasks. */
  addRuns(ms: number, times: number): void {
    this.#numbers[busy] = this.busyMs + ms;
    this.#numbers[runs] = this.runs + times;
  }

  get busyMs(): number {
    return this.#numbers[busy] as number; // it is before the slots
  }

  get runs(): number {
    return this.#numbers[runs] as number; // it is before the slots
  }

  /** The thread has stood still for `ms`, for want of tasks. */
  addRest(ms: number): void {
    this.#numbers[rest] = this.restMs + ms;
  }

  get restMs(): number {
    return this.#numbers[rest] as number; // it is before the slots
  }

  #word(slot: number, index: number): number {
    return this.words[head + slot * wordsPerSlot + index] as number; // every slot has it
  }
}

/** Whether a slot has room for these arguments. */
export function areNumbers(args: readonly unknown[]): args is readonly number[] {
  if (args.length > maxNumbers) return false;
  for (let i = 0; i < args.length; i++) if (typeof args[i] !== "number") return false;
  return true;
}
