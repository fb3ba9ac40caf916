// Proves that no file says what only holds on one machine, or that work is left undone.
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { type Findings, listFiles, type Workspace } from "./workspace.ts";

interface Rule {
  readonly pattern: RegExp;
  readonly advice: string;
}

// Each pattern is written so that it does not match itself.
const rules: readonly Rule[] = [
  {
    pattern: /\bregistry\.(?:npmjs|yarnpkg|npmmirror)\.|\bnpm\.pkg\.github\./,
    advice: "names the host of a package registry: leave it to the reader's configuration",
  },
  {
    pattern: /(?<![\w.)\]}/-])\/(?:work|root|home\/\w+|Users\/\w+)\/|\b[A-Z]:\\Users\\/,
    advice: "names a path of one machine: make it relative, or derive it",
  },
  {
    pattern: new RegExp(`\\b(?:${["TO", "FIX"].map((word) => word + (word === "TO" ? "DO" : "ME")).join("|")})\\b`),
    advice: "marks unfinished work: finish it, or open an issue and say what holds today",
  },
];

export function text(workspace: Workspace): Findings {
  const problems = listFiles(workspace.root).flatMap((path) => {
    const content = readFileSync(path, "utf8");
    if (content.includes("\0")) return []; // not text
    return content.split("\n").flatMap((line, index) =>
      rules.flatMap(({ pattern, advice }) => {
        const [match] = pattern.exec(line) ?? [];
        return match === undefined
          ? []
          : [{ file: relative(workspace.root, path), line: index + 1, message: `"${match.trim()}" ${advice}` }];
      }),
    );
  });
  return { problems };
}
