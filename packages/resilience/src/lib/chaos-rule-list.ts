// Rules that can be switched while they are in use, and how often each has hit.
import { drawFor } from "./chaos-random.ts";

/** What all rules have in common. */
export interface SwitchableRule {
  readonly name?: string | undefined;
  readonly kind: string;
  readonly rate?: number | undefined;
  readonly times?: number | undefined;
}

/** Rules in the order in which they are tried. */
export class RuleList<R extends SwitchableRule> {
  readonly #seed: number;
  readonly #check: (rule: R) => R;
  readonly #hits: Record<string, number> = {};
  #used = new Map<R, number>();
  #rules: readonly R[];

  constructor(seed: number, rules: readonly R[], check: (rule: R) => R) {
    this.#seed = seed;
    this.#check = check;
    this.#rules = this.#copiesOf(rules);
  }

  get rules(): readonly R[] {
    return this.#rules;
  }

  get hits(): Readonly<Record<string, number>> {
    return { ...this.#hits };
  }

  set(rules: readonly R[]): void {
    this.#rules = this.#copiesOf(rules);
    this.#used = new Map();
  }

  add(rule: R): Disposable {
    const [added] = this.#copiesOf([rule]) as [R]; // as many as there were
    this.#rules = [...this.#rules, added];
    return {
      [Symbol.dispose]: () => {
        this.#rules = this.#rules.filter((other) => other !== added);
        this.#used.delete(added);
      },
    };
  }

  /** The same rule twice is two rules. */
  #copiesOf(rules: readonly R[]): readonly R[] {
    return rules.map((rule) => ({ ...this.#check(rule) }));
  }

  /** Whether a rule that is for this subject hits it; counts it if it does. */
  tryHit(rule: R, place: number, subject: number): boolean {
    const { rate = 1, times = Number.POSITIVE_INFINITY } = rule;
    if (drawFor(this.#seed, subject, 2 * place) >= rate) return false;
    if (times !== Number.POSITIVE_INFINITY) {
      const used = this.#used.get(rule) ?? 0;
      if (used >= times) return false;
      this.#used.set(rule, used + 1);
    }
    const name = rule.name ?? rule.kind;
    this.#hits[name] = (this.#hits[name] ?? 0) + 1;
    return true;
  }

  /** Milliseconds around `ms`, drawn for this subject. */
  delay(ms: number, jitter: number, place: number, subject: number): number {
    return Math.max(0, ms + (drawFor(this.#seed, subject, 2 * place + 1) * 2 - 1) * jitter);
  }
}
