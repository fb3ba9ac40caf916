// What a conformance suite is: checks with names, for whatever test runner there is.

/**
 * One check of a conformance suite. `run` rejects if the implementation does not conform. Hand each to your runner:
 * `for (const { name, run } of suite) test(name, run)`.
 */
export interface ConformanceCase {
  /** A sentence about what is checked. */
  readonly name: string;
  /** Checks it, on an implementation made for this check alone. */
  run(): Promise<void>;
}

/** Makes what is checked for each check, and disposes of it afterwards if it can be disposed of. */
export function conformanceCase<T>(
  name: string,
  make: () => T | PromiseLike<T>,
  check: (made: T) => unknown,
): ConformanceCase {
  return {
    name,
    async run() {
      const made = await make();
      try {
        await check(made);
      } finally {
        const { [Symbol.asyncDispose]: later, [Symbol.dispose]: now } = made as Partial<AsyncDisposable & Disposable>;
        if (later !== undefined) await later.call(made);
        else now?.call(made);
      }
    },
  };
}
