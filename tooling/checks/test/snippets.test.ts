import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { snippets } from "../src/snippets.ts";
import { type Files, linesOf, manifest, plant } from "./plant.ts";

vi.setConfig({ testTimeout: 90_000 }); // starts programs, on slow machines too

const readme = "packages/concurrency/README.md";
const block = (language: string, code: string, marker?: string) =>
  `${marker === undefined ? "" : `<!-- check: ${marker} -->\n`}\`\`\`${language}\n${code}\n\`\`\`\n`;

async function found(files: Files): Promise<string[]> {
  using planted = plant(files);
  const lines = linesOf(await snippets(planted.workspace));
  expect(readdirSync(planted.workspace.root).filter((name) => name.startsWith(".snippets"))).toEqual([]);
  return lines;
}

const inReadme = (...args: Parameters<typeof block>) => found({ [readme]: `# concurrency\n\n${block(...args)}` });

test("blocks that compile, run and print what they promise pass", async () => {
  const use = 'import { double } from "@proj/concurrency";\nconsole.log(double(21)); // prints: 42';
  expect(
    await found({
      "README.md": block("ts", use) + block("sh", "npm i @proj/concurrency\necho done # prints: done"),
      [readme]: block("ts", use) + block("sh", "test -f package.json", "root"),
      "apps/web/package.json": { name: "web" },
      "apps/web/README.md": block("shell", 'test -z "$(ls)"'),
    }),
  ).toEqual([]);
});

const faults = [
  ["ts", "does not compile", 'const n: number = "1";\nn;', "does not compile: TS2322"],
  [
    "ts",
    "imports what is not exported",
    'import { gone } from "@proj/concurrency";\ngone;',
    "does not compile: TS2305",
  ],
  ["ts", "throws", 'throw new Error("planted");', "exits with code 1"],
  ["ts", "leaves a rejection unhandled", 'void Promise.reject(new Error("planted"));', "exits with code 1"],
  ["ts", "never settles", "await new Promise(() => {});", "exits with code 13"],
  ["ts", "makes Node.js warn", 'process.emitWarning("planted");', "makes Node.js warn"],
  ["ts", "prints something else", "console.log(41); // prints: 42", 'does not print "42"'],
  ["sh", "fails", "true\nfalse\necho on", "exits with code 1"],
  ["sh", "fails in a pipe", "false | cat", "exits with code 1"],
  ["sh", "installs a stranger", "npm install left-pad", "installs left-pad"],
  ["sh", "prints something else", "echo no # prints: yes", 'does not print "yes"'],
] as const;

// All in one text, each with the line that its code starts at.
const faulty = faults.reduce((text, [language, , code]) => `${text}\n${block(language, code)}`, "");
const placed = faults.map(([language, what, code, message]) => {
  const before = faulty.slice(0, faulty.indexOf(block(language, code)));
  return { language, what, message, line: before.split("\n").length + 1 };
});

describe("of a text with many faults", () => {
  let lines: readonly string[] = [];
  beforeAll(async () => {
    lines = await found({ [readme]: faulty });
  }, 90_000);

  test.each(placed)("a $language block that $what is reported with its line", ({ line, message }) => {
    expect(lines.filter((each) => each.startsWith(`${readme}:${line} `))).toEqual([
      expect.stringContaining(`${readme}:${line} ${message}`),
    ]);
  });

  test("nothing else is reported", () => {
    expect(lines).toHaveLength(faults.length);
  });
});

test("a type error is reported at its own line", async () => {
  expect((await inReadme("ts", "\n\nexport const n: number = true;"))[0]).toContain(`${readme}:6 does not compile`);
});

test("marked blocks are only type-checked, or left alone", async () => {
  expect(await inReadme("ts", "throw 1;", "types-only, it ends the process")).toEqual([]);
  expect((await inReadme("ts", "export const n: string = 1;", "types-only, no reason"))[0]).toContain(
    "does not compile",
  );
  expect(await inReadme("ts", "not code", "skip, it is a sketch")).toEqual([]);
  expect(await inReadme("sh", "exit 1", "skip, it is a sketch")).toEqual([]);
  expect((await inReadme("sh", "exit 1", "skip"))[0]).toContain('"skip" needs a reason');
});

test("an example in a doc comment runs, and fails with its line", async () => {
  const file = "packages/concurrency/src/lib/double.ts";
  const lines = await found({
    [file]: `/**
 * Twice.
 *
 * @example
 * \`\`\`ts
 * import { double } from "@proj/concurrency";
 *
 * console.log(double(2)); // prints: 5
 * \`\`\`
 */
export const double = (n: number): number => 2 * n;
`,
  });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(`${file}:6 does not print "5" but:\n    4`);
});

const server = `import { createServer } from "node:http";
const server = createServer((_, response) => response.end("hello")).listen(48443);
process.once("SIGTERM", () => server.close());`;

test("blocks after a server block talk to it, on a port that is free", async () => {
  const client =
    'const answer = await fetch("http://localhost:48443/");\nconsole.log(await answer.text()); // prints: hello';
  expect(
    await found({
      [readme]: block("ts", server, "server http://localhost:48443/") + block("ts", client) + block("ts", client),
    }),
  ).toEqual([]);
});

test("a shell block can start the server, and gets the port as PORT", async () => {
  const code = `node -e '${server
    .replaceAll(/import .*\n/g, "")
    .replace("createServer", 'require("http").createServer')
    .replace("48443", "process.env.PORT")}'`;
  const client = "const { status } = await fetch('http://localhost:48443/');\nconsole.log(status); // prints: 200";
  expect(await found({ [readme]: block("sh", code, "server http://localhost:48443/") + block("ts", client) })).toEqual(
    [],
  );
});

test("a server that ends at once is reported", async () => {
  const [line, ...others] = await inReadme("ts", "console.log(1);", "server http://localhost:48443/");
  expect(line).toContain(`${readme}:5 the server ended at once:\n    1`);
  expect(others).toEqual([]);
});

test("a server that ends before the text does is reported", async () => {
  const mortal = `${server}\nserver.on("request", () => setTimeout(() => process.exit(0), 50));`;
  const waiting = 'while (await fetch("http://localhost:48443/").then(() => true, () => false));';
  const lines = await found({
    [readme]: block("ts", mortal, "server http://localhost:48443/") + block("ts", waiting),
  });
  expect(lines).toEqual([`${readme}:3 the server ended before the text did`]);
});

test("a server that ignores SIGTERM is reported, and ended", async () => {
  const deaf = `${server}\nprocess.on("SIGTERM", () => {});\nserver.close = () => server;`;
  const lines = await found({ [readme]: block("ts", deaf, "server http://localhost:48443/") });
  expect(lines).toEqual([`${readme}:3 the server does not stop within 10 s of SIGTERM`]);
});

test("an unmarked block uses what its own package depends on, nothing else", async () => {
  const lines = await found({
    "packages/resilience/package.json": manifest("@proj/resilience"),
    "packages/resilience/README.md": block("ts", 'import { double } from "@proj/concurrency";\ndouble(1);'),
  });
  expect(lines[0]).toContain("packages/resilience/README.md:2 does not compile: TS2307");
});
