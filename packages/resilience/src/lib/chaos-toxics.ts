// The toxics of a proxy, and which of them act on a connection.
import { drawFor, mix } from "./chaos-random.ts";
import { checkToxic, type Toxic } from "./chaos-toxic.ts";

/** A toxic with a number, which its draws depend on. */
export interface NumberedToxic<T extends Toxic = Toxic> {
  readonly id: number;
  readonly toxic: T;
}

/** A list that tells when it changes. */
export class ToxicList<T extends Toxic> {
  readonly #types: readonly Toxic["type"][];
  readonly #changed: () => void;
  #next = 0;
  #entries: readonly NumberedToxic<T>[] = [];

  constructor(types: readonly Toxic["type"][], initial: readonly T[], changed: () => void) {
    this.#types = types;
    this.#changed = changed;
    this.#entries = initial.map((toxic) => this.#enter(toxic));
  }

  get entries(): readonly NumberedToxic<T>[] {
    return this.#entries;
  }

  get toxics(): readonly T[] {
    return this.#entries.map(({ toxic }) => toxic);
  }

  has(type: T["type"]): boolean {
    return this.#entries.some(({ toxic }) => toxic.type === type);
  }

  add(toxic: T): Disposable {
    const entry = this.#enter(toxic);
    this.#entries = [...this.#entries, entry];
    this.#changed();
    return {
      [Symbol.dispose]: () => {
        if (!this.#entries.includes(entry)) return;
        this.#entries = this.#entries.filter((other) => other !== entry);
        this.#changed();
      },
    };
  }

  set(toxics: readonly T[]): void {
    const entries = toxics.map((toxic) => this.#enter(toxic)); // one that makes no sense changes nothing
    if (entries.length === 0 && this.#entries.length === 0) return;
    this.#entries = entries;
    this.#changed();
  }

  #enter(toxic: T): NumberedToxic<T> {
    return { id: this.#next++, toxic: { ...checkToxic(toxic, this.#types) } };
  }
}

/** The toxics that act on one direction of the connection with this number. */
export function toxicsFor<T extends Toxic>(
  entries: readonly NumberedToxic<T>[],
  direction: "upstream" | "downstream",
  seed: number,
  connection: number,
): readonly NumberedToxic<T>[] {
  return entries.filter(({ id, toxic }) => {
    const share = "share" in toxic ? (toxic.share ?? 1) : 1;
    const way = directionOf(toxic);
    return (way === "both" || way === direction) && drawFor(mix(seed, connection), id, 0) < share;
  });
}

function directionOf(toxic: Toxic): string {
  const standard = toxic.type === "half-open" || toxic.type === "drop" ? "both" : "downstream";
  return ("direction" in toxic ? toxic.direction : undefined) ?? standard;
}

/** Those of one type. */
export function ofType<T extends Toxic, K extends T["type"]>(
  entries: readonly NumberedToxic<T>[],
  type: K,
): readonly NumberedToxic<Extract<T, { readonly type: K }>>[] {
  return entries.filter(({ toxic }) => toxic.type === type) as NumberedToxic<Extract<T, { readonly type: K }>>[]; // just filtered
}

/** Milliseconds that one piece is late by, from the numbers drawn for it. */
export function delayOf(
  entries: readonly NumberedToxic<Extract<Toxic, { readonly type: "latency" }>>[],
  seed: number,
  piece: number,
): number {
  let delay = 0;
  for (const { id, toxic } of entries) {
    const { latency, jitter = 0 } = toxic;
    delay += Math.max(0, latency + (jitter === 0 ? 0 : (drawFor(seed, piece, 2 * id) * 2 - 1) * jitter));
  }
  return delay;
}

/** Whether a toxic that hits a share of the pieces hits this one. */
export function isHit(
  { id, toxic }: NumberedToxic<Extract<Toxic, { readonly rate: number }>>,
  seed: number,
  piece: number,
): boolean {
  return drawFor(seed, piece, 2 * id + 1) < toxic.rate;
}

/** A copy in which one byte is another one. */
export function corrupted(data: Buffer, seed: number, piece: number): Buffer {
  if (data.length === 0) return data;
  const copy = Buffer.from(data);
  const draw = mix(mix(seed, piece), 0x5eed);
  const at = draw % copy.length;
  copy[at] = (copy[at] as number) ^ (1 + ((draw >>> 8) % 255)); // within its length, and never the same byte
  return copy;
}
