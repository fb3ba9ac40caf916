// The options of a pool, checked and with their defaults.
import { checkCount, checkDuration, describe } from "./check.ts";
import { systemClock } from "./clock.ts";
import type { PoolOptions } from "./pool.ts";
import { doubling } from "./pool-backoff.ts";

export type PoolSettings<Resource> = ReturnType<typeof settle<Resource>>;

export function settle<Resource>(options: PoolOptions<Resource>) {
  const action = "create a pool";
  const { create, destroy, validate, random = Math.random } = options;
  const { createBackoff = doubling(random) } = options;
  for (const [name, value] of Object.entries({ create, destroy, validate, createBackoff })) {
    if (typeof value === "function" || (value === undefined && name !== "create")) continue;
    throw new TypeError(`Cannot ${action}: ${name} must be a function, got ${describe(value)}`);
  }
  const duration = (name: string, value: number | undefined, standard: number) =>
    checkDuration(action, name, value ?? standard);
  const max = checkCount(action, "max", options.max ?? 10, 1, true);
  const min = checkCount(action, "min", options.min ?? 0, 0);
  if (min > max) throw new RangeError(`Cannot ${action}: min must be at most max, which is ${max}, got ${min}`);
  return {
    create,
    destroy,
    validate,
    name: options.name ?? "pool",
    min,
    max,
    warmUp: options.warmUp ?? false,
    idle: duration("idle", options.idle, Number.POSITIVE_INFINITY),
    maxAge: duration("maxAge", options.maxAge, Number.POSITIVE_INFINITY),
    timeout: duration("timeout", options.timeout, 30_000),
    createTimeout: duration("createTimeout", options.createTimeout, 30_000),
    validateTimeout: duration("validateTimeout", options.validateTimeout, 5_000),
    destroyTimeout: duration("destroyTimeout", options.destroyTimeout, 5_000),
    createBackoff,
    clock: options.clock ?? systemClock,
    random,
  };
}
