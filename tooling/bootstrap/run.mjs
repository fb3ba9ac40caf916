// Runs a command with the Node.js and pnpm that this workspace needs, after installing its dependencies.
//
//   node tooling/bootstrap/run.mjs [command [args...]]
//
// No dependencies; runs on any Node.js from 18 on. What the machine lacks is fetched once through npm into
// .toolchain/ (git-ignored): pnpm always, Node.js only where the running one is too old.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const { signals } = constants;
const windows = process.platform === "win32";
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { engines, packageManager, toolchain } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

let running; // the child that signals are passed on to
let interruption; // the signal that asked this process to stop
// A terminal's Ctrl-C reaches the child by itself; it decides when to stop. SIGTERM reaches only this process.
process.on("SIGINT", () => {
  interruption = "SIGINT";
});
process.on("SIGTERM", () => {
  interruption = "SIGTERM";
  running?.kill("SIGTERM");
});

const ownNode = atLeast(process.versions.node, engines.node);
const packages = ownNode ? [packageManager] : [packageManager, `${nodePackage()}@${toolchain.node}`];
const bin = join(await fetchToolchain(packages), "node_modules", ".bin");

const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1" };
const PATH = Object.keys(env).find((name) => name.toUpperCase() === "PATH") ?? "PATH";
// The pinned pnpm goes before the folder of Node.js: another pnpm may be installed there.
const folders = [join(root, "node_modules", ".bin"), bin, ...(ownNode ? [dirname(process.execPath)] : []), env[PATH]];
env[PATH] = folders.join(delimiter);

await installDependencies();
const [command, ...args] = process.argv.slice(2);
if (command !== undefined) process.exitCode = await run(command, args, env);

// Installs the packages into a folder named after them, so a changed version is a new folder. The rename
// at the end makes it safe to interrupt, and to run twice at the same time.
async function fetchToolchain(specs) {
  const home = join(root, ".toolchain");
  const dir = join(home, specs.join("+").replace(/[^\w.@+-]/g, "_"));
  if (existsSync(dir)) return dir;
  removeAbandonedDrafts(home);
  const draft = `${dir}.draft-${process.pid}`;
  mkdirSync(draft, { recursive: true });
  writeFileSync(join(draft, "package.json"), '{ "private": true }\n');
  const done = showProgress(`Fetching ${specs.join(" and ")} (once)`);
  const npmArgs = ["install", "--prefix", draft, "--no-audit", "--no-fund", "--loglevel=error", ...specs];
  const code = await run("npm", npmArgs, process.env);
  done();
  if (code !== 0) {
    rmSync(draft, { recursive: true, force: true });
    fail(`npm could not fetch ${specs.join(", ")}.`);
  }
  try {
    renameSync(draft, dir);
  } catch (error) {
    if (!existsSync(dir)) throw error;
    rmSync(draft, { recursive: true, force: true }); // the other of two runs at once was first
  }
  return dir;
}

// A run that was killed leaves its draft behind; its name ends in the id of a process that is no more.
function removeAbandonedDrafts(home) {
  if (!existsSync(home)) return;
  for (const name of readdirSync(home)) {
    const pid = Number(/\.draft-(\d+)$/.exec(name)?.[1]);
    if (pid === process.pid || (pid > 0 && !isRunning(pid))) rmSync(join(home, name), { recursive: true, force: true });
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

// pnpm compares the lockfile with node_modules itself, in half a second and without the network. Its report
// goes to stderr, so that what a command prints can be piped.
async function installDependencies() {
  const first = !existsSync(join(root, "node_modules", ".modules.yaml"));
  if (first) console.error("Installing dependencies (once)");
  const reporter = first ? (process.stderr.isTTY ? "default" : "append-only") : "silent";
  const args = ["install", "--frozen-lockfile", `--reporter=${reporter}`];
  let code = await run("pnpm", args, env, ["inherit", 2, "inherit"]);
  // The silent report hides the reason of a failure: say it by running again, aloud.
  if (code !== 0 && !first && !interruption) code = await run("pnpm", ["install", "--frozen-lockfile"], env);
  if (code !== 0) fail("pnpm install failed.");
}

// The exit code, as a shell would give it: 127 when there is no such program, 128 and more after a signal.
function run(file, argv, environment, stdio = "inherit") {
  if (interruption) fail(); // it came between two children
  return new Promise((settle) => {
    running = spawn(file, argv, { cwd: root, env: environment, stdio, shell: windows });
    running.on("error", (error) => {
      console.error(`${file}: ${error.code === "ENOENT" ? "no such program" : error.message}`);
      settle(127);
    });
    running.on("exit", (code, signal) => settle(signal === null ? code : 128 + signals[signal]));
  });
}

// One line: a spinner with the seconds on a terminal, a dot every few seconds elsewhere.
function showProgress(text) {
  const started = Date.now();
  if (!process.stderr.isTTY) process.stderr.write(`${text} `);
  let frame = 0;
  const draw = () => {
    if (!process.stderr.isTTY) return process.stderr.write(".");
    const seconds = Math.round((Date.now() - started) / 1000);
    return process.stderr.write(`\r${"|/-\\"[frame++ % 4]} ${text} ${seconds} s`);
  };
  const timer = setInterval(draw, process.stderr.isTTY ? 120 : 2_000);
  return () => {
    clearInterval(timer);
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}\n` : "\n");
  };
}

function fail(message) {
  console.error(interruption ? "Interrupted; run the same command to try again." : message);
  process.exit(interruption ? 128 + signals[interruption] : 1);
}

// `range` is always of the form ">=major.minor".
function atLeast(version, range) {
  const [major, minor] = version.split(".").map(Number);
  const [wantedMajor, wantedMinor = 0] = range
    .replace(/^>=\s*/, "")
    .split(".")
    .map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

// The npm package that carries the Node.js binary for this machine; none of these has an install script.
function nodePackage() {
  const { platform, arch } = process;
  const prefix = platform === "darwin" && arch === "arm64" ? "node-bin" : "node";
  return `${prefix}-${windows ? "win" : platform}-${arch}`;
}
