// What a cache in tiers expects of the leases of loads.
import { equal, ok } from "node:assert/strict";
import type { ConformanceCase } from "@proj/concurrency/testing";
import { conformanceCase, eventually } from "./conformance-case.ts";
import type { LoadLease } from "./tier.ts";

/** Leases of two processes to check. Disposed of after each check if it is `AsyncDisposable`. */
export interface LeaseUnderTest extends Partial<AsyncDisposable> {
  /** The lease as one process sees it. */
  readonly here: LoadLease;
  /** That of another process with the same store; may be the same object. */
  readonly there: LoadLease;
  /** Lets so many milliseconds pass: by waiting, or by advancing a `TestClock`. */
  pass(ms: number): unknown;
}

/** Milliseconds; long enough for the steps of a check on a loaded machine. */
const ttl = 30_000;

/**
 * Checks a {@link LoadLease}. `make` makes those of two processes for each check, with no lease held.
 *
 * @example
 * ```ts
 * import { leaseConformance, MemoryLease } from "@proj/memory/testing";
 * import { TestClock } from "@proj/concurrency/testing";
 *
 * const suite = leaseConformance(() => {
 *   const clock = new TestClock();
 *   const lease = new MemoryLease({ clock });
 *   return { here: lease, there: lease, pass: (ms) => clock.advance(ms) };
 * });
 * for (const { run } of suite) await run(); // or: for (const { name, run } of suite) test(name, run);
 * ```
 */
export function leaseConformance(make: () => LeaseUnderTest | PromiseLike<LeaseUnderTest>): readonly ConformanceCase[] {
  const check = (name: string, body: (under: LeaseUnderTest) => unknown): ConformanceCase =>
    conformanceCase(name, make, body);
  return [
    check("one of several has the lease of a key", async ({ here, there }) => {
      const tries = [here, there, here, there].map((lease) => lease.tryAcquire("key", ttl));
      const held = (await Promise.all(tries)).filter((lease) => lease !== undefined);
      equal(held.length, 1);
      equal(await here.tryAcquire("key", ttl), undefined);
      equal(await there.tryAcquire("key", ttl), undefined);
    }),
    check("keys do not hinder one another", async ({ here, there }) => {
      for (const key of ["a", "A", "", "a\nb", "*"]) ok(await here.tryAcquire(key, ttl), JSON.stringify(key));
      ok(await there.tryAcquire("b", ttl));
    }),
    check("release() lets the next one have it", async ({ here, there }) => {
      const first = await here.tryAcquire("key", ttl);
      await first?.release();
      ok(await there.tryAcquire("key", ttl));
      equal(await here.tryAcquire("key", ttl), undefined);
    }),
    check("a lease ends by itself", async ({ here, there, pass }) => {
      ok(await here.tryAcquire("key", 50));
      await eventually("the lease ends", async () => (await there.tryAcquire("key", ttl)) !== undefined, pass);
      equal(await here.tryAcquire("key", ttl), undefined);
    }),
    check("who comes too late does not release the lease of another", async ({ here, there, pass }) => {
      const first = await here.tryAcquire("key", 50);
      await eventually("the lease ends", async () => (await there.tryAcquire("key", ttl)) !== undefined, pass);
      await first?.release();
      equal(await here.tryAcquire("key", ttl), undefined);
    }),
    check("releasing twice is harmless", async ({ here, there }) => {
      const first = await here.tryAcquire("key", ttl);
      await first?.release();
      ok(await there.tryAcquire("key", ttl));
      await first?.release();
      equal(await here.tryAcquire("key", ttl), undefined);
    }),
  ];
}
