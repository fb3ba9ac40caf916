// Whatever is passed as an option, the message names the option, what it must be and what it is.
import { expect, test } from "vitest";
import { consul, dns, etcd } from "../src/discovery.ts";
import { adaptive, adaptiveLimit, breaker, bulkhead, hedge, idempotencyGuard, shedWhen } from "../src/index.ts";
import { sharedBreakerHints } from "../src/redis.ts";
import { balanceInterceptor, resilientDispatcher } from "../src/undici.ts";

type Options = Readonly<Record<string, unknown>> | null;
/** As somebody calls it who has no types. */
const untyped = (make: unknown) => make as (...args: readonly unknown[]) => unknown;
const redis = { evalSha: async () => [], eval: async () => [] };

const makers: Readonly<Record<string, (options: Options) => unknown>> = {
  adaptive: untyped(adaptive),
  adaptiveLimit: untyped(adaptiveLimit),
  balanceInterceptor: untyped(balanceInterceptor),
  breaker: untyped(breaker),
  bulkhead: untyped(bulkhead),
  consul: (options) => untyped(consul)({ service: "users", ...options }),
  dns: (options) => untyped(dns)(options?.["host"] ?? "users", options),
  etcd: (options) => untyped(etcd)({ prefix: "users/", ...options }),
  hedge: (options) => untyped(hedge)(options && { after: 10, ...options }),
  idempotencyGuard: untyped(idempotencyGuard),
  resilientDispatcher: untyped(resilientDispatcher),
  sharedBreakerHints: (options) => untyped(sharedBreakerHints)(redis, { name: "users", ...options }),
  shedWhen: untyped(shedWhen),
};

test.each<[maker: string, options: Options, message: string]>([
  ["adaptive", { max: Number.NaN }, "max must be 0 ms or more, got NaN"],
  ["adaptive", { max: -1 }, "max must be 0 ms or more, got -1"],
  ["adaptiveLimit", { maxWait: -1 }, "maxWait must be a positive number, got -1"],
  ["adaptiveLimit", { max: 0 }, "max must be an integer of at least 1, got 0"],
  ["balanceInterceptor", null, "balancers must be an object, got null"],
  ["breaker", null, "options must be an object, got null"],
  ["breaker", { halfOpen: null }, "halfOpen must be an object, got null"],
  ["breaker", { halfOpen: 3 }, "halfOpen must be an object, got 3"],
  ["breaker", { halfOpen: { required: Number.NaN } }, "halfOpen.required must be an integer of at least 1, got NaN"],
  ["breaker", { halfOpen: { probes: 1, required: 2 } }, "halfOpen.required must be at most halfOpen.probes, got 2"],
  ["breaker", { hints: {} }, "hints.connect must be a function, got undefined"],
  ["bulkhead", null, "options must be an object, got null"],
  ["consul", { url: 8500 }, "url must be a URL or an array of them, got 8500"],
  ["dns", { host: 7 }, "host must be a name, got 7"],
  ["dns", { ttl: 60_000 }, "ttl must be an object, got 60000"],
  ["dns", { resolver: {} }, "resolver.resolve4 must be a function, got undefined"],
  ["dns", { type: "SRV", resolver: {} }, "resolver.resolveSrv must be a function, got undefined"],
  ["etcd", { url: null }, "url must be a URL or an array of them, got null"],
  ["hedge", null, "options must be an object, got null"],
  ["hedge", { ratio: null }, "ratio must be a number from 0 to max, got null"],
  ["hedge", { ratio: true }, "ratio must be a number from 0 to max, got true"],
  ["hedge", { breaker: {} }, "breaker.isOpen must be a function, got undefined"],
  ["idempotencyGuard", { codec: null }, "codec.encode must be a function, got undefined"],
  ["resilientDispatcher", { dispatcher: {} }, "dispatcher.compose must be a function, got undefined"],
  ["resilientDispatcher", { balance: 7 }, "balance must be an object, got 7"],
  ["sharedBreakerHints", { prefix: 7 }, "prefix must be a text, got 7"],
  ["sharedBreakerHints", { onEvent: "log" }, 'onEvent must be a function, got "log"'],
  ["shedWhen", null, "options must be an object, got null"],
])("%s(%o) is refused: %s", (maker, options, message) => {
  expect(() => makers[maker]?.(options)).toThrow(message);
});
