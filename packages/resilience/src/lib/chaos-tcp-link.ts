// One direction of a proxied TCP connection: what comes in goes out, as late and as slowly as its toxics want.
import type { Socket } from "node:net";
import type { Clock, Timer } from "@proj/concurrency";
import type { LimitToxic, TcpToxic } from "./chaos-toxic.ts";
import { corrupted, delayOf, isHit, type NumberedToxic, ofType } from "./chaos-toxics.ts";

/** What a link needs to know. */
export interface TcpLinkSettings {
  readonly clock: Clock;
  readonly seed: number;
  /** Bytes that wait at most. */
  readonly buffer: number;
  /** A limit is reached. */
  readonly onLimit: () => void;
}

/** A chunk on its way; without data, the end. */
interface Piece {
  readonly number: number;
  readonly at: number;
  data: Buffer | undefined;
  /** One byte of it is another one already: it goes out in several slices. */
  isSpoiled: boolean;
}

/** At most so much of a chunk goes out at a time where there is a bandwidth: smooth, and not a timer per byte. */
const sliceMs = 20;

export class TcpLink {
  readonly #source: Socket;
  readonly #target: Socket;
  readonly #settings: TcpLinkSettings;
  readonly #queue: Piece[] = [];
  #toxics: Plan = planOf([]);
  #pieces = 0;
  #queued = 0;
  /** Passed on so far, and how much of it before the present limit. */
  #bytes = 0;
  #beforeLimit = 0;
  #dropped = 0;
  /** Before this time nothing goes out: the bandwidth is used up. */
  #freeAt = 0;
  #isBlocked = false;
  #isDone = false;
  #timer: Timer | undefined;

