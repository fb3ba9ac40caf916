// Finds the code blocks of a Markdown text, in a README or a doc comment, with the marker that says how to check each.

/** How a block is checked. Without a marker it runs; see the README for the marker of each. */
export type Mode =
  | { readonly kind: "run"; readonly where: "empty folder" | "root" }
  | { readonly kind: "types only" }
  | { readonly kind: "skip" }
  | { readonly kind: "server"; readonly url: string };

export interface Block {
  readonly language: "ts" | "sh";
  /** Line of the first line of code, from 1. */
  readonly line: number;
  readonly code: string;
  readonly mode: Mode;
}

export interface Complaint {
  readonly line: number;
  readonly message: string;
}

const languages: Readonly<Record<string, Block["language"]>> = { ts: "ts", sh: "sh", shell: "sh", bash: "sh" };
// Labels under which code would slip past this check.
const refused: Readonly<Record<string, string>> = {
  typescript: "ts",
  tsx: "ts",
  js: "ts",
  mjs: "ts",
  javascript: "ts",
  zsh: "sh",
  console: "sh (or text, for output)",
};

/** Reads `text`, whose first line is line `firstLine` of its file. */
export function findBlocks(text: string, firstLine = 1): { blocks: Block[]; complaints: Complaint[] } {
  const blocks: Block[] = [];
  const complaints: Complaint[] = [];
  let marker: { readonly line: number; readonly text: string } | undefined;
  let open:
    | { readonly fence: string; readonly label: string; readonly line: number; readonly code: string[] }
    | undefined;

  for (const [index, raw] of text.split("\n").entries()) {
    const line = firstLine + index;
    if (open) {
      if (raw.trim() !== open.fence) {
        open.code.push(raw);
        continue;
      }
      const language = languages[open.label];
      const mode = language && readMarker(marker?.text, language);
      if (typeof mode === "string") complaints.push({ line: marker?.line ?? open.line, message: mode });
      else if (language && mode) blocks.push({ language, mode, line: open.line + 1, code: unindent(open.code) });
      else if (marker)
        complaints.push({ line: marker.line, message: "this marker belongs to no ts or sh block: remove it" });
      const better = refused[open.label];
      if (better !== undefined)
        complaints.push({ line: open.line, message: `label this block ${better}, so that it is checked` });
      open = undefined;
      marker = undefined;
      continue;
    }
    const [, fence, label = ""] = /^\s*(`{3,})\s*([\w-]*)/.exec(raw) ?? [];
    const comment = /^\s*<!--\s*check:\s*(.*?)\s*-->\s*$/.exec(raw)?.[1];
    if (fence !== undefined) open = { fence, label, line, code: [] };
    else if (comment !== undefined) marker = { line, text: comment };
    else if (marker && raw.trim() !== "") {
      complaints.push({ line: marker.line, message: "this marker belongs to no block: put it right before one" });
      marker = undefined;
    }
  }
  return { blocks, complaints };
}

/** The mode that a marker asks for, or what is wrong with it. */
function readMarker(text: string | undefined, language: Block["language"]): Mode | string {
  if (text === undefined) return { kind: "run", where: "empty folder" };
  if (text === "root" && language === "sh") return { kind: "run", where: "root" };
  const [, word, argument] = /^([\w-]+)[,\s]*(.*)$/.exec(text) ?? [];
  if (word === "server" && URL.canParse(argument ?? "")) return { kind: "server", url: argument ?? "" };
  if (word === "skip" || (word === "types-only" && language === "ts")) {
    if (!argument) return `"${word}" needs a reason: <!-- check: ${word}, because … -->`;
    return { kind: word === "skip" ? "skip" : "types only" };
  }
  const known = language === "ts" ? "types-only, <reason>" : "root";
  return `unknown marker "${text}" for a ${language} block; known: ${known} | skip, <reason> | server <url>`;
}

function unindent(lines: readonly string[]): string {
  const [indent = ""] = /^\s*/.exec(lines[0] ?? "") ?? [];
  return lines.map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line)).join("\n");
}

/** The lines of output that a block promises in comments of the form `// prints: text` (`# prints: text` in a shell). */
export function promisedOutput({ code }: Block): string[] {
  return code.split("\n").flatMap((line) => /(?:\/\/|#) prints: (.*)$/.exec(line)?.[1]?.trim() ?? []);
}

/** The first promised line that does not follow in the output. `…` in a promise stands for any text. */
export function missingOutput(promised: readonly string[], stdout: string): string | undefined {
  const lines = stdout.split("\n").map((line) => line.trim());
  let next = 0;
  return promised.find((text) => {
    const pattern = new RegExp(
      `^${text
        .split("…")
        .map((part) => RegExp.escape(part))
        .join(".*")}$`,
    );
    const at = lines.findIndex((line, index) => index >= next && pattern.test(line));
    next = at + 1;
    return at === -1;
  });
}
