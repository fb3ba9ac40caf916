// A test that needs programs of the machine: skipped with the reason where they are missing, failed in CI.
import { type TestAPI, test } from "vitest";
import { findTool, MissingToolError, type ToolName } from "./tools.ts";

/**
 * Returns vitest's `test` when the machine has all the programs. Otherwise returns a `test` that skips each test with
 * a note which package to install; with the environment variable `PROJ_REQUIRE_TOOLS=1` it fails each test instead.
 *
 * Start what a test needs inside the test, not in a `beforeAll` hook, which would run and fail where a test is skipped.
 *
 * @example
 * ```ts
 * const test = testWithTools("redis-server");
 *
 * test("a value survives a crash", async () => {
 *   await using redis = await startRedis();
 *   // ...
 * });
 * ```
 */
export function testWithTools(...names: readonly ToolName[]): TestAPI {
  const missing = names.filter((name) => findTool(name) === undefined);
  if (missing.length === 0) return test;
  const error = new MissingToolError(missing);
  return test.extend<{ tools: undefined }>({
    tools: [
      async ({ skip }, use) => {
        if (process.env["PROJ_REQUIRE_TOOLS"] === "1") throw error;
        skip(error.message);
        await use(undefined);
      },
      { auto: true },
    ],
  }) as TestAPI; // the extra fixture is nobody's business
}
