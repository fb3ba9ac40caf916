// Reads a request body within the limits of the server: as one piece, or as a stream that holds the sender back.
import type { UnderlyingByteSource } from "node:stream/web";
import type { Clock, Timer } from "@proj/concurrency";
import type { Exchange } from "./exchange.ts";
import { valueIn } from "./list-headers.ts";
import { HttpProblem } from "./problem.ts";

/** What a body may cost. */
export interface BodyLimits {
  /** Most bytes of a body; more is answered 413. */
  readonly maxBodySize: number;
  /** Longest wait for the next bytes of a body that a handler reads; longer is answered 408. */
  readonly bodyTimeout: number;
  readonly clock: Clock;
}

/** The declared length of a body; undefined where it is not declared. */
export function declaredLength(exchange: Exchange): number | undefined {
  const text = valueIn(exchange.headers, "content-length");
  return text === undefined ? undefined : Number(text);
}

export function tooLarge(limit: number): HttpProblem {
  return new HttpProblem({ status: 413, detail: `The body is larger than ${limit} bytes`, limit });
}

/** The whole body in one piece. */
export async function readAll(exchange: Exchange, limits: BodyLimits): Promise<Uint8Array> {
  const body = new LimitedBody(exchange, limits);
  const first = await body.next();
  if (first === undefined) return new Uint8Array();
  const chunks = [first];
  for (let chunk = await body.next(); chunk !== undefined; chunk = await body.next()) chunks.push(chunk);
  return chunks.length === 1 ? first : Buffer.concat(chunks);
}

/** The body as a platform stream; cancelling it stops the upload. */
export function bodyStream(exchange: Exchange, limits: BodyLimits): ReadableStream<Uint8Array> {
  let body: LimitedBody | undefined;
  const source: UnderlyingByteSource = {
    type: "bytes",
    async pull(controller) {
      body ??= new LimitedBody(exchange, limits);
      const chunk = await body.next();
      if (chunk !== undefined) {
        controller.enqueue(new Uint8Array(chunk)); // a copy: enqueue() takes the memory away from its owner
        return;
      }
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel() {
      body ??= new LimitedBody(exchange, limits);
      body.stop();
    },
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}

/** Hands out the chunks of a body; fails when it grows over the limit or stands still for too long. */
class LimitedBody {
  readonly #limits: BodyLimits;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #size = 0;
  #since: number;
  #timer: Timer | undefined;
  #idle: ((problem: HttpProblem) => void) | undefined;

  constructor(exchange: Exchange, limits: BodyLimits) {
    this.#limits = limits;
    this.#chunks = exchange.body()[Symbol.asyncIterator]();
    this.#since = limits.clock.now();
  }

  /** The next chunk, or undefined at the end. */
  next(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      this.#since = this.#limits.clock.now();
      this.#timer ??= this.#startTimer(this.#limits.bodyTimeout);
      this.#idle = reject;
      this.#chunks.next().then(
        (step) => {
          this.#idle = undefined;
          if (step.done) {
            this.#stopTimer();
            resolve(undefined);
            return;
          }
          this.#size += step.value.byteLength;
          if (this.#size <= this.#limits.maxBodySize) return resolve(step.value);
          this.stop();
          reject(tooLarge(this.#limits.maxBodySize));
        },
        (error: unknown) => {
          this.#stopTimer();
          reject(error);
        },
      );
    });
  }

  stop(): void {
    this.#stopTimer();
    this.#chunks.return?.().catch(() => {}); // the transport reports a lost connection by itself
  }

  /** One timer for the whole body: it looks at when the reader began to wait, and starts again for the rest. */
  #startTimer(delay: number): Timer {
    const { bodyTimeout, clock } = this.#limits;
    return clock.setTimeout(() => {
      this.#timer = undefined;
      if (this.#idle === undefined) return; // the reader is at work; its next wait starts a timer
      const left = this.#since + bodyTimeout - clock.now();
      if (left > 0) {
        this.#timer = this.#startTimer(left);
        return;
      }
      this.#idle(new HttpProblem({ status: 408, detail: `The body stood still for ${bodyTimeout} ms` }));
      this.stop();
    }, delay);
  }

  #stopTimer(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }
}
