// Builds the frames of a stack from its policies, and lets calls in.
import { type Clock, Context } from "@proj/concurrency";
import { type ComponentStats, register } from "@proj/concurrency/inspect";
import { describe } from "@proj/concurrency/options";
import { ChoosyBalancer } from "./balance-breaker.ts";
import { Balancer } from "./balancer.ts";
import type { Breaker } from "./breaker.ts";
import type { CallOptions, ResilientTask } from "./call.ts";
import { CallRecord, innerCall } from "./call-record.ts";
import { type Classify, classify } from "./classify.ts";
import { DriverLayer } from "./driver-layer.ts";
import { Fallback } from "./fallback.ts";
import { Frame, type FrameParts, type Layer } from "./frame.ts";
import { Gates } from "./gates.ts";
import type { Driver, Gate, Policy } from "./policy.ts";
import { Retry } from "./retry.ts";
import { TimeLimit } from "./timeout.ts";

/** What can be set on a whole stack. */
export interface StackOptions {
  /** In messages and events; with a name it is listed by `components()`. Default: `"dependency"`. */
  readonly name?: string | undefined;
  /** Says how attempts have ended. Default: {@link classify}, which also has the word where this gives `undefined`. */
  readonly classify?: Classify | undefined;
  /** Whether calls that do not say otherwise can be repeated. Default: `false`. */
  readonly idempotent?: boolean | undefined;
  /** Measures time. Default: that of the context of each call. */
  readonly clock?: Clock | undefined;
}

/** Calls a function under policies, whose fallbacks may answer with a `V`. */
export interface Resilient<V = never> {
  /**
   * Calls the task. The policies decide when, how often and how long; the task gets the context that its attempt runs in,
   * which is also the current one, and its {@link Call}. The signal of an attempt that has succeeded never aborts, so a
   * response can be read afterwards; what has to be repeated with it must be done in the task.
   *
   * Rejects with what the last attempt failed with, untouched; with the error of the policy that has turned the call away
   * or has ended it; or with the reason of the caller's signal or context, untouched.
   */
  <T>(task: ResilientTask<T>, options?: CallOptions): Promise<T | V>;
  /** As in messages and events. */
  readonly name: string;
  /** The policies, outermost first. */
  readonly policies: readonly Policy[];
  /** How calls have ended so far, and what each policy tells. */
  stats(): ComponentStats;
  /**
   * Binds a function: what it returns takes the same arguments and calls it under the policies. `options` are those of
   * each call, or a function that makes them from its arguments. The context is `Context.current()` within the function.
   */
  wrap<This, Args extends readonly unknown[], T>(
    f: (this: This, ...args: Args) => T | PromiseLike<T>,
    options?: CallOptions | ((...args: Args) => CallOptions | undefined),
  ): (this: This, ...args: Args) => Promise<T | V>;
}

/** Makes a stack of policies, which somebody has put in order. */
export function makeStack<V>(policies: readonly Policy[], options: StackOptions): Resilient<V> {
  const stack = new Stack(policies, options);
  const properties: Pick<Resilient<V>, "policies" | "stats" | "wrap"> = {
    policies,
    stats: () => stack.stats(),
    wrap: (f, options) =>
      function (...args) {
        let given: CallOptions | undefined;
        try {
          given = typeof options === "function" ? options(...args) : options;
        } catch (error) {
          return Promise.reject(error);
        }
        return stack.call(() => Reflect.apply(f, this, args), given);
      },
  };
  const call = <T>(task: ResilientTask<T>, callOptions?: CallOptions): Promise<T> => stack.call(task, callOptions);
  const resilient = Object.assign(call, properties);
  Object.defineProperty(resilient, "name", { value: stack.name });
  if (options.name !== undefined) register("resilience", stack.name, resilient, (listed) => listed.stats());
  return resilient;
}

class Stack {
  readonly name: string;
  readonly #policies: readonly Policy[];
  readonly #outermost: Frame;
  readonly #idempotent: boolean;
  readonly #clock: Clock | undefined;
  readonly #hasChoice: boolean;

  constructor(given: readonly Policy[], options: StackOptions) {
    const policies = given.map(makeChoosy);
    this.name = options.name ?? "dependency";
    this.#policies = policies;
    this.#hasChoice = policies.some(({ kind }) => kind === "balance") && policies.some(repeats);
    this.#outermost = layersOf(policies, options.classify ?? classify);
    this.#idempotent = options.idempotent ?? false;
    this.#clock = options.clock;
  }

