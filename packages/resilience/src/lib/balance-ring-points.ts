// The points of a hash ring, in their order. A change costs one pass, not a new sort.
import { finish, hash } from "./balance-hash.ts";
import type { Candidate } from "./balance-strategy.ts";

interface Placed {
  readonly candidate: Candidate;
  readonly count: number;
}

export class RingPoints {
  readonly #replicas: number;
  #placed = new Map<string, Placed>();
  #hashes = new Uint32Array(0);
  #owners: Candidate[] = [];

  constructor(replicas: number) {
    this.#replicas = replicas;
  }

  get size(): number {
    return this.#owners.length;
  }

  /** Whose point it is. */
  owner(at: number): Candidate {
    return this.#owners[at] as Candidate;
  }

  /** The first point at or after the hash, around the ring. */
  find(point: number): number {
    const hashes = this.#hashes;
    let low = 0;
    let high = hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((hashes[middle] as number) < point) low = middle + 1;
      else high = middle;
    }
    return low === hashes.length ? 0 : low;
  }

  /**
   * Takes these candidates, and moves nobody else's points. One of the highest weight has all replicas, the others their
   * part of them; a smaller part is always the beginning of the larger one.
   */
  update(candidates: readonly Candidate[]): void {
    const heaviest = candidates.reduce((most, { endpoint }) => Math.max(most, endpoint.weight ?? 1), 0);
    const next = new Map<string, Placed>();
    const fresh: Placed[] = [];
    for (const candidate of candidates) {
      const { id, weight = 1 } = candidate.endpoint;
      const count = Math.max(1, Math.round((this.#replicas * weight) / heaviest));
      const before = this.#placed.get(id);
      const same = before?.candidate === candidate && before.count === count;
      const placed = same ? before : { candidate, count };
      next.set(id, placed);
      if (!same) fresh.push(placed);
    }
    const kept = new Set(
      [...next.values()].filter((placed) => this.#placed.get(placed.candidate.endpoint.id) === placed),
    );
    if (fresh.length === 0 && kept.size === this.#placed.size) return;
    const keptOwners = new Set([...kept].map(({ candidate }) => candidate));
    this.#placed = next;
    this.#merge(keptOwners, sortedPoints(fresh));
  }

  #merge(kept: ReadonlySet<Candidate>, fresh: readonly Point[]): void {
    const oldHashes = this.#hashes;
    const oldOwners = this.#owners;
    const hashes = new Uint32Array(oldHashes.length + fresh.length);
    const owners: Candidate[] = [];
    let next = 0;
    for (let at = 0; at <= oldOwners.length; at++) {
      const owner = oldOwners[at];
      if (owner !== undefined && !kept.has(owner)) continue;
      for (let point = fresh[next]; point !== undefined; point = fresh[++next]) {
        if (owner !== undefined && !comesBefore(point, oldHashes[at] as number, owner)) break;
        hashes[owners.length] = point.hash;
        owners.push(point.owner);
      }
      if (owner === undefined) break;
      hashes[owners.length] = oldHashes[at] as number;
      owners.push(owner);
    }
    this.#hashes = hashes.slice(0, owners.length);
    this.#owners = owners;
  }
}

interface Point {
  readonly hash: number;
  readonly owner: Candidate;
}

function sortedPoints(placed: readonly Placed[]): Point[] {
  const points: Point[] = [];
  for (const { candidate, count } of placed) {
    const { id } = candidate.endpoint;
    // Two hashes, so that two ids that agree in one of them do not agree in all their points.
    const start = hash(id, 0);
    const stride = hash(id, 0x9e3779b9) | 1;
    for (let replica = 0; replica < count; replica++) {
      points.push({ hash: finish((start + Math.imul(replica, stride)) | 0), owner: candidate });
    }
  }
  return points.sort((one, other) => one.hash - other.hash || byId(one.owner, other.owner));
}

/** In an order that does not depend on who came first: all processes must agree. */
function comesBefore(point: Point, otherHash: number, other: Candidate): boolean {
  return point.hash === otherHash ? byId(point.owner, other) < 0 : point.hash < otherHash;
}

function byId(one: Candidate, other: Candidate): number {
  return one.endpoint.id < other.endpoint.id ? -1 : 1;
}
