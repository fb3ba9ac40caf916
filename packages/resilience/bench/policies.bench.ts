// What policies cost: calls that succeed, calls that fail, and calls that an open circuit turns away.
import { benchmark } from "@tooling/bench";

type Runner = () => Promise<unknown>;

const task = async (): Promise<number> => 1;

/** Retry, breaker and a timeout that releases the caller, around the task. */
const full = {
  "@proj/resilience": async (): Promise<Runner> => {
    const { resilient } = await import("@proj/resilience");
    const call = resilient({ retry: { attempts: 3 }, breaker: {}, attemptTimeout: 1_000 });
    return () => call(task);
  },
  cockatiel: async (): Promise<Runner> => {
    const { circuitBreaker, handleAll, retry, SamplingBreaker, TimeoutStrategy, timeout, wrap } = await import(
      "cockatiel"
    );
    const breaker = new SamplingBreaker({ threshold: 0.5, duration: 10_000 });
    const policy = wrap(
      retry(handleAll, { maxAttempts: 3 }),
      circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker }),
      timeout(1_000, TimeoutStrategy.Aggressive),
    );
    return () => policy.execute(task);
  },
  "p-retry+p-timeout": async (): Promise<Runner> => {
    const { default: pRetry } = await import("p-retry");
    const { default: pTimeout } = await import("p-timeout");
    return () => pRetry(() => pTimeout(task(), { milliseconds: 1_000 }), { retries: 2 });
  },
  effect: async (): Promise<Runner> => {
    const { Effect } = await import("effect");
    const program = Effect.promise(task).pipe(Effect.timeout("1 second"), Effect.retry({ times: 2 }));
    return () => Effect.runPromise(program);
  },
  // It has no retry.
  opossum: async (): Promise<Runner> => {
    const { default: CircuitBreaker } = await import("opossum");
    const breaker = new CircuitBreaker(task, { timeout: 1_000 });
    return () => breaker.fire();
  },
};

const breakers = {
  "@proj/resilience": async (): Promise<Runner> => {
    const { breaker, compose } = await import("@proj/resilience");
    const call = compose(breaker());
    return () => call(task);
  },
  cockatiel: async (): Promise<Runner> => {
    const { circuitBreaker, handleAll, SamplingBreaker } = await import("cockatiel");
    const breaker = new SamplingBreaker({ threshold: 0.5, duration: 10_000 });
    const policy = circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker });
    return () => policy.execute(task);
  },
  opossum: async (): Promise<Runner> => {
    const { default: CircuitBreaker } = await import("opossum");
    const breaker = new CircuitBreaker(task, { timeout: false });
    return () => breaker.fire();
  },
};

/** A circuit that is open, in front of the task. */
const open = {
  "@proj/resilience": async (): Promise<Runner> => {
    const { breaker, compose } = await import("@proj/resilience");
    const circuit = breaker();
    circuit.force("open");
    return rejected(compose(circuit));
  },
  cockatiel: async (): Promise<Runner> => {
    const { circuitBreaker, handleAll, SamplingBreaker } = await import("cockatiel");
    const policy = circuitBreaker(handleAll, {
      halfOpenAfter: 10_000,
      breaker: new SamplingBreaker({ threshold: 0.5, duration: 10_000 }),
    });
    policy.isolate();
    return rejected((work) => policy.execute(work));
  },
  opossum: async (): Promise<Runner> => {
    const { default: CircuitBreaker } = await import("opossum");
    const breaker = new CircuitBreaker(task, { timeout: false });
    breaker.open();
    return rejected(() => breaker.fire());
  },
};

/** Calls that fail, after so many that succeeded within the same window of ten seconds. */
function failing(before: number) {
  const down = new Error("down");
  let isDown = false;
  const work = async (): Promise<number> => {
    if (isDown) throw down;
    return 1;
  };
  const prepare = async (call: (work: () => Promise<number>) => Promise<unknown>): Promise<Runner> => {
    for (let index = 0; index < before; index++) await call(work);
    isDown = true;
    return rejected(() => call(work));
  };
  return {
    "@proj/resilience": async (): Promise<Runner> => {
      const { breaker, compose } = await import("@proj/resilience");
      return await prepare(compose(breaker({ failureRate: 1 })));
    },
    opossum: async (): Promise<Runner> => {
      const { default: CircuitBreaker } = await import("opossum");
      const breaker = new CircuitBreaker(work, { timeout: false, errorThresholdPercentage: 100 });
      return await prepare(() => breaker.fire());
    },
  };
}

function rejected(call: (work: () => Promise<number>) => Promise<unknown>): Runner {
  return () => call(task).then(wrong, ignore);
}

function wrong(): never {
  throw new Error("The call should have been rejected");
}

function ignore(): void {}

export const benchmarks = [
  benchmark("Retry, breaker and timeout around a call that succeeds", {
    ours: "@proj/resilience",
    // Ours runs the task in a context of its own, which whatever it calls can find: that is a quarter of what it costs.
    goal: { cockatiel: 0.05, "p-retry+p-timeout": 0.067, effect: 0.033, opossum: 0.56 },
    cases: full,
    check: (result) => result,
  }),
  benchmark("Breaker alone", {
    ours: "@proj/resilience",
    goal: { cockatiel: 0.77, opossum: 0.25 },
    cases: breakers,
    check: (result) => result,
  }),
  benchmark("Open circuit", {
    ours: "@proj/resilience",
    goal: { cockatiel: 0.167, opossum: 0.25 },
    cases: open,
  }),
  benchmark("Failing call, 1,000 calls in the window", {
    ours: "@proj/resilience",
    goal: { opossum: 0.01 },
    cases: failing(1_000),
  }),
  benchmark("Failing call, 50,000 calls in the window", {
    ours: "@proj/resilience",
    goal: { opossum: 0.001 },
    cases: failing(50_000),
  }),
];
