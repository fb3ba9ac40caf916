// Those who listen on a bus, and whether the link is up: each is told of every loss and every return, in turn.
import type { Clock, Timer } from "@proj/concurrency";
import type { BusListener, Invalidation } from "./tier.ts";

/** What a link is made of. */
export interface LinkParts {
  readonly clock: Clock;
  /** Milliseconds between signs of life, and until one is missed. */
  readonly heartbeat: number;
  /** Begins to listen, with the first listener: reports with `up` and `down`. Returns what ends it. */
  start(): () => void;
  /** Resolves when the server has answered on the line on which messages come. */
  ping(): Promise<unknown>;
}

interface Entry {
  readonly listener: BusListener;
  isLost: boolean;
}

export class BusLink {
  readonly #parts: LinkParts;
  readonly #entries = new Set<Entry>();
  #isUp = false;
  #stop: (() => void) | undefined;
  #timer: Timer | undefined;
  /** Of the line: an answer that belongs to an older one says nothing. */
  #epoch = 0;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  subscribe(listener: BusListener): Disposable {
    const entry = { listener, isLost: false };
    this.#entries.add(entry);
    if (this.#stop === undefined) {
      this.#stop = this.#parts.start();
      this.#beat();
    }
    // Not from within the call, which its caller may not have come back from.
    if (!this.#isUp) queueMicrotask(() => !this.#isUp && this.#lose(entry));
    return {
      [Symbol.dispose]: () => {
        if (this.#entries.delete(entry) && this.#entries.size === 0) this.#end();
      },
    };
  }

  tell(what: Invalidation): void {
    for (const { listener } of [...this.#entries]) guard(() => listener.invalidated(what));
  }

  up(): void {
    if (this.#isUp || this.#stop === undefined) return;
    this.#isUp = true;
    for (const entry of [...this.#entries]) {
      if (!entry.isLost) continue;
      entry.isLost = false;
      guard(() => entry.listener.restored());
    }
  }

  /** A new line is on its way, or none. */
  down(): void {
    this.#epoch++;
    this.#isUp = false;
    for (const entry of [...this.#entries]) this.#lose(entry);
  }

  #lose(entry: Entry): void {
    if (entry.isLost || !this.#entries.has(entry)) return;
    entry.isLost = true;
    guard(() => entry.listener.lost());
  }

  #end(): void {
    this.#timer?.clear();
    this.#stop?.();
    this.#stop = undefined;
    this.#isUp = false;
    this.#epoch++;
  }

  /** A line may be dead without anybody having been told. */
  #beat(): void {
    const { clock, heartbeat, ping } = this.#parts;
    if (heartbeat === Number.POSITIVE_INFINITY) return;
    this.#timer = clock.setTimeout(() => {
      if (!this.#isUp) return this.#beat();
      const epoch = this.#epoch;
      const late = clock.setTimeout(() => {
        if (epoch !== this.#epoch) return;
        this.down();
        this.#epoch = epoch; // the same line: its answer still counts
      }, heartbeat);
      const answered = (): void => {
        late.clear();
        if (epoch === this.#epoch) this.up();
      };
      const stop = this.#stop;
      const next = (): void => {
        if (stop !== undefined && stop === this.#stop) this.#beat();
      };
      ping()
        .then(answered, () => late.clear())
        .then(next, next);
    }, heartbeat);
  }
}

/** A listener that throws harms nobody but the process, as any callback does. */
function guard(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
