// Runs the blocks of READMEs and doc comments as their reader would, and servers between them.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { get as httpGet } from "node:http";
import { get as httpsGet } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { missingOutput, promisedOutput } from "./blocks.ts";
import type { Snippet } from "./documents.ts";
import { environment, run, signalGroup, start, temporaryFolder } from "./process.ts";
import { dependencyKinds, type Problem, publicPackages, type Workspace } from "./workspace.ts";

const { PROJ_REQUIRE_TOOLS } = process.env;
const timeLimit = 20_000;
const serverTimeLimit = 60_000; // `npm start` may build or install first

export interface BlockRunner {
  run(snippet: Snippet, server: ServerSlot): Promise<void>;
  serverSlot(): ServerSlot;
}

/** Holds the one server that a text has running. */
export interface ServerSlot extends AsyncDisposable {
  start(snippet: Snippet): Promise<void>;
  /** The code with the port that the text names replaced by the port that the server got. */
  withPort(code: string): string;
}

export function blockRunner(workspace: Workspace, into: { problems: Problem[]; notes: Problem[] }): BlockRunner {
  const report = ({ document, block }: Snippet, message: string, list = into.problems) =>
    list.push({ file: relative(workspace.root, document.file), line: block.line, message });

  async function runBlock(snippet: Snippet, server: ServerSlot): Promise<void> {
    using folder = temporaryFolder();
    const { command, args, cwd, problem } = prepare(
      workspace,
      snippet,
      folder.path,
      server.withPort(snippet.block.code),
    );
    if (problem !== undefined) return void report(snippet, problem);
    const result = await run(command, args, { cwd, timeout: timeLimit });
    if (result.timedOut) {
      report(snippet, `still runs after ${timeLimit / 1000} s: close what it opens, or mark it as a server`);
    } else if (result.code === 127 && PROJ_REQUIRE_TOOLS !== "1") {
      report(
        snippet,
        `not run, a program is missing on this machine: ${lastLines(result.output, 1).trim()}`,
        into.notes,
      );
    } else if (result.code !== 0) {
      report(snippet, `exits with code ${result.code ?? "none"}:\n${lastLines(result.output, 12)}`);
    } else {
      const missing = missingOutput(promisedOutput(snippet.block), result.stdout);
      if (missing !== undefined) report(snippet, `does not print "${missing}" but:\n${lastLines(result.stdout, 12)}`);
      const warnings = warningsIn(folder.path);
      if (warnings !== "") report(snippet, `makes Node.js warn:\n${lastLines(warnings, 6)}`);
    }
  }

  function serverSlot(): ServerSlot {
    let current: { readonly snippet: Snippet; readonly child: ChildProcess; readonly folder: Disposable } | undefined;
    let ports: { readonly shown: string; readonly real: string } | undefined;
    const withPort = (code: string) =>
      ports ? code.replaceAll(new RegExp(`\\b${ports.shown}\\b`, "g"), ports.real) : code;

    async function stop(): Promise<void> {
      if (!current) return;
      const { snippet, child, folder } = current;
      current = undefined;
      const running = child.exitCode === null && child.signalCode === null;
      if (!running) report(snippet, "the server ended before the text did");
      else {
        signalGroup(child, "SIGTERM");
        const ended = await Promise.race([once(child, "close"), sleep(10_000, undefined, { ref: false })]);
        if (!ended) report(snippet, "the server does not stop within 10 s of SIGTERM");
      }
      signalGroup(child, "SIGKILL");
      folder[Symbol.dispose]();
    }

    return {
      withPort,
      async start(snippet) {
        await stop();
        if (snippet.block.mode.kind !== "server") return;
        const shown = new URL(snippet.block.mode.url).port;
        if (shown !== "") ports = { shown, real: String(await freePort()) };
        const folder = temporaryFolder();
        const { command, args, problem } = prepare(workspace, snippet, folder.path, withPort(snippet.block.code));
        if (problem !== undefined) return void report(snippet, problem);
        // Data goes to the empty folder; a shell block starts in the root, as its reader would.
        const cwd = snippet.block.language === "sh" ? workspace.root : folder.path;
        const env = { ...environment, PORT: ports?.real ?? "", DATA_DIR: folder.path };
        const child = start(command, args, { cwd, env });
        let output = "";
        for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text: Buffer) => (output += text));
        child.once("error", (error) => (output += error.message));
        const problemOfStart = await untilAnswers(withPort(snippet.block.mode.url), child);
        if (problemOfStart === undefined) {
          current = { snippet, child, folder };
          return;
        }
        report(snippet, `${problemOfStart}:\n${lastLines(output, 12)}`);
        signalGroup(child, "SIGKILL");
        folder[Symbol.dispose]();
      },
      [Symbol.asyncDispose]: stop,
    };
  }

  return { run: runBlock, serverSlot };
}

