// One direction of a UDP session: which datagrams come through, when, in which order and how often.
import type { Clock, Timer } from "@proj/concurrency";
import type { ReorderToxic, UdpToxic } from "./chaos-toxic.ts";
import { corrupted, delayOf, isHit, type NumberedToxic, ofType } from "./chaos-toxics.ts";

export interface UdpLinkSettings {
  readonly clock: Clock;
  readonly seed: number;
  /** Bytes on their way at most. */
  readonly buffer: number;
  readonly send: (data: Buffer) => void;
}

/** What became of the datagrams of a link, or of several. */
export interface DatagramCounts {
  /** Came in. */
  readonly received: number;
  /** Went out, copies included. */
  readonly sent: number;
  /** Lost on purpose. */
  readonly lost: number;
  /** Lost because too many waited for bandwidth, or were on their way. */
  readonly overflowed: number;
  /** Went out twice. */
  readonly duplicated: number;
  /** Held back until later ones had gone out. */
  readonly reordered: number;
  /** Went out with another byte. */
  readonly corrupted: number;
}

/** A datagram that others are to overtake. */
interface Held {
  readonly number: number;
  readonly data: Buffer;
  left: number;
  timer: Timer | undefined;
}

export class UdpLink {
  readonly #settings: UdpLinkSettings;
  readonly #held = new Set<Held>();
  readonly #timers = new Set<Timer>();
  readonly #counts = { received: 0, sent: 0, lost: 0, overflowed: 0, duplicated: 0, reordered: 0, corrupted: 0 };
  #plan: Plan = planOf([]);
  #isClosed = false;
  /** Bytes that wait for their time. */
  #pending = 0;
  /** When the bandwidth is free again. */
  #freeAt = 0;

  constructor(settings: UdpLinkSettings) {
    this.#settings = settings;
  }

  get counts(): DatagramCounts {
    return this.#counts;
  }

  /** Datagrams on their way keep their delay; those that are held back go on. */
  set toxics(entries: readonly NumberedToxic<UdpToxic>[]) {
    this.#plan = planOf(entries);
    this.#freeAt = 0;
    for (const held of [...this.#held]) this.#release(held);
  }

  /** Takes a datagram, which must not change afterwards. */
  take(data: Buffer): void {
    const { seed } = this.#settings;
    const { isDropping, losses, corruptions, duplications, reorders } = this.#plan;
    const number = this.#counts.received++;
    if (isDropping || losses.some((loss) => isHit(loss, seed, number))) {
      this.#counts.lost++;
      return;
    }
    let content = data;
    if (corruptions.some((toxic) => isHit(toxic, seed, number))) {
      this.#counts.corrupted++;
      content = corrupted(data, seed, number);
    }
    const reorder = reorders.find((toxic) => isHit(toxic, seed, number));
    if (reorder !== undefined) this.#hold(content, number, reorder.toxic);
    else this.#dispatch(content, number);
    if (duplications.some((toxic) => isHit(toxic, seed, number))) {
      this.#counts.duplicated++;
      this.#dispatch(content, number);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.clear();
    for (const { timer } of this.#held) timer?.clear();
    this.#held.clear();
  }

  #dispatch(data: Buffer, number: number): void {
    const { clock, seed, buffer } = this.#settings;
    const { latencies, msPerByte, queue } = this.#plan;
    const cost = costOf(data);
    let delay = latencies.length === 0 ? 0 : delayOf(latencies, seed, number);
    let freeAt = this.#freeAt;
    let isTooLate = false;
    if (msPerByte > 0) {
      const now = clock.now();
      const backlog = Math.max(0, freeAt - now);
      isTooLate = backlog > queue * msPerByte;
      freeAt = now + backlog + data.length * msPerByte;
      delay += freeAt - now;
    }
    if (isTooLate || (delay > 0 && this.#pending + cost > buffer)) {
      this.#counts.overflowed++;
      return;
    }
    this.#freeAt = freeAt; // what is lost has used up no bandwidth
    if (delay === 0) {
      this.#send(data, number);
      return;
    }
    this.#pending += cost;
    const timer = clock.setTimeout(() => {
      this.#timers.delete(timer);
      this.#pending -= cost;
      this.#send(data, number);
    }, delay);
    this.#timers.add(timer);
  }

  #hold(data: Buffer, number: number, { gap = 3, hold = 50 }: ReorderToxic): void {
    if (this.#pending + costOf(data) > this.#settings.buffer) {
      this.#counts.overflowed++;
      return;
    }
    this.#counts.reordered++;
    this.#pending += costOf(data);
    const held: Held = { number, data, left: gap, timer: undefined };
    this.#held.add(held);
    held.timer = this.#settings.clock.setTimeout(() => this.#release(held), hold);
  }

  #release(held: Held): void {
    if (!this.#held.delete(held)) return;
    held.timer?.clear();
    this.#pending -= costOf(held.data);
    this.#dispatch(held.data, held.number);
  }

  #send(data: Buffer, number: number): void {
    if (this.#isClosed) return;
    this.#counts.sent++;
    this.#settings.send(data);
    for (const held of this.#held) if (held.number < number && --held.left === 0) this.#release(held);
  }
}

/** What a datagram takes of the buffer: even an empty one takes memory, and no frame of Ethernet is shorter. */
function costOf(data: Buffer): number {
  return Math.max(64, data.length);
}

type Of<K extends UdpToxic["type"]> = readonly NumberedToxic<Extract<UdpToxic, { readonly type: K }>>[];

interface Plan {
  readonly latencies: Of<"latency">;
  readonly losses: Of<"loss">;
  readonly corruptions: Of<"corrupt">;
  readonly duplications: Of<"duplicate">;
  readonly reorders: Of<"reorder">;
  readonly isDropping: boolean;
  readonly msPerByte: number;
  /** Bytes that may wait for bandwidth. */
  readonly queue: number;
}

function planOf(entries: readonly NumberedToxic<UdpToxic>[]): Plan {
  const [slowest] = ofType(entries, "bandwidth").toSorted((a, b) => a.toxic.bytesPerSecond - b.toxic.bytesPerSecond);
  return {
    latencies: ofType(entries, "latency"),
    losses: ofType(entries, "loss"),
    corruptions: ofType(entries, "corrupt"),
    duplications: ofType(entries, "duplicate"),
    reorders: ofType(entries, "reorder"),
    isDropping: ofType(entries, "drop").length > 0,
    msPerByte: slowest === undefined ? 0 : 1_000 / slowest.toxic.bytesPerSecond,
    queue: slowest?.toxic.queue ?? 65_536,
  };
}
