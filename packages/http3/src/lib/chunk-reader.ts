// Reads a Node.js stream as an async iterator with exact backpressure: one listener set, nothing per chunk but a promise.
import type { Readable } from "node:stream";

interface Waiter {
  resolve(step: IteratorResult<Uint8Array, undefined>): void;
  reject(cause: Error): void;
}

const done: IteratorResult<Uint8Array, undefined> = { done: true, value: undefined };

/** `return()` lets go of the stream and leaves it paused: the sender is held back, and the transport decides what next. */
export class ChunkReader implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #stream: Readable & { readonly aborted?: boolean };
  readonly #queue: Uint8Array[] = [];
  #waiter: Waiter | undefined;
  #end: "ended" | Error | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onError).on("close", this.#onClose);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const chunk = this.#queue.shift();
    if (chunk !== undefined) return Promise.resolve({ done: false, value: chunk });
    if (this.#end === "ended") return Promise.resolve(done);
    if (this.#end !== undefined) return Promise.reject(this.#end);
    if (this.#stream.isPaused()) this.#stream.resume();
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    // The listener for errors stays: without one, an error would end the process.
    this.#stream.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onClose);
    this.#stream.pause();
    this.#queue.length = 0;
    this.#finish("ended");
    return Promise.resolve(done);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    const waiter = this.#waiter;
    if (waiter === undefined) {
      this.#queue.push(chunk);
      this.#stream.pause();
      return;
    }
    this.#waiter = undefined;
    waiter.resolve({ done: false, value: chunk });
  };

  readonly #onEnd = (): void => {
    // A stream of HTTP/2 that the client reset ends, too.
    if (this.#stream.aborted) this.#finish(lost());
    else this.#finish("ended");
  };

  readonly #onError = (cause: Error): void => this.#finish(cause);

  readonly #onClose = (): void => {
    if (this.#end === undefined) this.#finish(lost());
  };

  #finish(end: "ended" | Error): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (end === "ended") waiter?.resolve(done);
    else waiter?.reject(end);
  }
}

function lost(): Error {
  return new Error("Cannot read the body: the connection was lost before its end");
}