interface Prepared {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly problem?: string;
}

function prepare(workspace: Workspace, { block, path }: Snippet, folder: string, code: string): Prepared {
  if (block.language === "ts") {
    writeFileSync(path, `${code}\n`);
    const args = ["--conditions=@proj/source", `--redirect-warnings=${join(folder, warningsFile)}`, path];
    return { command: process.execPath, args, cwd: folder };
  }
  const { script, problem } = withoutInstalls(workspace, code);
  const cwd = block.mode.kind === "run" && block.mode.where === "root" ? workspace.root : folder;
  return {
    command: "bash",
    args: ["-e", "-o", "pipefail", "-c", script],
    cwd,
    ...(problem === undefined ? {} : { problem }),
  };
}

const warningsFile = ".warnings";

function warningsIn(folder: string): string {
  const file = join(folder, warningsFile);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** Our packages are already here, and so is what they declare: a line that installs such packages is left out. */
export function withoutInstalls(workspace: Workspace, code: string): { script: string; problem?: string } {
  const known = new Set([
    ...publicPackages(workspace).map(({ name }) => name),
    ...workspace.packages.flatMap(({ manifest }) =>
      dependencyKinds.flatMap((kind) => Object.keys(manifest[kind] ?? {})),
    ),
  ]);
  const script: string[] = [];
  for (const line of code.split("\n")) {
    const [, list] = /^\s*(?:npm (?:i|install|add)|(?:pnpm|yarn|bun) add)\s+([^#&|;]+)/.exec(line) ?? [];
    const names = list?.split(/\s+/).filter((word) => word !== "" && !word.startsWith("-")) ?? [];
    const stranger = names.map((name) => name.replace(/(?<=.)@.*$/, "")).find((name) => !known.has(name));
    if (stranger !== undefined) {
      return { script: "", problem: `installs ${stranger}, which is no package or dependency of this workspace` };
    }
    if (names.length === 0) script.push(line);
  }
  return { script: script.join("\n") };
}

async function untilAnswers(url: string, child: ChildProcess): Promise<string | undefined> {
  const limit = performance.now() + serverTimeLimit;
  while (performance.now() < limit) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
      return "the server ended at once";
    if (await answers(url)) return undefined;
    await sleep(100);
  }
  return `nothing answers at ${url} within ${serverTimeLimit / 1000} s`;
}

// The certificate is the server's own: whether it is trusted is not the question here.
function answers(url: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const request = url.startsWith("https:")
    ? httpsGet(url, { rejectUnauthorized: false, agent: false })
    : httpGet(url, { agent: false });
  request.setTimeout(2_000, () => request.destroy());
  request.once("error", () => resolve(false));
  request.once("close", () => resolve(false));
  request.once("response", (response) => {
    response.resume();
    resolve((response.statusCode ?? 500) < 500);
  });
  return promise;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a listening TCP server has an address object
  server.close();
  await once(server, "close");
  return port;
}

function lastLines(text: string, count: number): string {
  return text
    .trimEnd()
    .split("\n")
    .slice(-count)
    .map((line) => `    ${line}`)
    .join("\n");
}