  constructor(source: Socket, target: Socket, settings: TcpLinkSettings) {
    this.#source = source;
    this.#target = target;
    this.#settings = settings;
    source.on("data", (data: Buffer) => this.#take(data));
    source.on("end", () => this.#take(undefined));
    target.on("drain", () => {
      this.#isBlocked = false;
      this.#freeAt = Math.max(this.#freeAt, settings.clock.now()); // a slow reader does not save up bandwidth
      this.#pump();
    });
  }

  /** Bytes passed on. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes that wait here, without those that the system has taken. */
  get queued(): number {
    return this.#queued;
  }

  /** Bytes that got lost. */
  get dropped(): number {
    return this.#dropped;
  }

  set toxics(entries: readonly NumberedToxic<TcpToxic>[]) {
    const { limit } = this.#toxics;
    this.#toxics = planOf(entries);
    if (this.#toxics.limit !== limit) this.#beforeLimit = this.#bytes;
    this.#freeAt = 0; // what a bandwidth has put off is not put off by another
    this.#pump();
  }

  close(): void {
    this.#isDone = true;
    this.#timer?.clear();
    this.#queue.length = 0;
    this.#queued = 0;
  }

  #take(data: Buffer | undefined): void {
    if (this.#isDone) return;
    const at = this.#settings.clock.now();
    if (this.#queue.length === 0) this.#freeAt = Math.max(this.#freeAt, at); // idle time is not saved up
    this.#queue.push({ number: this.#pieces++, at, data, isSpoiled: false });
    this.#queued += data?.length ?? 0;
    this.#pump();
  }

  /** Passes on what is due, and looks again when the next piece is. */
  #pump(): void {
    this.#timer?.clear();
    const wait = this.#passOn();
    if (wait > 0 && wait !== Number.POSITIVE_INFINITY) {
      this.#timer = this.#settings.clock.setTimeout(() => this.#pump(), wait);
    }
    const isFull = this.#queued >= this.#settings.buffer || this.#toxics.isHalfOpen;
    if (isFull) this.#source.pause();
    else this.#source.resume();
  }

  /** Milliseconds until the next piece is due; `Infinity` while something else has to happen first. */
  #passOn(): number {
    const { clock } = this.#settings;
    const plan = this.#toxics;
    for (let piece = this.#queue[0]; piece !== undefined; piece = this.#queue[0]) {
      if (this.#isDone || this.#isBlocked || plan.isHalfOpen) return Number.POSITIVE_INFINITY;
      const now = clock.now();
      const wait = Math.max(piece.at + this.#delayOf(piece), this.#freeAt) - now;
      if (wait > 0) return wait;
      if (piece.data === undefined) {
        if (plan.isDropping) return Number.POSITIVE_INFINITY; // its end gets lost as well, until things are better
        this.#finish();
      } else this.#write(piece, piece.data, now);
    }
    return Number.POSITIVE_INFINITY;
  }

  #write(piece: Piece, content: Buffer, now: number): void {
    const data = this.#spoil(piece, content);
    const { slice, msPerByte, pause, limit, isDropping } = this.#toxics;
    const left = limit === undefined ? Number.POSITIVE_INFINITY : limit.bytes - (this.#bytes - this.#beforeLimit);
    const size = Math.min(data.length, slice, Math.max(0, left));
    const part = size < data.length ? data.subarray(0, size) : data;
    if (size < data.length) piece.data = data.subarray(size);
    else this.#queue.shift();
    this.#queued -= size;
    this.#freeAt = Math.max(this.#freeAt + size * msPerByte, pause === 0 ? 0 : now + pause);
    if (isDropping) this.#dropped += size;
    else if (size > 0) {
      this.#bytes += size;
      this.#isBlocked = !this.#target.write(part);
    }
    if (size >= left) {
      this.close();
      this.#settings.onLimit();
    }
  }

  #finish(): void {
    this.#queue.shift();
    this.#isDone = true;
    this.#target.end();
  }

  #delayOf({ number, data }: Piece): number {
    const { latencies, losses, closeDelay } = this.#toxics;
    const { seed } = this.#settings;
    let delay = latencies.length === 0 ? 0 : delayOf(latencies, seed, number);
    for (const loss of losses) if (isHit(loss, seed, number)) delay += loss.toxic.retransmit ?? 200;
    return data === undefined ? delay + closeDelay : delay;
  }

  #spoil(piece: Piece, data: Buffer): Buffer {
    const { seed } = this.#settings;
    const { number } = piece;
    if (piece.isSpoiled || !this.#toxics.corruptions.some((toxic) => isHit(toxic, seed, number))) return data;
    piece.isSpoiled = true;
    return corrupted(data, seed, number);
  }
}

type Of<K extends TcpToxic["type"]> = readonly NumberedToxic<Extract<TcpToxic, { readonly type: K }>>[];

/** The toxics as the link needs them for each piece. */
interface Plan {
  readonly latencies: Of<"latency">;
  readonly losses: Of<"loss">;
  readonly corruptions: Of<"corrupt">;
  readonly isHalfOpen: boolean;
  readonly isDropping: boolean;
  readonly closeDelay: number;
  readonly limit: LimitToxic | undefined;
  /** Bytes that go out at a time. */
  readonly slice: number;
  readonly msPerByte: number;
  /** Milliseconds after each slice. */
  readonly pause: number;
}

function planOf(entries: readonly NumberedToxic<TcpToxic>[]): Plan {
  const rate = Math.min(...ofType(entries, "bandwidth").map(({ toxic }) => toxic.bytesPerSecond));
  const drips = ofType(entries, "drip").map(({ toxic }) => toxic);
  return {
    latencies: ofType(entries, "latency"),
    losses: ofType(entries, "loss"),
    corruptions: ofType(entries, "corrupt"),
    isHalfOpen: ofType(entries, "half-open").length > 0,
    isDropping: ofType(entries, "drop").length > 0,
    closeDelay: Math.max(0, ...ofType(entries, "slow-close").map(({ toxic }) => toxic.delay)),
    limit: ofType(entries, "limit").toSorted((a, b) => a.toxic.bytes - b.toxic.bytes)[0]?.toxic,
    slice: Math.min(Math.max(1, Math.floor((rate * sliceMs) / 1_000)), ...drips.map(({ bytes = 1 }) => bytes)),
    msPerByte: rate === Number.POSITIVE_INFINITY ? 0 : 1_000 / rate,
    pause: Math.max(0, ...drips.map(({ interval }) => interval)),
  };
}
