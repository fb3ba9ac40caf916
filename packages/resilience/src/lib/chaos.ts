// Makes some calls slow, failed, wrong or lost, always the same ones for the same seed.
import { Context, sleep } from "@proj/concurrency";
import { register } from "@proj/concurrency/inspect";
import { checkCount, checkFunction } from "@proj/concurrency/options";
import type { Call } from "./call.ts";
import { ChaosError } from "./chaos-error.ts";
import { freshSeed, hashText } from "./chaos-random.ts";
import { RuleList } from "./chaos-rule-list.ts";
import { type ChaosRule, checkRule, type FaultRule, type LatencyRule, matches } from "./chaos-rules.ts";
import { Subjects } from "./chaos-subjects.ts";
import { listening, tell } from "./events.ts";
import type { Driver, Next } from "./policy.ts";

/** A rule has hit a call. */
export interface ChaosEvent {
  /** Tells it from other events. */
  readonly kind: "chaos-injected";
  /** Of the policies. */
  readonly name: string;
  /** The name of the rule. */
  readonly rule: string;
  /** Of the call. */
  readonly key: string | undefined;
  /** Of the call. */
  readonly attempt: number;
}

/** What can be set on {@link chaos}. */
export interface ChaosOptions {
  /** With a name it is listed by `components()`, and can be steered through `chaosControl`. Default: none. */
  readonly name?: string | undefined;
  /** Decides which calls are hit: a 32-bit integer. Default: another one each time, see {@link Chaos.seed}. */
  readonly seed?: number | undefined;
  /** Whether the rules apply. Default: `false` if `NODE_ENV` is `"production"`, else `true`. */
  readonly enabled?: boolean | undefined;
  /**
   * What tells a call from others, such as the id of a request. With it, what happens to a call depends on nothing but
   * the seed, the rules, this and the attempt. Default: its number among the calls with the same name, key,
   * endpoint and attempt.
   */
  readonly identify?: ((call: Call) => string | number) | undefined;
}

/** What {@link Chaos} has done so far. */
export interface ChaosStats {
  /** Whether the rules apply. */
  readonly enabled: boolean;
  /** As in the options. */
  readonly seed: number;
  /** How many rules there are. */
  readonly rules: number;
  /** Calls that came along while there were rules and they applied. */
  readonly calls: number;
  /** How many calls each rule has hit, by name. */
  readonly hits: Readonly<Record<string, number>>;
}

/** The policy made by {@link chaos}. */
export interface Chaos extends Driver {
  readonly kind: "chaos";
  /** As the options say. */
  readonly name: string | undefined;
  /** With the same one, the same calls are hit again. */
  readonly seed: number;
  /** Whether the rules apply; can be set at any time. Calls that wait already go on waiting. */
  enabled: boolean;
  /** In the order in which they are tried. */
  readonly rules: readonly ChaosRule[];
  /** Replaces all rules. The calls are counted from one again. */
  set(rules: readonly ChaosRule[]): void;
  /** Adds a rule behind the others. Disposing the result takes it away. */
  add(rule: ChaosRule): Disposable;
  /** Takes all rules away. */
  clear(): void;
  /** A snapshot. */
  stats(): ChaosStats & Readonly<Record<string, unknown>>;
}

/**
 * Makes a policy that injects faults, to stand right around the work. The rules are tried in their order: each `latency`
 * that hits adds its delay, and the first other rule that hits decides what becomes of the call.
 *
 * **Seed**: whether a rule hits is drawn from the seed, the place of the rule and the call, not from one row of numbers.
 * So it does not matter in which order concurrent calls end, nor what other keys do: the third first attempt with the key
 * `"a"` always has the same fate. With `identify` it does not matter either in which order calls with one key begin.
 * **Abort**: a call that waits or hangs rejects with the reason of its context, untouched, when that ends.
 * **Cost**: without rules, or when it is not enabled, none but one function call.
 *
 * @throws RangeError or TypeError for rules and options that make no sense
 * @example
 * ```ts
 * import { chaos, fault, latency } from "@proj/resilience/chaos";
 *
 * const network = chaos([latency({ ms: 50, rate: 0.5 })], { seed: 42, name: "network" });
 * {
 *   using outage = network.add(fault({ key: "db-1" })); // until the end of this block
 *   console.log(network.rules.length); // prints: 2
 * }
 * network.clear();
 * console.log(network.stats().rules); // prints: 0
 * ```
 */
