// Which key has which circuit, within a bound: those that nobody uses are forgotten, the least recently used first.
import { Circuit, type CircuitHost } from "./circuit.ts";

/** A map with its entries linked in order of use, so that each use costs a few writes and no search. */
export class CircuitTable {
  readonly #host: CircuitHost;
  readonly #circuits = new Map<string | undefined, Circuit>();
  readonly #onForgotten: (circuit: Circuit) => void;
  #newest: Circuit | undefined;
  #oldest: Circuit | undefined;

  constructor(host: CircuitHost, onForgotten: (circuit: Circuit) => void) {
    this.#host = host;
    this.#onForgotten = onForgotten;
  }

  get size(): number {
    return this.#circuits.size;
  }

  get newest(): Circuit | undefined {
    return this.#newest;
  }

  /** Finds the circuit of a key, without using it. */
  find(key: string | undefined): Circuit | undefined {
    const newest = this.#newest;
    return newest !== undefined && newest.key === key ? newest : this.#circuits.get(key);
  }

  /** Finds or makes the circuit of a key, which is now the most recently used. */
  use(key: string | undefined, now: number): Circuit {
    let circuit = this.find(key);
    if (circuit === undefined) {
      this.#makeRoom(now);
      circuit = new Circuit(this.#host, key);
      this.#circuits.set(key, circuit);
      this.#push(circuit);
    } else if (circuit !== this.#newest) {
      this.#unlink(circuit);
      this.#push(circuit);
    }
    circuit.usedAt = now;
    return circuit;
  }

  forget(key: string | undefined): void {
    const circuit = this.#circuits.get(key);
    if (circuit !== undefined) this.#forget(circuit);
  }

  clear(): void {
    while (this.#oldest !== undefined) this.#forget(this.#oldest);
  }

  /** From the least recently used on. */
  *[Symbol.iterator](): Generator<Circuit, void> {
    for (let circuit = this.#oldest; circuit !== undefined; circuit = circuit.newer) yield circuit;
  }

  #makeRoom(now: number): void {
    const { maxKeys, maxIdle } = this.#host.settings;
    for (let oldest = this.#oldest; oldest !== undefined; oldest = this.#oldest) {
      if (this.#circuits.size < maxKeys && now - oldest.usedAt < maxIdle) return;
      this.#forget(oldest);
    }
  }

  #forget(circuit: Circuit): void {
    this.#circuits.delete(circuit.key);
    this.#unlink(circuit);
    this.#onForgotten(circuit);
  }

  #push(circuit: Circuit): void {
    circuit.older = this.#newest;
    circuit.newer = undefined;
    if (this.#newest === undefined) this.#oldest = circuit;
    else this.#newest.newer = circuit;
    this.#newest = circuit;
  }

  #unlink(circuit: Circuit): void {
    const { older, newer } = circuit;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
  }
}
