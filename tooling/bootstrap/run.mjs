// Runs a command with the Node.js and pnpm that this workspace needs, after installing its dependencies.
//
//   node tooling/bootstrap/run.mjs [command [args...]]
//
// No dependencies; runs on any Node.js from 18 on. What the machine lacks is fetched once through npm into
// .toolchain/ (git-ignored): pnpm always, Node.js only where the running one is too old.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const windows = process.platform === "win32";
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { engines, packageManager, toolchain } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

let running; // the child that signals are passed on to
let interrupted = false;
// A terminal's Ctrl-C reaches the child by itself; it decides when to stop. SIGTERM reaches only this process.
process.on("SIGINT", () => {
  interrupted = true;
});
process.on("SIGTERM", () => {
  interrupted = true;
  running?.kill("SIGTERM");
});

const ownNode = atLeast(process.versions.node, engines.node);
const packages = ownNode ? [packageManager] : [packageManager, `${nodePackage()}@${toolchain.node}`];
const bin = join(await fetchToolchain(packages), "node_modules", ".bin");

const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1" };
const PATH = Object.keys(env).find((name) => name.toUpperCase() === "PATH") ?? "PATH";
env[PATH] = [join(root, "node_modules", ".bin"), ...(ownNode ? [dirname(process.execPath)] : []), bin, env[PATH]].join(
  delimiter,
);

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
  const draft = `${dir}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  writeFileSync(join(draft, "package.json"), '{ "private": true }\n');
  const done = showProgress(`Fetching ${specs.join(" and ")} (once)`);
  const npmArgs = ["install", "--prefix", draft, "--no-audit", "--no-fund", "--loglevel=error", ...specs];
  const code = await run("npm", npmArgs, process.env);
  done();
  if (code !== 0) {
    rmSync(draft, { recursive: true, force: true });
    fail(interrupted ? "Interrupted; run the same command to try again." : `npm could not fetch ${specs.join(", ")}.`);
  }
  try {
    renameSync(draft, dir);
  } catch (error) {
    if (!existsSync(dir)) throw error;
    rmSync(draft, { recursive: true, force: true }); // the other of two runs at once was first
  }
  return dir;
}

// An interrupted run may leave its draft behind; its name ends in the id of a process that is no more.
function removeAbandonedDrafts(home) {
  if (!existsSync(home)) return;
  for (const name of readdirSync(home)) {
    const pid = Number(/\.(\d+)$/.exec(name)?.[1]);
    if (name.includes("pnpm@") && pid > 0 && /\.\d+\.\d+\.\d+\.\d+$/.test(name) && !isRunning(pid)) {
      rmSync(join(home, name), { recursive: true, force: true });
    }
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
  if (code !== 0 && !first && !interrupted) code = await run("pnpm", ["install", "--frozen-lockfile"], env);
  if (code !== 0) fail(interrupted ? "Interrupted; run the same command to try again." : "pnpm install failed.");
}

function run(file, argv, environment, stdio = "inherit") {
  return new Promise((settle) => {
    running = spawn(file, argv, { cwd: root, env: environment, stdio, shell: windows });
    running.on("error", (error) => fail(`${file}: ${error.message}`));
    running.on("exit", (code, signal) => settle(signal === null ? (code ?? 1) : 128 + (signal === "SIGINT" ? 2 : 15)));
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
  console.error(message);
  process.exit(interrupted ? 130 : 1);
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
