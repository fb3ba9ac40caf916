// run.mjs in a copy of the workspace's root, with an npm and a pnpm that write down how they are called.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";

vi.setConfig({ testTimeout: 60_000 }); // starts programs, on slow machines too

interface Started {
  readonly child: ChildProcess;
  /** Everything the run has written so far. */
  output(): string;
  readonly ended: Promise<number | null>;
}

class Root implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "proj-bootstrap-"));
  readonly #started: ChildProcess[] = [];

  constructor(node: string) {
    const manifest = { engines: { node }, packageManager: "pnpm@12.21.0", toolchain: { node: "26.10.0" } };
    this.write("package.json", JSON.stringify(manifest));
    this.write("tooling/bootstrap/run.mjs", "");
    copyFileSync(join(import.meta.dirname, "../run.mjs"), join(this.path, "tooling/bootstrap/run.mjs"));
    this.write("calls", "");
    this.program("fakes/npm", fakeNpm);
    this.program("fakes/pnpm-to-fetch", fakePnpm);
    // Says which of the two ran a command.
    this.program("fakes/node-to-fetch", `#!/bin/sh\necho "the fetched node"\n`);
  }

  write(name: string, content: string): void {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }

  program(name: string, content: string): void {
    this.write(name, content);
    chmodSync(join(this.path, name), 0o755);
  }

  start(command: readonly string[], env: NodeJS.ProcessEnv = {}, node = process.execPath): Started {
    const { PATH = "" } = process.env;
    const child = spawn(node, [join(this.path, "tooling/bootstrap/run.mjs"), ...command], {
      env: { ...process.env, PATH: `${join(this.path, "fakes")}${delimiter}${PATH}`, FAKE: this.path, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#started.push(child);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    return {
      child,
      output: () => output,
      ended: once(child, "close").then(([code]: (number | null)[]) => code ?? null),
    };
  }

  async run(
    command: readonly string[],
    env?: NodeJS.ProcessEnv,
    node?: string,
  ): Promise<{ code: number | null; output: string }> {
    const { ended, output } = this.start(command, env, node);
    return { code: await ended, output: output() };
  }

  /** The calls of npm and pnpm, one per line, as `npm install …`. */
  calls(program: "npm" | "pnpm"): string[] {
    const lines = readFileSync(join(this.path, "calls"), "utf8").split("\n");
    return lines.filter((line) => line.startsWith(`${program} `));
  }

  toolchain(): string[] {
    const home = join(this.path, ".toolchain");
    return existsSync(home) ? readdirSync(home).sort() : [];
  }

  [Symbol.dispose](): void {
    for (const { pid } of this.#started) {
      try {
        if (pid !== undefined) process.kill(-pid, "SIGKILL");
      } catch {
        // it ended by itself
      }
    }
    rmSync(this.path, { recursive: true, force: true });
  }
}

// npm install --prefix <draft> …
const fakeNpm = `#!/bin/sh
echo "npm $*" >> "$FAKE/calls"
if [ "$NPM" = offline ]; then echo "the network is down" >&2; exit 7; fi
mkdir -p "$3/node_modules/.bin"
if [ "$NPM" = slow ]; then echo "npm waits"; exec sleep 60; fi
cp "$FAKE/fakes/pnpm-to-fetch" "$3/node_modules/.bin/pnpm"
case "$*" in *node-*) cp "$FAKE/fakes/node-to-fetch" "$3/node_modules/.bin/node" ;; esac
`;

const fakePnpm = `#!/bin/sh
echo "pnpm $*" >> "$FAKE/calls"
if [ "$PNPM" = broken ]; then
  case "$*" in *silent*) ;; *) echo "the lockfile is out of date" >&2 ;; esac
  exit 5
fi
if [ "$PNPM" = slow ]; then echo "pnpm waits"; exec sleep 60; fi
mkdir -p "$FAKE/node_modules/.bin" && touch "$FAKE/node_modules/.modules.yaml"
`;

const tooNew = ">=99.0";
const anyNode = ">=18.0";
const pnpmOnly = "pnpm@12.21.0";

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

test("a Node.js that is new enough is used, and only pnpm is fetched", async () => {
  using root = new Root(anyNode);
  const { code, output } = await root.run(["node", "-p", "process.execPath"]);
  expect(output).toContain(process.execPath);
  expect(code).toBe(0);
  expect(root.calls("npm")).toEqual([expect.stringMatching(/^npm install --prefix .* pnpm@12\.21\.0$/)]);
  expect(root.toolchain()).toEqual([pnpmOnly]);
});

test("where Node.js is too old, the pinned one is fetched and used", async () => {
  using root = new Root(tooNew);
  const { output } = await root.run(["node", "-p", "process.execPath"]);
  expect(output).toContain("the fetched node");
  const [call, ...others] = root.calls("npm");
  expect(call).toMatch(/ pnpm@12\.21\.0 node-(bin-)?(linux|darwin|win)-\w+@26\.10\.0$/);
  expect(others).toEqual([]);
});

test("the minor version counts", async () => {
  const [major = "", minor = ""] = process.versions.node.split(".");
  using same = new Root(`>=${major}.${minor}`);
  await same.run(["true"]);
  expect(same.toolchain()).toEqual([pnpmOnly]);
  using next = new Root(`>=${major}.${Number(minor) + 1}`);
  await next.run(["true"]);
  expect(next.toolchain()).toEqual([expect.stringContaining("@26.10.0")]);
});

test("the pinned pnpm is used, not one that is installed beside Node.js", async () => {
  using root = new Root(anyNode);
  mkdirSync(join(root.path, "machine"));
  copyFileSync(process.execPath, join(root.path, "machine/node"), constants.COPYFILE_FICLONE);
  root.program("machine/pnpm", "#!/bin/sh\necho 'another pnpm'\n");
  const { code, output } = await root.run(["echo", "works"], {}, join(root.path, "machine/node"));
  expect(output).not.toContain("another pnpm");
  expect(code).toBe(0);
});

test("the second run fetches nothing and works offline", async () => {
  using root = new Root(tooNew);
  await root.run(["true"]);
  const { code, output } = await root.run(["echo", "works"], { NPM: "offline" });
  expect(output).toBe("works\n");
  expect(code).toBe(0);
  expect(root.calls("npm")).toHaveLength(1);
  expect(root.calls("pnpm")).toEqual([
    "pnpm install --frozen-lockfile --reporter=append-only",
    "pnpm install --frozen-lockfile --reporter=silent",
  ]);
});

test("arguments arrive as they are, and the exit code comes back", async () => {
  using root = new Root(anyNode);
  const script = "console.log(JSON.stringify(process.argv.slice(1))); process.exit(42)";
  const args = ["a b", "", "$HOME", "--flag", "'\"*"];
  const { code, output } = await root.run(["node", "-e", script, "--", ...args]);
  expect(output).toContain(JSON.stringify(args));
  expect(code).toBe(42);
});

test("only what the command prints goes to standard output", async () => {
  using root = new Root(anyNode);
  const { child, ended } = root.start(["echo", "result"]);
  let stdout = "";
  child.stdout?.on("data", (text: string) => {
    stdout += text;
  });
  await ended;
  expect(stdout).toBe("result\n");
});

test("the command runs in the root, with the workspace's programs first on its PATH", async () => {
  using root = new Root(anyNode);
  root.program("node_modules/.bin/tool", '#!/bin/sh\necho "ours in $(pwd -P)"\n');
  root.program("fakes/tool", "#!/bin/sh\necho theirs\n");
  expect((await root.run(["tool"])).output).toMatch(/ours in .*proj-bootstrap-\w+\n$/);
});

test("SIGTERM is passed on, and the command's own exit code comes back", async () => {
  using root = new Root(anyNode);
  const script = 'process.on("SIGTERM", () => process.exit(33)); setInterval(() => {}, 1000); console.log("up")';
  const { child, output, ended } = root.start(["node", "-e", script]);
  await until(() => output().includes("up"));
  child.kill("SIGTERM");
  expect(await ended).toBe(33);
});

test("a second SIGTERM is passed on too", async () => {
  using root = new Root(anyNode);
  const script = `
    let count = 0;
    process.on("SIGTERM", () => { console.log("got", ++count); if (count === 2) process.exit(9); });
    setInterval(() => {}, 1000); console.log("up")`;
  const { child, output, ended } = root.start(["node", "-e", script]);
  await until(() => output().includes("up"));
  child.kill("SIGTERM");
  await until(() => output().includes("got 1"));
  child.kill("SIGTERM");
  expect(await ended).toBe(9);
});

test("Ctrl-C leaves it to the command when to stop", async () => {
  using root = new Root(anyNode);
  const script =
    'process.on("SIGINT", () => setTimeout(() => process.exit(0), 100)); setInterval(() => {}, 1000); console.log("up")';
  const { child, output, ended } = root.start(["node", "-e", script]);
  await until(() => output().includes("up"));
  process.kill(-(child.pid ?? 0), "SIGINT"); // a terminal signals the whole group
  expect(await ended).toBe(0);
});

test.each([
  ["SIGTERM", 143],
  ["SIGKILL", 137],
])("a command that %s ends gives exit code %i", async (signal, expected) => {
  using root = new Root(anyNode);
  expect((await root.run(["node", "-e", `process.kill(process.pid, "${signal}")`])).code).toBe(expected);
});

test("a command that does not exist is named", async () => {
  using root = new Root(anyNode);
  const { code, output } = await root.run(["no-such-program"]);
  expect(output).toContain("no-such-program: no such program");
  expect(code).toBe(127);
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s during the fetch leaves nothing behind, and the next run works",
  async (signal) => {
    using root = new Root(tooNew);
    const { child, output, ended } = root.start(["echo", "works"], { NPM: "slow" });
    await until(() => output().includes("npm waits"));
    if (signal === "SIGTERM") child.kill(signal);
    else process.kill(-(child.pid ?? 0), signal);
    expect(await ended).toBe(signal === "SIGTERM" ? 143 : 130);
    expect(output()).toContain("Interrupted; run the same command to try again.");
    expect(root.toolchain()).toEqual([]);
    expect((await root.run(["echo", "works"])).output).toContain("works");
  },
);

test("SIGTERM during the installation does not start the command", async () => {
  using root = new Root(anyNode);
  const { child, output, ended } = root.start(["echo", "started"], { PNPM: "slow" });
  await until(() => output().includes("pnpm waits"));
  child.kill("SIGTERM");
  expect(await ended).toBe(143);
  expect(output()).not.toContain("started");
  expect((await root.run(["echo", "works"])).code).toBe(0);
});

test("the draft of a run that was killed is removed by the next one, that of a running one is not", async () => {
  using root = new Root(tooNew);
  const killed = root.start(["true"], { NPM: "slow" });
  await until(() => killed.output().includes("npm waits"));
  process.kill(-(killed.child.pid ?? 0), "SIGKILL");
  await killed.ended;
  const running = root.start(["true"], { NPM: "slow" });
  await until(() => running.output().includes("npm waits"));
  expect(root.toolchain()).toEqual([expect.stringMatching(new RegExp(`\\.draft-${running.child.pid}$`))]);
  expect((await root.run(["echo", "works"])).output).toContain("works");
  expect(root.toolchain()).toHaveLength(2);
});

test("two at once both succeed, and leave one toolchain", async () => {
  using root = new Root(tooNew);
  const both = await Promise.all([root.run(["echo", "one"]), root.run(["echo", "two"])]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(root.toolchain()).toHaveLength(1);
  expect(readdirSync(join(root.path, ".toolchain", root.toolchain()[0] ?? ""))).toContain("node_modules");
});

test("a fetch that fails says so, leaves nothing behind and does not start the command", async () => {
  using root = new Root(anyNode);
  const { code, output } = await root.run(["echo", "started"], { NPM: "offline" });
  expect(output).toContain("the network is down");
  expect(output).toContain("npm could not fetch pnpm@12.21.0.");
  expect(output).not.toContain("started");
  expect(code).toBe(1);
  expect(root.toolchain()).toEqual([]);
});

test("a machine without npm is told so, and nothing is left behind", async () => {
  using root = new Root(anyNode);
  const { code, output } = await root.run(["echo", "started"], { PATH: join(root.path, "nowhere") });
  expect(output).toContain("npm: no such program");
  expect(code).toBe(1);
  expect(root.toolchain()).toEqual([]);
});

test("an installation that fails after the first time says why", async () => {
  using root = new Root(anyNode);
  await root.run(["true"]);
  const { code, output } = await root.run(["echo", "started"], { PNPM: "broken" });
  expect(output).toContain("the lockfile is out of date");
  expect(output).toContain("pnpm install failed.");
  expect(output).not.toContain("started");
  expect(code).toBe(1);
});