  /** No async function: the outermost frame is the only one. */
  call<T>(task: ResilientTask<T>, options?: CallOptions): Promise<T> {
    try {
      if (typeof task !== "function") {
        throw new TypeError(`Cannot call ${this.name}: task must be a function, got ${describe(task)}`);
      }
      const signal = options?.signal;
      if (signal === undefined) return this.#callIn(Context.current(), task, options);
      if (!isAbortSignal(signal)) return this.#callIn(signal, task, options);
      return this.#callUntil(signal, task, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  stats(): ComponentStats {
    const policies: Record<string, ComponentStats> = {};
    for (const policy of this.#policies) {
      const stats = policy.stats?.();
      if (stats !== undefined) policies[nameFor(policies, policy.kind)] = stats;
    }
    return { ...this.#outermost.tally.stats(), policies };
  }

  #callIn<T>(context: Context, task: ResilientTask<T>, options: CallOptions | undefined): Promise<T> {
    context.throwIfCancelled();
    const clock = this.#clock ?? context.clock;
    const priority = options?.priority;
    const idempotent = options?.idempotent ?? this.#idempotent;
    const now = clock.now();
    const call = new CallRecord(this.name, context, options?.key, idempotent, priority, 1, clock, now, undefined);
    if (this.#hasChoice) call.tried = [];
    return this.#outermost.run(call, task);
  }

  async #callUntil<T>(signal: AbortSignal, task: ResilientTask<T>, options: CallOptions | undefined): Promise<T> {
    const context = Context.derive({ signal });
    try {
      const value = await this.#callIn(context, task, options);
      context.release();
      return value;
    } catch (error) {
      context.cancel(error);
      throw error;
    }
  }
}

function isAbortSignal(signal: AbortSignal | Context): signal is AbortSignal {
  return "aborted" in signal;
}

/** A balancer asks the breaker inside of it which endpoints are well. */
function makeChoosy(policy: Policy, place: number, policies: readonly Policy[]): Policy {
  if (!(policy instanceof Balancer)) return policy;
  return new ChoosyBalancer(policy, policies.slice(place).find(isBreaker));
}

function isBreaker(policy: Policy): policy is Breaker {
  return policy.kind === "breaker" && "isOpen" in policy;
}

function repeats({ kind }: Policy): boolean {
  return kind === "retry" || kind === "hedge";
}

/** The same kind may be there twice. */
function nameFor(taken: Readonly<Record<string, unknown>>, kind: string): string {
  let name = kind;
  for (let number = 2; name in taken; number++) name = `${kind}-${number}`;
  return name;
}

type Draft = { -readonly [Part in keyof Omit<FrameParts, "outer" | "inner">]: FrameParts[Part] } & {
  outer: Gate[];
  inner: Gate[];
};

/** Puts what follows one another into one frame, from the inside out. */
export function layersOf(policies: readonly Policy[], decide: Classify): Frame {
  const drafts: (Draft | Driver)[] = [{ classify: decide, outer: [], inner: [] }];
  const open = (): Draft => {
    const draft: Draft = { classify: decide, outer: [], inner: [], isInside: true };
    drafts.push(draft);
    return draft;
  };
  let draft = drafts[0] as Draft;
  for (const policy of policies) {
    if (policy instanceof Fallback) {
      if (!isEmpty(draft)) draft = open();
      draft.fallback = policy;
    } else if (policy instanceof Retry) {
      if (draft.retry !== undefined) draft = open();
      draft.retry = policy;
      draft.outer = draft.inner; // they are outside of it
      draft.inner = [];
    } else if (policy instanceof TimeLimit) {
      const place = draft.retry === undefined ? "total" : "each";
      if (draft[place] === undefined) {
        draft[place] = policy;
      } else {
        draft = open();
        draft.total = policy;
      }
    } else if ("enter" in policy) {
      draft.inner.push(policy);
    } else {
      drafts.push(policy);
      draft = open();
    }
  }
  let next: Layer | undefined;
  for (const part of drafts.toReversed()) {
    next = "run" in part ? new DriverLayer(part, next as Layer) : frameOf(part, next && ownRecord(next));
  }
  return next as Frame; // the first one is a draft
}

function isEmpty({ fallback, outer, total, retry, inner, each }: Draft): boolean {
  return [fallback, total, retry, each].every((part) => part === undefined) && outer.length + inner.length === 0;
}

/** A frame inside of a frame. */
function ownRecord(next: Layer): Layer {
  return next instanceof Frame ? { run: (call, task) => next.run(innerCall(call), task) } : next;
}

function frameOf({ outer, inner, ...parts }: Draft, next: Layer | undefined): Frame {
  if (parts.retry === undefined && parts.total?.kind === "attempt-timeout") {
    parts.each = parts.total;
    parts.total = undefined;
  }
  return new Frame({ ...parts, outer: new Gates(outer), inner: new Gates(inner), next });
}
