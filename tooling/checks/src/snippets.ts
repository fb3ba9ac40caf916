// Proves that what READMEs and doc comments show is true: type-checks their TypeScript in one program, then runs every block.
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { type Document, findDocuments, type Snippet } from "./documents.ts";
import { run, temporaryFolder, twoAtATime } from "./process.ts";
import { type BlockRunner, blockRunner } from "./run-blocks.ts";
import { type Findings, type Problem, publicPackages, type Workspace } from "./workspace.ts";

export async function snippets(workspace: Workspace): Promise<Findings> {
  const documents = findDocuments(workspace);
  const problems: Problem[] = documents.flatMap(({ file, complaints }) =>
    complaints.map((complaint) => ({ file: relative(workspace.root, file), ...complaint })),
  );
  using folders = new DisposableStack();
  const placed = placeSnippets(workspace, documents, folders);
  const config = folders.use(temporaryFolder(join(workspace.root, ".snippets-")));
  const wrong = await typeProblems(workspace, placed, config.path);
  problems.push(...[...wrong.values()].flat());

  const sound = placed.filter((snippet) => !wrong.has(snippet));
  const notes: Problem[] = [];
  const runner = blockRunner(workspace, { problems, notes });
  await twoAtATime(sequences(sound), (sequence) => runSequence(runner, sequence));
  return { problems, notes };
}

// Blocks that stand for themselves run in any order; those of a text that starts a server run one after the other.
function sequences(all: readonly Snippet[]): Snippet[][] {
  const byDocument = Map.groupBy(all, ({ document }) => document);
  return [...byDocument.values()].flatMap((list) =>
    list.some(({ block }) => block.mode.kind === "server") ? [list] : list.map((snippet) => [snippet]),
  );
}

async function runSequence(runner: BlockRunner, sequence: readonly Snippet[]): Promise<void> {
  await using server = runner.serverSlot();
  for (const snippet of sequence) {
    if (snippet.block.mode.kind === "server") await server.start(snippet);
    else if (snippet.block.mode.kind === "run") await runner.run(snippet, server);
  }
}

// Code resolves its imports from where its file lies: inside the package that it documents.
function placeSnippets(workspace: Workspace, documents: readonly Document[], folders: DisposableStack): Snippet[] {
  const homes = new Map<string, string>();
  return documents.flatMap((document) => {
    const home = document.owner?.folder ?? workspace.root;
    const folder = homes.get(home) ?? folders.use(temporaryFolder(join(home, ".snippets-"))).path;
    if (!homes.has(home) && !document.owner) linkPackages(workspace, folder);
    homes.set(home, folder);
    const name = relative(home, document.file).replaceAll(/\W+/g, "-");
    return document.blocks.map((block) => {
      const path = join(folder, `${name}-${block.line}.ts`);
      if (block.language === "ts" && block.mode.kind !== "skip") writeFileSync(path, `${block.code}\n`);
      return { document, block, path };
    });
  });
}

// The root depends on none of the packages, yet its README shows them.
function linkPackages(workspace: Workspace, folder: string): void {
  for (const pkg of publicPackages(workspace)) {
    const link = join(folder, "node_modules", pkg.name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(pkg.folder, link, "dir");
  }
}

async function typeProblems(
  workspace: Workspace,
  placed: readonly Snippet[],
  folder: string,
): Promise<Map<Snippet | undefined, Problem[]>> {
  const checked = placed.filter(({ block }) => block.language === "ts" && block.mode.kind !== "skip");
  const wrong = new Map<Snippet | undefined, Problem[]>();
  if (checked.length === 0) return wrong;
  const config = join(folder, "tsconfig.json");
  const extended = join(import.meta.dirname, "../../tsconfig/base.json");
  const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false, incremental: false };
  writeFileSync(config, JSON.stringify({ extends: extended, compilerOptions, files: checked.map(({ path }) => path) }));

  const { output } = await run("tsc", ["-p", config, "--pretty", "false"], { cwd: workspace.root });
  const byPath = new Map(checked.map((snippet) => [basename(dirname(snippet.path)) + basename(snippet.path), snippet]));
  for (const line of output.split("\n")) {
    const [, path = "", row, message] = /^(.+)\((\d+),\d+\): error (TS\d+: .*)$/.exec(line) ?? [];
    const snippet = byPath.get(basename(dirname(path)) + basename(path));
    // Errors in the sources themselves are found by `turbo run typecheck`; errors of the set-up must not pass.
    const file = relative(workspace.root, snippet?.document.file ?? config);
    if (snippet) {
      const problem = { file, line: snippet.block.line + Number(row) - 1, message: `does not compile: ${message}` };
      wrong.set(snippet, [...(wrong.get(snippet) ?? []), problem]);
    } else if (line.startsWith("error TS") || output.startsWith("tsc: ")) {
      wrong.set(undefined, [...(wrong.get(undefined) ?? []), { file, line: 1, message: line }]);
    }
  }
  return wrong;
}
