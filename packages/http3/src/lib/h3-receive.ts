// Bytes that came before anybody read them: in memory up to a budget, on disk after that, always in order.
import type { ByteBudget } from "./h3-budget.ts";
import { SpillFile } from "./h3-spill.ts";

/** What a chunk costs beside its bytes, so that a flood of tiny chunks counts for what it takes. */
const CHUNK_OVERHEAD = 128;

/** The most that is read back from disk at once. */
const READ_SIZE = 256 * 1024;

type Ending = { readonly kind: "complete" } | { readonly kind: "failed"; readonly cause: Error };

/**
 * One body on its way from the network to its reader. The engine cannot be told to wait, so what its reader has not taken
 * is kept here; both budgets are given back as the reader takes, and whole when it stops.
 */
export class ReceiveBuffer {
  readonly #memory: ByteBudget;
  readonly #disk: ByteBudget;
  #chunks: Uint8Array[] = [];
  #first = 0;
  #spill: SpillFile | undefined;
  #spilled = 0;
  #diskError: unknown;
  #ending: Ending | undefined;
  #discarded = false;
  #wake: (() => void) | undefined;

  constructor(memory: ByteBudget, disk: ByteBudget) {
    this.#memory = memory;
    this.#disk = disk;
  }

  /** What the disk said when it refused a chunk, if it was the disk. */
  get diskError(): unknown {
    return this.#diskError;
  }

  /** False when neither memory nor disk has room: the chunk was not kept and the body cannot go on. */
  push(chunk: Uint8Array): boolean {
    if (this.#discarded || this.#ending !== undefined || chunk.length === 0) return true;
    const kept = this.#keep(chunk);
    this.#wake?.();
    return kept;
  }

  /** The body is complete: its reader ends after the last byte. */
  end(): void {
    this.#ending ??= { kind: "complete" };
    this.#wake?.();
  }

  /** The rest will never come: the reader fails at once, without what was still kept. */
  fail(cause: Error): void {
    if (this.#discarded || this.#ending?.kind === "failed") return;
    this.#ending = { kind: "failed", cause };
    this.#release();
    this.#wake?.();
  }

  /** Nobody will read (on): drops what is kept and what comes. */
  discard(): void {
    this.#discarded = true;
    this.#release();
    this.#wake?.();
  }

  /** For one reader, once. Leaving the loop drops the rest. */
  read(): AsyncIterableIterator<Uint8Array> {
    const chunks = this.#read();
    const reader: AsyncIterableIterator<Uint8Array> = {
      next: () => chunks.next(),
      return: () => {
        this.discard(); // a generator that never began would not run its own clean-up
        return chunks.return(undefined);
      },
      [Symbol.asyncIterator]: () => reader,
    };
    return reader;
  }

  async *#read(): AsyncGenerator<Uint8Array, undefined, undefined> {
    while (!this.#discarded) {
      if (this.#ending?.kind === "failed") throw this.#ending.cause;
      const kept = this.#takeFromMemory();
      if (kept !== undefined) {
        yield kept;
      } else if (this.#spill !== undefined && this.#spill.unread > 0) {
        const read = await this.#takeFromDisk(this.#spill);
        if (read !== undefined) yield read;
      } else if (this.#ending === undefined) {
        // Nothing may be awaited between the checks above and here: what comes in that gap would wake nobody.
        await this.#more();
      } else {
        break;
      }
    }
    this.#release();
    return undefined;
  }

  #keep(chunk: Uint8Array): boolean {
    // While the file holds unread bytes, newer ones must queue behind them.
    const inMemory = (this.#spill?.unread ?? 0) === 0 && this.#memory.take(chunk.length + CHUNK_OVERHEAD);
    if (inMemory) {
      this.#chunks.push(chunk);
      return true;
    }
    if (!this.#disk.take(chunk.length)) return false;
    this.#spilled += chunk.length;
    try {
      this.#spill ??= new SpillFile();
      this.#spill.append(chunk);
      return true;
    } catch (error) {
      this.#diskError = error; // a full or missing disk is one more way to have no room
      return false;
    }
  }

  #takeFromMemory(): Uint8Array | undefined {
    const chunk = this.#chunks[this.#first];
    if (chunk === undefined) return undefined;
    this.#first += 1;
    if (this.#first === this.#chunks.length) {
      this.#chunks = [];
      this.#first = 0;
    }
    this.#memory.give(chunk.length + CHUNK_OVERHEAD);
    return chunk;
  }

  async #takeFromDisk(spill: SpillFile): Promise<Uint8Array | undefined> {
    const chunk = await spill.take(READ_SIZE);
    // The body may have failed or been dropped during the read, and the file with it.
    if (this.#spill === undefined) return undefined;
    if (spill.unread === 0) {
      spill.reset();
      this.#disk.give(this.#spilled);
      this.#spilled = 0;
    }
    return chunk;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #release(): void {
    for (let i = this.#first; i < this.#chunks.length; i += 1) {
      this.#memory.give((this.#chunks[i]?.length ?? 0) + CHUNK_OVERHEAD);
    }
    this.#chunks = [];
    this.#first = 0;
    this.#disk.give(this.#spilled);
    this.#spilled = 0;
    this.#spill?.close();
    this.#spill = undefined;
  }
}
