// The points of a hash ring, in their order. A change costs one pass, not a new sort.
import { finish, hash } from "./balance-hash.ts";
import type { Candidate } from "./balance-strategy.ts";

/** A candidate with the number of its points. */
interface Placed {
  readonly candidate: Candidate;
  readonly count: number;
}

export class RingPoints {
  readonly #replicas: number;
  #all: readonly Candidate[] | undefined;
  #placed = new Map<string, Placed>();
  /** By slot. */
  #candidates: Candidate[] = [];
  #hashes = new Uint32Array(0);
  /** The slot of each point. */
  #slots = new Uint32Array(0);
  /** Where the points begin that have the same first bits; about one point has. */
  #starts = new Uint32Array(2);
  #shift = 31;

  constructor(replicas: number) {
    this.#replicas = replicas;
  }

  get size(): number {
    return this.#slots.length;
  }

  /** Whose point it is. */
  owner(at: number): Candidate {
    return this.#candidates[this.#slots[at] as number] as Candidate;
  }

  /** The first point at or after the hash, around the ring. */
  find(point: number): number {
    const hashes = this.#hashes;
    let at = this.#starts[point >>> this.#shift] as number;
    while (at < hashes.length && (hashes[at] as number) < point) at++;
    return at === hashes.length ? 0 : at;
  }

  /**
   * Takes these candidates, and moves nobody else's points. One of the highest weight has all replicas, the others their
   * part of them; a smaller part is always the beginning of the larger one.
   */
  update(all: readonly Candidate[]): void {
    if (all === this.#all) return;
    this.#all = all;
    const heaviest = all.reduce((most, { endpoint }) => Math.max(most, endpoint.weight ?? 1), 0);
    const next = new Map<string, Placed>();
    const kept = new Set<number>();
    const fresh: Placed[] = [];
    for (const candidate of all) {
      const { id, weight = 1 } = candidate.endpoint;
      const count = Math.max(1, Math.round((this.#replicas * weight) / heaviest));
      const before = this.#placed.get(id);
      const isSame = before?.candidate === candidate && before.count === count;
      if (isSame) kept.add(candidate.slot);
      else fresh.push({ candidate, count });
      next.set(id, isSame ? before : { candidate, count });
    }
    const isSame = fresh.length === 0 && kept.size === this.#placed.size;
    this.#placed = next;
    if (isSame) return;
    const old = this.#candidates;
    this.#candidates = [];
    for (const candidate of all) this.#candidates[candidate.slot] = candidate;
    // Of one hash the first by id comes first, so that all processes agree, whoever became known first.
    fresh.sort((one, other) => (one.candidate.endpoint.id < other.candidate.endpoint.id ? -1 : 1));
    this.#merge(old, kept, fresh);
    this.#index();
  }

  #merge(old: readonly Candidate[], kept: ReadonlySet<number>, fresh: readonly Placed[]): void {
    const added = sortedPoints(fresh);
    const [oldHashes, oldSlots] = [this.#hashes, this.#slots];
    const isKept = Uint8Array.from(old, (candidate) => (candidate !== undefined && kept.has(candidate.slot) ? 1 : 0));
    const hashes = new Uint32Array(oldHashes.length + added.length);
    const slots = new Uint32Array(hashes.length);
    let size = 0;
    let next = 0;
    for (let at = 0; at <= oldHashes.length; at++) {
      const isLast = at === oldHashes.length;
      const oldHash = isLast ? Number.POSITIVE_INFINITY : (oldHashes[at] as number);
      const oldSlot = isLast ? 0 : (oldSlots[at] as number);
      if (!isLast && isKept[oldSlot] === 0) continue;
      for (; next < added.length; next++) {
        const point = added[next] as number;
        const [pointHash, { candidate }] = [Math.floor(point / span), fresh[point % span] as Placed];
        if (pointHash > oldHash || (pointHash === oldHash && comesBefore(old[oldSlot], candidate))) break;
        hashes[size] = pointHash;
        slots[size++] = candidate.slot;
      }
      if (isLast) break;
      hashes[size] = oldHash;
      slots[size++] = oldSlot;
    }
    this.#hashes = hashes.slice(0, size);
    this.#slots = slots.slice(0, size);
  }

  #index(): void {
    const hashes = this.#hashes;
    const bits = Math.max(1, Math.ceil(Math.log2(hashes.length + 1)));
    this.#shift = 32 - bits;
    this.#starts = new Uint32Array(2 ** bits);
    let at = 0;
    for (let start = 0; start < this.#starts.length; start++) {
      while (at < hashes.length && (hashes[at] as number) >>> this.#shift < start) at++;
      this.#starts[start] = at;
    }
  }
}

/** More candidates than there ever are; a hash times this still is an exact number. */
const span = 2 ** 20;

/** Hashes, in order, each with the place of its owner as the last digits. */
function sortedPoints(placed: readonly Placed[]): Float64Array {
  const points = new Float64Array(placed.reduce((sum, { count }) => sum + count, 0));
  let size = 0;
  placed.forEach(({ candidate, count }, place) => {
    const { id } = candidate.endpoint;
    // Two hashes, so that two ids that agree in one of them do not agree in all their points.
    const start = hash(id, 0);
    const stride = hash(id, 0x9e3779b9) | 1;
    for (let replica = 0; replica < count; replica++) {
      points[size++] = finish((start + Math.imul(replica, stride)) | 0) * span + place;
    }
  });
  return points.sort();
}

function comesBefore(one: Candidate | undefined, other: Candidate): boolean {
  return one !== undefined && one.endpoint.id < other.endpoint.id;
}
