import { expect, test } from "vitest";
import { benchmark, serverBenchmark } from "./benchmark.ts";

const cases = { ours: () => () => 1, peer: () => () => 1 };

test("ours and the peers of the goal must be cases", () => {
  expect(() => benchmark("sum", { ours: "mine", cases })).toThrow('there is no case "mine", only ours, peer');
  expect(() => benchmark("sum", { ours: "ours", cases, goal: { other: 1 } })).toThrow('there is no case "other"');
  const load = async () => ({ requests: 1, failed: 0, seconds: 1 });
  expect(() => serverBenchmark("get", { ours: "mine", cases: { ours: () => "http://localhost" }, load })).toThrow(
    TypeError,
  );
});

test.for([0, -1, 1.5, Number.NaN])("operationsPerCall must be a positive integer, not %d", (operationsPerCall) => {
  expect(() => benchmark("sum", { ours: "ours", cases, operationsPerCall })).toThrow(RangeError);
});
