import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { temporaryFolder } from "./temporary-folder.ts";
import { findTool, MissingToolError, requireTool } from "./tools.ts";

afterEach(() => void vi.unstubAllEnvs());

test("a tool is found on PATH under the first of its names, if it can be executed", async () => {
  await using folder = await temporaryFolder();
  vi.stubEnv("PATH", `relative:${folder.path}`);
  const chrome = join(folder.path, "chromium");
  await writeFile(chrome, "#!/bin/sh\n");
  expect(findTool("chromium")).not.toBe(chrome);
  await chmod(chrome, 0o755);
  expect(findTool("chromium")).toBe(chrome);
  expect(requireTool("chromium")).toBe(chrome);
});

test("the error of a missing tool names the package to install", () => {
  const error = new MissingToolError(["gtlsclient", "h2load"]);
  expect(error.message).toContain("gtlsclient, h2load: not found");
  expect(error.message).toContain("apt-get install ngtcp2-client nghttp2-client");
  expect(error).toMatchObject({ code: "ERR_MISSING_TOOL", tools: ["gtlsclient", "h2load"] });
});
