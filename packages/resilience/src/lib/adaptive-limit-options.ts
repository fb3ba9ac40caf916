// What can be set on an adaptive limit, checked and completed.
import { checkCount, checkDuration, checkFunction, checkOneOf, checkPositive } from "@proj/concurrency/options";
import { AimdLimit } from "./limit-aimd.ts";
import { GradientLimit } from "./limit-gradient.ts";
import type { WindowedLimit } from "./limit-window.ts";

/** What can be set on an adaptive limit. */
export interface AdaptiveLimitOptions {
  /**
   * `"gradient"` compares how long calls take with how long they take without load, which it measures; `"aimd"` knows it
   * from `target`: one call more while all is well, a tenth less when it is not. Default: `"gradient"`.
   */
  readonly algorithm?: "gradient" | "aimd" | undefined;
  /** Calls in flight at first. Default: 20. */
  readonly initial?: number | undefined;
  /** It never allows less. Default: 1. */
  readonly min?: number | undefined;
  /** It never allows more. Default: 1,000. */
  readonly max?: number | undefined;
  /** Milliseconds of calls that one adjustment looks at; longer if calls are slow or few. Default: 500. */
  readonly window?: number | undefined;
  /** For `"gradient"`: milliseconds between measurements without load, once they tell nothing new. Default: 10,000. */
  readonly probe?: number | undefined;
  /** For `"aimd"`: mean milliseconds above which there is overload. Default: only timeouts tell of it. */
  readonly target?: number | undefined;
  /** Milliseconds for which a peak of calls in flight holds the limit up, which sinks with its use. Default: 60,000. */
  readonly stabilization?: number | undefined;
  /** Calls that may wait for a place. Default: 0, which rejects at once and costs least. */
  readonly queue?: number | undefined;
  /** Milliseconds that a call may wait while the queue gets empty now and then. Default: 100. */
  readonly maxWait?: number | undefined;
  /** Milliseconds that a call may wait when it has not been empty for `maxWait`. Default: a twentieth of that. */
  readonly overloadWait?: number | undefined;
  /** Milliseconds for which rejections ask to be left alone, give or take a half at random. Default: 1,000. */
  readonly retryAfter?: number | undefined;
  /** From 0 to 1. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** In messages and events; with a name it is listed by `components()`. Default: that of the policies. */
  readonly name?: string | undefined;
  /** Whether its rejections have a stack, which makes them slow. Default: `false`. */
  readonly stack?: boolean | undefined;
}

export interface AdaptiveLimitSettings {
  readonly algorithm: WindowedLimit;
  readonly queue: number;
  readonly maxWait: number;
  readonly overloadWait: number;
  readonly retryAfter: number;
  readonly random: () => number;
  readonly name: string | undefined;
  readonly stack: boolean;
}

export function completeLimitOptions(action: string, options: AdaptiveLimitOptions): AdaptiveLimitSettings {
  const { queue = 0, maxWait = 100, retryAfter = 1_000, random = Math.random, name, stack = false } = options;
  checkPositive(action, "maxWait", maxWait);
  const { overloadWait = maxWait / 20 } = options;
  checkDuration(action, "overloadWait", overloadWait);
  return {
    algorithm: makeAlgorithm(action, options),
    queue: checkCount(action, "queue", queue, 0, true),
    maxWait,
    overloadWait,
    retryAfter: checkDuration(action, "retryAfter", retryAfter),
    random: checkFunction(action, "random", random),
    name,
    stack,
  };
}

function makeAlgorithm(action: string, options: AdaptiveLimitOptions): WindowedLimit {
  const { algorithm = "gradient", min = 1, max = 1_000, window = 500, stabilization = 60_000 } = options;
  checkOneOf(action, "algorithm", algorithm, ["gradient", "aimd"]);
  checkCount(action, "min", min, 1);
  checkCount(action, "max", max, min);
  const { initial = Math.min(Math.max(20, min), max), probe = 10_000, target = Number.POSITIVE_INFINITY } = options;
  checkCount(action, "initial", initial, min);
  if (initial > max) {
    throw new RangeError(`Cannot ${action}: initial must be at most max, which is ${max}, got ${initial}`);
  }
  checkPositive(action, "window", window);
  checkPositive(action, "stabilization", stabilization);
  checkPositive(action, "probe", probe);
  checkDuration(action, "target", target);
  const bounds = { initial, min, max, window, stabilization };
  return algorithm === "aimd" ? new AimdLimit(bounds, target) : new GradientLimit(bounds, probe);
}
