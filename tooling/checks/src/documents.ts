// Collects the texts whose code blocks are checked: every README, and every `@example` in the doc comments of packages.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import ts from "typescript";
import { type Block, type Complaint, findBlocks } from "./blocks.ts";
import { parse } from "./imports.ts";
import { isShipped, listFiles, type Package, publicPackages, type Workspace } from "./workspace.ts";

export interface Document {
  /** Absolute path. */
  readonly file: string;
  /** The package whose dependencies its blocks see; none for the root, where every package is at hand. */
  readonly owner: Package | undefined;
  readonly blocks: readonly Block[];
  readonly complaints: readonly Complaint[];
}

/** A block, where it stands, and the file that its code is written to when it is TypeScript. */
export interface Snippet {
  readonly document: Document;
  readonly block: Block;
  readonly path: string;
}

export function findDocuments(workspace: Workspace): Document[] {
  const readmes = listFiles(workspace.root).filter((file) => basename(file) === "README.md");
  const sources = publicPackages(workspace).flatMap((pkg) => pkg.files.filter((file) => isShipped(pkg, file)));
  const ownerOf = (file: string) => workspace.packages.find(({ files }) => files.includes(file));
  return [
    ...readmes.map((file) => ({ file, owner: ownerOf(file), ...findBlocks(readFileSync(file, "utf8")) })),
    ...sources.map((file) => ({ file, owner: ownerOf(file), ...findExamples(file) })),
  ].filter(({ blocks, complaints }) => blocks.length + complaints.length > 0);
}

function findExamples(file: string): Pick<Document, "blocks" | "complaints"> {
  const source = parse(file);
  const blocks: Block[] = [];
  const complaints: Complaint[] = [];
  const comments = new Set<ts.JSDoc>();
  const visit = (node: ts.Node): void => {
    for (const part of ts.getJSDocCommentsAndTags(node)) if (ts.isJSDoc(part)) comments.add(part);
    ts.forEachChild(node, visit);
  };
  visit(source);

  for (const comment of comments) {
    const firstLine = source.getLineAndCharacterOfPosition(comment.getStart(source)).line + 1;
    const lines = comment
      .getText(source)
      .split("\n")
      .map((line) => line.replace(/^\s*(\/\*\*|\*\/|\*) ?/, ""));
    const at = lines.findIndex((line) => line.startsWith("@example"));
    if (at === -1) continue;
    const found = findBlocks(lines.slice(at).join("\n"), firstLine + at);
    blocks.push(...found.blocks);
    complaints.push(...found.complaints);
  }
  return { blocks, complaints };
}