export function chaos(rules: readonly ChaosRule[] = [], options: ChaosOptions = {}): Chaos {
  return new ChaosPolicy(rules, options);
}

class ChaosPolicy implements Chaos {
  readonly kind = "chaos";
  readonly name: string | undefined;
  readonly seed: number;
  enabled: boolean;
  readonly #identify: ((call: Call) => string | number) | undefined;
  readonly #list: RuleList<ChaosRule>;
  readonly #subjects: Subjects;
  #calls = 0;

  constructor(rules: readonly ChaosRule[], options: ChaosOptions) {
    const action = "create chaos";
    const { name, seed = freshSeed(), enabled = process.env["NODE_ENV"] !== "production", identify } = options;
    this.name = name;
    this.seed = checkCount(action, "seed", seed, Number.MIN_SAFE_INTEGER) >>> 0;
    this.enabled = enabled;
    this.#identify = identify === undefined ? undefined : checkFunction(action, "identify", identify);
    this.#list = new RuleList(this.seed, rules, checkRule);
    this.#subjects = new Subjects(this.seed);
    if (name !== undefined) register("chaos", name, this, (self) => self.stats());
  }

  get rules(): readonly ChaosRule[] {
    return this.#list.rules;
  }

  set(rules: readonly ChaosRule[]): void {
    this.#list.set(rules);
    this.#subjects.clear();
  }

  add(rule: ChaosRule): Disposable {
    return this.#list.add(rule);
  }

  clear(): void {
    this.set([]);
  }

  stats(): ChaosStats & Readonly<Record<string, unknown>> {
    const { enabled, seed } = this;
    return { enabled, seed, rules: this.#list.rules.length, calls: this.#calls, hits: this.#list.hits };
  }

  run<T>(call: Call, next: Next<T>): Promise<T> {
    return this.enabled && this.#list.rules.length > 0 ? this.#meddle(call, next) : next(call);
  }

  async #meddle<T>(call: Call, next: Next<T>): Promise<T> {
    this.#calls++;
    const subject = this.#subjectOf(call);
    let delay = 0;
    let fate: Exclude<ChaosRule, LatencyRule> | undefined;
    for (const [place, rule] of this.#list.rules.entries()) {
      if (!this.#isHit(rule, place, call, subject)) continue;
      if (rule.kind !== "latency") {
        fate = rule;
        break;
      }
      delay += this.#list.delay(rule.ms, rule.jitter ?? 0, place, subject);
    }
    if (delay > 0) await sleep(delay, { signal: call.context, clock: call.clock });
    switch (fate?.kind) {
      case undefined:
        return await next(call);
      case "fault":
        if (fate.phase === "after") await next(call);
        throw errorOf(fate, call);
      case "outcome":
        // Whoever wrote the rule knows what the work returns.
        return (typeof fate.value === "function" ? fate.value(call) : fate.value) as T;
      case "hang":
        return await endOf(call.context);
      case "drop":
        await next(call);
        return await endOf(call.context);
    }
  }

  #isHit(rule: ChaosRule, place: number, call: Call, subject: number): boolean {
    if (!matches(rule, call) || !this.#list.tryHit(rule, place, subject)) return false;
    if (listening()) {
      const { name, key, attempt } = call;
      tell({ kind: "chaos-injected", name, rule: rule.name ?? rule.kind, key, attempt });
    }
    return true;
  }

  /** A number for the call that is the same in each run with the same seed. */
  #subjectOf(call: Call): number {
    if (this.#identify !== undefined) return hashText(`${call.attempt}\n${this.#identify(call)}`, this.seed);
    return this.#subjects.next(`${call.attempt}\n${call.endpoint?.id ?? ""}\n${call.name}\n${call.key ?? ""}`);
  }
}

function errorOf(rule: FaultRule, call: Call): unknown {
  const { error, name = rule.kind } = rule;
  if (error === undefined) return new ChaosError(call.name, name);
  return typeof error === "function" ? error(call) : error;
}

/** Rejects when the context ends, with its cause. */
async function endOf(context: Context): Promise<never> {
  let registration: Disposable | undefined;
  try {
    return await new Promise<never>((_, reject) => {
      registration = Context.after(context, reject);
    });
  } finally {
    registration?.[Symbol.dispose]();
  }
}
