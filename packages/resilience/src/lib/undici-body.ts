// The body of a request, which may have to be sent more than once.
import { Readable } from "node:stream";
import type { Dispatcher } from "undici";

/** As undici takes it, and some that its types leave out. */
export type Body = Dispatcher.DispatchOptions["body"] | AsyncIterable<unknown> | Iterable<unknown>;

/**
 * Hands out the body for each attempt. What is in memory can be sent as often as wanted. A stream can be sent once; but if
 * its length is known and not too long, what was sent of it is kept until the end of the call, and sent again from there.
 */
export class RequestBody {
  readonly #body: Body;
  readonly #source: AsyncIterator<unknown> | undefined;
  readonly #stream: Readable | undefined;
  readonly #chunks: unknown[] | undefined;
  #pulling: Promise<void> | undefined;
  #isTouched = false;
  #isOver = false;
  /** What the source has failed with, told to whoever reads from then on: half a body must not look whole. */
  #failure: { readonly error: unknown } | undefined;

  /** `length` is what the request says it will be; one above `max` bytes, or none, is not kept. */
  constructor(body: Body, length: number | undefined, max: number) {
    this.#body = body;
    if (!isStream(body)) return;
    if (body instanceof Readable) {
      this.#stream = body;
      body.on("error", () => {}); // whoever reads it is told, but it may fail before anybody does
    }
    this.#source = iteratorOf(body);
    if (length !== undefined && length <= max) this.#chunks = [];
  }

  /** Whether it can be sent as often as wanted. */
  get isRepeatable(): boolean {
    return this.#source === undefined || this.#chunks !== undefined;
  }

  /** Whether it cannot be sent any more. */
  get isSpent(): boolean {
    return this.#isTouched && !this.isRepeatable;
  }

  /** Whether this is what the body itself has failed with, which says nothing of the server. */
  isFailure(error: unknown): boolean {
    return this.#failure !== undefined && this.#failure.error === error;
  }

  /** For one attempt. */
  take(): Body {
    if (this.#source === undefined) return this.#body;
    return this.#chunks === undefined ? this.#once(this.#source) : this.#again(this.#source, this.#chunks);
  }

  /** When nobody will send it any more: what has not been read is not wanted. */
  end(): void {
    if (this.#source === undefined || this.#isOver) return;
    this.#isOver = true;
    if (this.#stream !== undefined) this.#stream.destroy();
    else Promise.resolve(this.#source.return?.()).catch(() => {});
  }

  /** A generator that is not begun leaves the source alone: so a refused connection does not spend the body. */
  async *#once(source: AsyncIterator<unknown>): AsyncGenerator<unknown> {
    this.#isTouched = true;
    for (let next = await this.#next(source); next.done !== true; next = await this.#next(source)) yield next.value;
    this.#isOver = true;
  }

  async *#again(source: AsyncIterator<unknown>, chunks: unknown[]): AsyncGenerator<unknown> {
    for (let i = 0; ; i++) {
      // Two attempts may be under way: one of them reads for both.
      while (i >= chunks.length && !this.#isOver) {
        if (this.#failure !== undefined) throw this.#failure.error;
        this.#pulling ??= this.#pull(source, chunks);
        await this.#pulling;
      }
      if (i >= chunks.length) return;
      yield chunks[i];
    }
  }

  async #pull(source: AsyncIterator<unknown>, chunks: unknown[]): Promise<void> {
    try {
      const next = await this.#next(source);
      if (next.done === true) this.#isOver = true;
      else chunks.push(next.value);
    } finally {
      this.#pulling = undefined;
    }
  }

  async #next(source: AsyncIterator<unknown>): Promise<IteratorResult<unknown>> {
    try {
      return await source.next();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}

function isStream(body: Body): body is Readable | AsyncIterable<unknown> {
  if (typeof body !== "object" || body === null || ArrayBuffer.isView(body)) return false;
  // FormData and the like can be iterated too, but are no streams.
  if (body instanceof Readable) return true;
  return Symbol.asyncIterator in body || typeof (body as Partial<Iterator<unknown>>).next === "function";
}

function iteratorOf(body: AsyncIterable<unknown>): AsyncIterator<unknown> {
  if (body instanceof Readable) return body.iterator({ destroyOnReturn: false });
  if (Symbol.asyncIterator in body) return body[Symbol.asyncIterator]();
  return (async function* () {
    yield* body as Iterable<unknown>; // an iterator that is iterable, as generators are
  })();
}
