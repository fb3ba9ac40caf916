// What breakers cost when things go wrong: calls that an open circuit turns away, and failures in a busy window.
import { benchmark } from "@tooling/bench";

type Runner = () => Promise<unknown>;

const down = new Error("down");
const fail = async (): Promise<never> => {
  throw down;
};

/** As deep in a server's functions as calls usually are: what a stack trace costs depends on it. */
const inside = (frames: number, call: Runner): Promise<unknown> => {
  return frames === 0 ? call() : inside(frames - 1, call);
};
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

/** Each call is turned away. The result is whether it was by that. */
const open = {
  "@proj/resilience": async (): Promise<Runner> => {
    const { breaker, compose } = await import("@proj/resilience");
    const call = compose(breaker({ consecutive: 1, open: 3_600_000 }));
    await call(fail).catch(() => {});
    return () => inside(12, () => call(fail).catch((error) => codeOf(error) === "ERR_CIRCUIT_OPEN"));
  },
  cockatiel: async (): Promise<Runner> => {
    const { circuitBreaker, ConsecutiveBreaker, handleAll, isBrokenCircuitError } = await import("cockatiel");
    const policy = circuitBreaker(handleAll, { halfOpenAfter: 3_600_000, breaker: new ConsecutiveBreaker(1) });
    await policy.execute(fail).catch(() => {});
    return () => inside(12, () => policy.execute(fail).catch((error) => isBrokenCircuitError(error)));
  },
  opossum: async (): Promise<Runner> => {
    const { default: CircuitBreaker } = await import("opossum");
    const options = { timeout: false, resetTimeout: 3_600_000 } as const;
    const breaker = new CircuitBreaker(fail, options);
    breaker.open();
    return () => inside(12, () => breaker.fire().catch((error) => codeOf(error) === "EOPENBREAKER"));
  },
};

const calls = 50_000;

/** A call fails while the window holds 50,000 others, and the circuit stays closed. */
const busy = {
  "@proj/resilience": async (): Promise<Runner> => {
    const { breaker, compose } = await import("@proj/resilience");
    const call = compose(breaker({ window: 3_600_000, failureRate: 1 }));
    for (let made = 0; made < calls; made++) await call(async () => 1);
    return () => call(fail).catch((error) => error === down);
  },
  opossum: async (): Promise<Runner> => {
    const { default: CircuitBreaker } = await import("opossum");
    let isDown = false;
    const breaker = new CircuitBreaker(async () => (isDown ? await fail() : 1), {
      timeout: false,
      rollingCountTimeout: 3_600_000,
      errorThresholdPercentage: 101,
    });
    for (let made = 0; made < calls; made++) await breaker.fire();
    isDown = true;
    return () => breaker.fire().catch((error) => error === down);
  },
};

export const benchmarks = [
  benchmark("A call that an open circuit turns away", {
    ours: "@proj/resilience",
    goal: { cockatiel: 0.167, opossum: 0.25 },
    cases: open,
    check: (result) => result === true,
  }),
  benchmark("A failure with 50,000 calls in the window", {
    ours: "@proj/resilience",
    goal: { opossum: 0.001 },
    cases: busy,
    check: (result) => result === true,
  }),
];
