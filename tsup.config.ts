// Builds the JavaScript of one package (cwd) from the source entries named in its `exports`; tsc writes the types.
import { readFileSync } from "node:fs";
import { defineConfig } from "tsup";

const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as {
  exports: Record<string, { "@proj/source"?: string } | string>;
};
const entry = Object.values(exports).flatMap((target) =>
  typeof target === "object" && target["@proj/source"] ? [target["@proj/source"]] : [],
);

export default defineConfig({
  entry,
  format: ["esm"],
  platform: "node",
  target: "node24",
  removeNodeProtocol: false, // "node:sqlite" has no name without its prefix
  sourcemap: true,
  clean: true,
  esbuildOptions(options) {
    options.supported = { ...options.supported, using: true };
  },
});
