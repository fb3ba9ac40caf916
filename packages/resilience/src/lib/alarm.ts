// One timer for all attempts of a frame: nearly none of them times out, so setting and clearing one for each is waste.
import { systemClock, type Timer } from "@proj/concurrency";

/** Something that may have to end at a point of time. Its places in the list belong to the alarm. */
export interface Sleeper {
  due: number;
  wake: ((reason: unknown) => void) | undefined;
  earlier: Sleeper | undefined;
  later: Sleeper | undefined;
}

/**
 * Wakes those who are due, whatever the order in which they came. The timer is set for the earliest of them and stays when
 * that one leaves: whoever is there when it fires is looked at. So a frame sets a timer once per timeout at most, and not
 * once per call. A clock of tests is asked for a timer each: none must be left behind there.
 */
export class Alarm {
  readonly #reason: unknown;
  #first: Sleeper | undefined;
  #timer: Timer | undefined;
  #next = Number.POSITIVE_INFINITY;

  /** `reason` is what sleepers are woken with. */
  constructor(reason: unknown) {
    this.#reason = reason;
  }

  /** `now` is a time of the system's clock that has just been read. */
  add(sleeper: Sleeper, now: number): void {
    const first = this.#first;
    sleeper.later = first;
    if (first !== undefined) first.earlier = sleeper;
    this.#first = sleeper;
    if (sleeper.due < this.#next) this.#set(sleeper.due, now);
  }

  remove(sleeper: Sleeper): void {
    const { earlier, later } = sleeper;
    if (earlier !== undefined) earlier.later = later;
    else if (this.#first === sleeper) this.#first = later;
    if (later !== undefined) later.earlier = earlier;
    sleeper.earlier = undefined; // one that has grown old would keep its neighbours from being collected young
    sleeper.later = undefined;
    sleeper.wake = undefined;
  }

  #set(due: number, now: number): void {
    this.#timer?.clear();
    this.#next = due;
    this.#timer = systemClock.setTimeout(Alarm.#onTimer, due - now, this);
  }

  static #onTimer(alarm: Alarm): void {
    alarm.#ring(systemClock.now());
  }

  #ring(now: number): void {
    this.#timer = undefined;
    this.#next = Number.POSITIVE_INFINITY;
    let next = Number.POSITIVE_INFINITY;
    for (let sleeper = this.#first; sleeper !== undefined; ) {
      const { later, due, wake } = sleeper;
      if (due <= now) {
        this.remove(sleeper);
        wake?.(this.#reason);
      } else if (due < next) {
        next = due;
      }
      sleeper = later;
    }
    if (next !== Number.POSITIVE_INFINITY) this.#set(next, now);
  }
}
