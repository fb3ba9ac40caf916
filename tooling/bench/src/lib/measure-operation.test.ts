import { expect, test } from "vitest";
import { measureOperation } from "./measure-operation.ts";

const brief = { warmup: 5, duration: 20 };

test("a promise is awaited before the next call", async () => {
  let inFlight = 0;
  let most = 0;
  await measureOperation(async () => {
    most = Math.max(most, ++inFlight);
    await Promise.resolve();
    inFlight--;
  }, brief);
  // The first call only tells that it returns a promise; the second may start before its end.
  expect(most).toBeLessThanOrEqual(2);
});

test("the cost of a call is shared by the operations it does", async () => {
  let calls = 0;
  const spin = (): number => {
    calls++;
    let sum = 0;
    for (let at = 0; at < 20_000; at++) sum += Math.sqrt(at);
    return sum;
  };
  const one = await measureOperation(spin, { warmup: 20, duration: 100 });
  const shared = await measureOperation(spin, { warmup: 20, duration: 100, operationsPerCall: 1_000 });
  expect(calls).toBeGreaterThan(10);
  expect(one.cpuNs / shared.cpuNs).toBeGreaterThan(100); // 1,000 but for noise
});

test("what throws rejects", async () => {
  const broken = (): never => {
    throw new Error("no luck");
  };
  await expect(measureOperation(broken, brief)).rejects.toThrow("no luck");
});
