// Listens to what policies tell.
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { type ResilienceEvent, resilienceChannel } from "../../src/index.ts";

/** Keeps the events of these kinds until it is disposed. */
export function events<K extends ResilienceEvent["kind"]>(
  ...kinds: K[]
): Disposable & { readonly list: ResilienceEvent[] } {
  const list: ResilienceEvent[] = [];
  const listener = (message: unknown): void => {
    const event = message as ResilienceEvent; // nothing else is published there
    if (kinds.some((kind) => kind === event.kind)) list.push(event);
  };
  subscribe(resilienceChannel, listener);
  return { list, [Symbol.dispose]: () => void unsubscribe(resilienceChannel, listener) };
}
