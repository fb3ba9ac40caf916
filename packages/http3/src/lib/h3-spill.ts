// The part of a body that nobody has read yet and that memory has no room for: a temporary file without a name.
import { closeSync, ftruncateSync, openSync, read, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const readAt = promisify(read);
let serial = 0;

/** A queue of bytes on disk. Writing is synchronous, so that a peer faster than the disk is slowed down, not buffered. */
export class SpillFile {
  readonly #file: number;
  #readPosition = 0;
  #writePosition = 0;
  #reading = false;
  #closed = false;

  constructor() {
    serial += 1;
    const path = join(tmpdir(), `h3-body-${process.pid}-${serial}-${Math.random().toString(36).slice(2)}`);
    this.#file = openSync(path, "wx+", 0o600);
    unlinkSync(path); // the file lives as long as it is open, and no longer, whatever happens to this process
  }

  /** Bytes written and not read yet. */
  get unread(): number {
    return this.#writePosition - this.#readPosition;
  }

  /** Throws the system's error, such as ENOSPC; what was written before stays readable. */
  append(chunk: Uint8Array): void {
    for (let sent = 0; sent < chunk.length; ) {
      sent += writeSync(this.#file, chunk, sent, chunk.length - sent, this.#writePosition + sent);
      if (sent === chunk.length) this.#writePosition += sent;
    }
  }

  /** The next bytes, at most `size`. One call at a time. */
  async take(size: number): Promise<Uint8Array> {
    const chunk = Buffer.allocUnsafeSlow(Math.min(size, this.unread));
    this.#reading = true;
    try {
      const { bytesRead } = await readAt(this.#file, chunk, 0, chunk.length, this.#readPosition);
      this.#readPosition += bytesRead;
      return chunk.subarray(0, bytesRead);
    } finally {
      this.#reading = false;
      if (this.#closed) closeSync(this.#file);
    }
  }

  /** Gives the space of a file that was read to its end back to the disk. */
  reset(): void {
    ftruncateSync(this.#file, 0);
    this.#readPosition = 0;
    this.#writePosition = 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Closing under a read in flight could hand its file number to somebody else.
    if (!this.#reading) closeSync(this.#file);
  }
}
