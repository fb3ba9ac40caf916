// The endpoints of one balancer: who they are, who of them is healthy, and whom to choose from.
import type { Candidate, Candidates } from "./balance-strategy.ts";
import type { Endpoint } from "./endpoint.ts";

const never = Number.POSITIVE_INFINITY;

/** All that is known of one endpoint. */
export class Member implements Candidate {
  endpoint: Endpoint;
  readonly slot: number;
  inFlight = 0;
  isReady = false;
  /** It is no longer one of the endpoints; only the end of its calls is awaited. */
  isGone = false;
  /** When it began to start slowly; `-Infinity` if it did not. */
  startedAt = -never;
  readonly #slowStart: number;

  calls = 0;
  failures = 0;

  /** Found unhealthy by a check. */
  isDown = false;
  /** Checks in a row that say other than `isDown`. */
  turns = 0;
  check: "none" | "waiting" | "running" = "none";

  /** Failures in a row. */
  failed = 0;
  /** Calls and failures of late. */
  readonly recent = new Recent();
  ejectedAt = 0;
  /** When it comes back; `-Infinity` while it is not ejected. */
  ejectedUntil = -never;
  /** How often it was, less one for each good time since. */
  ejections = 0;
  returnedAt = 0;

  constructor(endpoint: Endpoint, slot: number, slowStart: number) {
    this.endpoint = endpoint;
    this.slot = slot;
    this.#slowStart = slowStart;
  }

  get isEjected(): boolean {
    return this.ejectedUntil !== -never;
  }

  share(now: number): number {
    const weight = this.endpoint.weight ?? 1;
    const age = now - this.startedAt;
    return age >= this.#slowStart ? weight : weight * Math.max(least, age / this.#slowStart);
  }
}

/** Counts of the current window and the one before. */
export class Recent {
  #window = 0;
  #calls = 0;
  #failures = 0;
  #callsBefore = 0;
  #failuresBefore = 0;

  get calls(): number {
    return this.#calls + this.#callsBefore;
  }

  get failures(): number {
    return this.#failures + this.#failuresBefore;
  }

  count(window: number, isFailure: boolean): void {
    if (window !== this.#window) {
      const isNext = window === this.#window + 1;
      this.#callsBefore = isNext ? this.#calls : 0;
      this.#failuresBefore = isNext ? this.#failures : 0;
      this.#calls = 0;
      this.#failures = 0;
      this.#window = window;
    }
    this.#calls++;
    if (isFailure) this.#failures++;
  }

  /** Forgets the part that the other one has counted, too. */
  subtract(other: Recent): void {
    if (other.#window === this.#window) {
      this.#calls -= other.#calls;
      this.#failures -= other.#failures;
      this.#callsBefore -= other.#callsBefore;
      this.#failuresBefore -= other.#failuresBefore;
    } else if (other.#window === this.#window - 1) {
      this.#callsBefore -= other.#calls;
      this.#failuresBefore -= other.#failures;
    }
  }

  clear(): void {
    this.#calls = 0;
    this.#failures = 0;
    this.#callsBefore = 0;
    this.#failuresBefore = 0;
  }
}

/** The part of its weight that a new endpoint has at once. */
const least = 0.1;

/** What {@link Members} tell when something changes. */
export interface MembersListener {
  added(member: Member, now: number): void;
  /** Other members, weights, or other ones ready. */
  changed(now: number): void;
}

export class Members implements Candidates {
  all: Member[] = [];
  ready: Member[] = [];
  inFlight = 0;
  /** Too few are healthy, so all are used. */
  isPanicking = false;
  readonly #slowStart: number;
  readonly #panic: number;
  readonly #listener: MembersListener;
  readonly #byId = new Map<string, Member>();
  readonly #slots: (Member | undefined)[] = [];
  readonly #free: number[] = [];

  constructor(slowStart: number, panic: number, listener: MembersListener) {
    this.#slowStart = slowStart;
    this.#panic = panic;
    this.#listener = listener;
  }

  get capacity(): number {
    return this.#slots.length;
  }

  /** The member of a call in flight. */
  at(slot: number): Member {
    return this.#slots[slot] as Member; // it keeps its slot until its last call has ended
  }

  /** Takes these instead of those before; `refresh` has to follow. */
  update(endpoints: readonly Endpoint[], now: number): void {
    const startedAt = this.all.length === 0 ? -never : now; // the first ones have nobody who could do their work
    const before = new Set(this.all);
    const added: Member[] = [];
    this.all = [];
    for (const endpoint of endpoints) {
      let member = this.#byId.get(endpoint.id);
      if (member === undefined) {
        member = this.#open(endpoint);
        added.push(member);
      } else if (!before.delete(member) && !member.isGone) {
        continue; // named twice
      }
      if (member.isGone || added.at(-1) === member) member.startedAt = startedAt;
      member.isGone = false;
      member.endpoint = endpoint;
      this.all.push(member);
    }
    for (const member of before) this.#remove(member);
    for (const member of added) this.#listener.added(member, now);
  }

  /** Finds out again who is ready. */
  refresh(now: number): void {
    const healthy = this.all.filter((member) => !member.isDown && !member.isEjected);
    this.isPanicking = healthy.length < this.all.length * this.#panic || healthy.length === 0;
    this.isPanicking &&= healthy.length < this.all.length;
    this.ready = this.isPanicking ? this.all : healthy;
    for (const member of this.all) member.isReady = this.isPanicking;
    for (const member of this.ready) member.isReady = true;
    this.#listener.changed(now);
  }

  /** A call of it has ended. */
  leave(member: Member): void {
    member.inFlight--;
    this.inFlight--;
    if (member.isGone && member.inFlight === 0) this.#forget(member);
  }

  #open(endpoint: Endpoint): Member {
    const slot = this.#free.pop() ?? this.#slots.length;
    const member = new Member(endpoint, slot, this.#slowStart);
    this.#slots[slot] = member;
    this.#byId.set(endpoint.id, member);
    return member;
  }

  #remove(member: Member): void {
    member.isGone = true;
    member.isReady = false;
    if (member.inFlight === 0) this.#forget(member);
  }

  #forget(member: Member): void {
    this.#byId.delete(member.endpoint.id);
    this.#slots[member.slot] = undefined;
    this.#free.push(member.slot);
  }
}
