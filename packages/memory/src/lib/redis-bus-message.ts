// What buses send over Redis: an invalidation as JSON, behind the id of its sender.
import type { Invalidation } from "./tier.ts";

/** Tags as pairs: an object would make something of its own of a tag called `__proto__`. */
interface Message {
  readonly from: string;
  readonly keys?: readonly string[] | undefined;
  readonly prefix?: string | undefined;
  readonly tags?: readonly (readonly [string, number])[] | undefined;
}

export function encodeMessage(from: string, { keys, prefix, tags }: Invalidation): string {
  const message: Message = { from, keys, prefix, tags: tags && Object.entries(tags) };
  return JSON.stringify(message);
}

/** `undefined` for one's own, and for what is no message. */
export function decodeMessage(text: string, own: string): Invalidation | undefined {
  try {
    const { from, keys, prefix, tags } = JSON.parse(text) as Message;
    if (from === own) return undefined;
    return { keys, prefix, tags: tags && Object.fromEntries(tags) };
  } catch {
    return undefined;
  }
}

/** Whether there is anything to say. */
export function isEmpty({ keys = [], prefix, tags = {} }: Invalidation): boolean {
  return keys.length === 0 && prefix === undefined && Object.keys(tags).length === 0;
}
