// A server that does so many things at a time, and lets the rest wait.
import type { Simulation } from "./simulation.ts";

export interface ServerOptions {
  /** Requests at a time. Can be changed. */
  readonly slots: number;
  /** Milliseconds that a request takes. */
  readonly service: () => number;
  /** Requests that may wait. Default: any number, as in the accept queue of nearly every server. */
  readonly queue?: number;
}

type Done = (error: Error | undefined) => void;

/** An answer that is none. */
export class ServerError extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`The server answered ${status}`);
    this.status = status;
  }
}

export class Server {
  slots: number;
  /** How many times as long everything takes. */
  slowness = 1;
  /** The share of requests that fail at once. */
  failures = 0;
  /** Requests that were begun, whether somebody still wanted them or not. */
  served = 0;
  /** All that came. */
  received = 0;
  busy = 0;
  readonly #simulation: Simulation;
  readonly #service: () => number;
  readonly #queue: number;
  readonly #random: () => number;
  #waiting: Done[] = [];
  #head = 0;

  constructor(simulation: Simulation, { slots, service, queue = Number.POSITIVE_INFINITY }: ServerOptions) {
    this.#simulation = simulation;
    this.slots = slots;
    this.#service = service;
    this.#queue = queue;
    this.#random = simulation.stream();
  }

  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  /** A request by callback, for worlds without promises. */
  request(done: Done): void {
    this.received++;
    if (this.failures > 0 && this.#random() < this.failures) {
      this.#simulation.after(1, () => done(new ServerError(500)));
    } else if (this.busy < this.slots) {
      this.#serve(done);
    } else if (this.waiting >= this.#queue) {
      this.#simulation.after(1, () => done(new ServerError(503)));
    } else {
      this.#waiting.push(done);
    }
  }

  /** A request. A server does not know that its client has gone: the work is done all the same, as it mostly is. */
  handle(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.request((error) => {
        if (error === undefined) resolve("answer");
        else reject(error);
      });
    });
  }

  #serve(done: Done): void {
    this.busy++;
    this.served++;
    this.#simulation.after(this.#service() * this.slowness, () => {
      this.busy--;
      done(undefined);
      this.#serveNext();
    });
  }

  #serveNext(): void {
    while (this.busy < this.slots && this.#head < this.#waiting.length) {
      const next = this.#waiting[this.#head++] as Done; // below the length
      if (this.#head > 1_000 && this.#head * 2 > this.#waiting.length) {
        this.#waiting = this.#waiting.slice(this.#head);
        this.#head = 0;
      }
      this.#serve(next);
    }
  }
}
