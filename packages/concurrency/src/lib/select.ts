// Waits for the first of several things: an item, room for one, a time, the end of a context, a promise.

import { currentNode } from "./ambient.ts";
import type { Channel } from "./channel.ts";
import { BufferedChannel } from "./channel-buffered.ts";
import { checkDuration, describe } from "./check.ts";
import type { Clock } from "./clock.ts";
import type { Context } from "./context.ts";
import { ContextNode } from "./context-node.ts";
import { contextFor } from "./derive.ts";
import { ChannelEntry, ContextEntry, PromiseEntry, SendEntry, SignalEntry, TimerEntry } from "./select-entries.ts";
import { type SelectEntry, Selection } from "./select-entry.ts";
import { isAbortSignal } from "./signal-hub.ts";
import type { WaitOptions } from "./wait-options.ts";

/** A case of {@link select} that waits for room in a channel, made by {@link sending}. */
export interface SendCase<T> {
  /** Tells it from the other cases. */
  readonly kind: "send";
  /** Where to. */
  readonly channel: Channel<T>;
  /** What to send, if this case wins. */
  readonly value: T;
}

/** A case of {@link select} that waits for a time, made by {@link after}. */
export interface AfterCase {
  /** Tells it from the other cases. */
  readonly kind: "after";
  /** Milliseconds from the call of `select`. */
  readonly ms: number;
  /** Measures them; undefined: that of the current context. */
  readonly clock: Clock | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: a Channel<T> is invariant in T, so no other type takes every channel
type AnyChannel = Channel<any>;
// biome-ignore lint/suspicious/noExplicitAny: as above
type AnySendCase = SendCase<any>;

/** What {@link trySelect} can look at without waiting. */
export type ReadyCase = AnyChannel | AnySendCase | Context | AbortSignal;

/** What {@link select} can wait for. */
export type SelectCase = ReadyCase | AfterCase | PromiseLike<unknown>;

/** What one case gives. */
export type Outcome<Key, Case> =
  Case extends Channel<infer T>
    ?
        | { readonly key: Key; readonly done: false; readonly value: T }
        | { readonly key: Key; readonly done: true; readonly value: undefined }
    : Case extends AnySendCase | AfterCase
      ? { readonly key: Key; readonly value: undefined }
      : Case extends Context | AbortSignal
        ? { readonly key: Key; readonly value: unknown }
        : Case extends PromiseLike<infer T>
          ? { readonly key: Key; readonly value: Awaited<T> }
          : never;

/** What a {@link select} over `Cases` gives: a union told apart by `key`. */
export type Selected<Cases> = { [Key in keyof Cases]: Outcome<Key, Cases[Key]> }[keyof Cases];

/** How {@link select} chooses, and how the wait can be given up. */
export interface SelectOptions extends WaitOptions {
  /**
   * Which case wins when several are ready at the time of the call: `"declared"` (default) takes the first in the order
   * of the keys, so a stop case written first always wins; `"random"` gives each the same chance, so that a busy case
   * cannot starve another. (Keys that look like integers come first, in numeric order, as everywhere in JavaScript.)
   */
  readonly order?: "declared" | "random" | undefined;
  /** Gives numbers from 0 up to 1 for `order: "random"`. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/**
 * Waits for the first of several cases and returns which one it was:
 * - a **channel**: its next item, as `{ key, done: false, value }`; `{ key, done: true }` when it has ended;
 * - {@link sending}`(channel, value)`: the channel accepted the item;
 * - {@link after}`(ms)`: the time is over, counted from this call;
 * - a **Context** or **AbortSignal**: it ended; `value` is its cause;
 * - a **promise**: `value` is what it was fulfilled with.
 *
 * Exactly one case happens. The others leave no trace: no item is taken, none is sent, no timer, listener or reaction
 * stays behind, even on a promise that lives for ever. Cases that are ready at the call win in the order of
 * `options.order`; among those that are not, the first to happen wins. A promise is never ready at once, not even a
 * settled one: it takes its turn like any `await`.
 *
 * Rejects, untouched, with the reason of a promise case that rejects, the cause a channel was closed with, or the
 * reason of `options.signal` or the current context (unless that is itself a case, which then wins); with a
 * `ClosedError` if the channel of a send case is closed. A promise that was given as a case counts as handled.
 *
 * @example
 * ```ts
 * import { after, channel, Context, select } from "@proj/concurrency";
 *
 * const jobs = channel<string>(1);
 * await jobs.send("resize");
 *
 * const next = await select({ stop: Context.current(), job: jobs, idle: after(1_000) });
 * switch (next.key) {
 *   case "job":
 *     console.log(next.done ? "no more jobs" : next.value); // prints: resize
 *     break;
 *   case "idle":
 *   case "stop":
 *     break;
 * }
 * ```
 *
 * @throws TypeError (as a rejection) if there is no case, or one is none of the above.
 */
export function select<Cases extends Readonly<Record<string, SelectCase>>>(
  cases: Cases,
  options: SelectOptions = {},
): Promise<Selected<Cases>> {
  try {
    const context = contextFor("select", options.signal);
    const entries = arrange(entriesOf("select", cases), options);
    if (context.cancelled) entries.splice(0, entries.length, ...entries.filter(isStop));
    const { promise, resolve, reject } = Promise.withResolvers<Selected<Cases>>();
    // The entries were made from these very cases, each gives the outcome of its own.
    const selection = new Selection(entries, resolve as (outcome: unknown) => void, reject);
    selection.start(context);
    return promise;
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * As {@link select}, without waiting: the first case that is ready now, in the order of `options.order`, or `undefined`
 * if none is. Takes no promises and no times, which are never ready at once.
 *
 * @example
 * ```ts
 * import { channel, trySelect } from "@proj/concurrency";
 *
 * const urgent = channel<string>(1);
 * const normal = channel<string>(1);
 * normal.trySend("letter");
 * console.log(trySelect({ urgent, normal })); // prints: { key: 'normal', done: false, value: 'letter' }
 * console.log(trySelect({ urgent, normal })); // prints: undefined
 * ```
 *
 * @throws the cause a channel was closed with; ClosedError if the channel of a send case is closed.
 */
export function trySelect<Cases extends Readonly<Record<string, ReadyCase>>>(
  cases: Cases,
  options: Omit<SelectOptions, "signal"> = {},
): Selected<Cases> | undefined {
  for (const entry of arrange(entriesOf("select", cases), options)) {
    const outcome = entry.poll();
    if (outcome !== undefined) return outcome as Selected<Cases>; // of a case that is one of `Cases`
  }
  return undefined;
}

/**
 * A case of {@link select}: wins when `channel` accepts `value`. If another case wins, the value was not sent. The
 * channel must have the overflow policy `"wait"`: the others never keep a sender waiting.
 *
 * @example
 * ```ts
 * import { after, channel, select, sending } from "@proj/concurrency";
 *
 * const outbox = channel<string>(1);
 * const sent = await select({ ok: sending(outbox, "hello"), late: after(100) });
 * console.log(sent.key, outbox.size); // prints: ok 1
 * ```
 */
export function sending<T>(channel: Channel<T>, value: T): SendCase<T> {
  if (!(channel instanceof BufferedChannel)) {
    throw new TypeError(`Cannot send in a select: channel must be made by channel(), got ${describe(channel)}`);
  }
  if (!channel.waitsForRoom) {
    throw new TypeError('Cannot send in a select: the overflow of the channel must be "wait"');
  }
  return { kind: "send", channel, value };
}

/**
 * A case of {@link select}: wins `ms` milliseconds after the call of `select`. Used again in another `select`, it counts
 * anew. For one limit over many calls pass a `Context` with a `timeout` instead.
 *
 * @param options.clock measures the time; default: that of the current context
 *
 * @example
 * ```ts
 * import { after, select } from "@proj/concurrency";
 *
 * const answer = new Promise<string>(() => {}); // never comes
 * const { key } = await select({ answer, late: after(5) });
 * console.log(key); // prints: late
 * ```
 */
export function after(ms: number, { clock }: { readonly clock?: Clock | undefined } = {}): AfterCase {
  return { kind: "after", ms: checkDuration("wait in a select", "ms", ms), clock };
}

function entriesOf(action: string, cases: Readonly<Record<string, SelectCase>>): SelectEntry[] {
  if (typeof cases !== "object" || cases === null) {
    throw new TypeError(`Cannot ${action}: cases must be an object, got ${describe(cases)}`);
  }
  const entries: SelectEntry[] = [];
  for (const key in cases) {
    const found = cases[key];
    if (found === undefined) throw unknownCase(action, key, found);
    entries.push(entryOf(action, key, found));
  }
  if (entries.length === 0) throw new TypeError(`Cannot ${action}: there must be at least one case`);
  return entries;
}

function entryOf(action: string, key: string, found: SelectCase): SelectEntry {
  if (found instanceof BufferedChannel) return new ChannelEntry(key, found);
  if (found instanceof ContextNode) return new ContextEntry(key, found);
  if (isAbortSignal(found)) return new SignalEntry(key, found);
  if (typeof found === "object" && found !== null) {
    if ("then" in found && typeof found.then === "function") return new PromiseEntry(key, found);
    if ("kind" in found) {
      // sending() has checked the channel.
      if (found.kind === "send") return new SendEntry(key, found.channel as BufferedChannel<unknown>, found.value);
      if (found.kind === "after") return new TimerEntry(key, found.ms, found.clock ?? currentNode().clock);
    }
  }
  throw unknownCase(action, key, found);
}

function unknownCase(action: string, key: string, found: unknown): TypeError {
  return new TypeError(
    `Cannot ${action}: case ${describe(key)} must be a channel, sending(), after(), a Context, an AbortSignal or a promise, got ${describe(found)}`,
  );
}

/** The cases that may still win when the caller has been cancelled. */
function isStop(entry: SelectEntry): boolean {
  return entry instanceof ContextEntry || entry instanceof SignalEntry;
}

function arrange(entries: SelectEntry[], { order = "declared", random = Math.random }: SelectOptions): SelectEntry[] {
  if (order === "declared") return entries;
  if (order !== "random")
    throw new TypeError(`Cannot select: order must be declared or random, got ${describe(order)}`);
  for (let i = entries.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const moved = entries[i] as SelectEntry; // both indexes are within the array
    entries[i] = entries[j] as SelectEntry;
    entries[j] = moved;
  }
  return entries;
}
