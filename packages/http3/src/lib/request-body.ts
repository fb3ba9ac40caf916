// Reads a request body within the limits of the server: as one piece, or as a stream that holds the sender back.
import type { UnderlyingByteSource } from "node:stream/web";
import type { Exchange } from "./exchange.ts";
import type { IdleWatch, Waiting } from "./idle-watch.ts";
import { valueIn } from "./list-headers.ts";
import { HttpProblem } from "./problem.ts";

/** What a body may cost. */
export interface BodyLimits {
  /** Most bytes of a body; more is answered 413. */
  readonly maxBodySize: number;
  /** Watches the wait for the next bytes of a body that a handler reads; too long is answered 408. */
  readonly idle: IdleWatch;
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
class LimitedBody implements Waiting {
  readonly #limits: BodyLimits;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #size = 0;
  #reject: ((problem: HttpProblem) => void) | undefined;

  constructor(exchange: Exchange, limits: BodyLimits) {
    this.#limits = limits;
    this.#chunks = exchange.body()[Symbol.asyncIterator]();
  }

  /** The next chunk, or undefined at the end. */
  next(): Promise<Uint8Array | undefined> {
    const { idle, maxBodySize } = this.#limits;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      idle.begin(this);
      this.#chunks.next().then(
        (step) => {
          idle.end(this);
          if (step.done) {
            resolve(undefined);
            return;
          }
          this.#size += step.value.byteLength;
          if (this.#size <= maxBodySize) {
            resolve(step.value);
            return;
          }
          this.stop();
          reject(tooLarge(maxBodySize));
        },
        (error: unknown) => {
          idle.end(this);
          reject(error);
        },
      );
    });
  }

  expire(): void {
    this.#reject?.(new HttpProblem({ status: 408, detail: "The body of the request stood still for too long" }));
    this.stop();
  }

  stop(): void {
    this.#chunks.return?.().catch(() => {}); // the transport reports a lost connection by itself
  }
}
