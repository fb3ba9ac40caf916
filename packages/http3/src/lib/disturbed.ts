// Whether anybody has read from a platform stream.
import { Readable } from "node:stream";

/** Node's test, which its types declare for its own streams only. */
export function isDisturbed(stream: ReadableStream): boolean {
  return Readable.isDisturbed(stream as unknown as Readable);
}
