import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

// Packages are imported by name and resolve to their sources: no build before a test.
const conditions = ["@proj/source", "module", "node", "development|production"];

const projects = ["packages", "apps", "tooling"].flatMap((group) => {
  const folder = join(import.meta.dirname, group); // not the cwd: turbo runs it from a package
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((root) => existsSync(join(root, "package.json")))
    .map((root) => {
      const { name } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { name: string };
      return {
        extends: true as const,
        root,
        test: {
          name,
          include: ["src/**/*.test.ts", "test/**/*.test.ts"],
          typecheck: {
            enabled: true,
            include: ["src/**/*.test-d.ts", "test/**/*.test-d.ts"],
            tsconfig: join(root, "tsconfig.json"),
          },
        },
      };
    });
});

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    projects,
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // A hang ends the run; a slow machine does not.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: { provider: "v8", include: ["packages/*/src/**/*.ts"], reporter: ["text", "html", "lcov"] },
  },
});
