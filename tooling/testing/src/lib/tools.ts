// The programs that integration tests drive: where each one is, and which package brings it.
import { accessSync, constants } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

interface Tool {
  /** Names to look for, best first. */
  readonly commands: readonly string[];
  /** The Debian package that has it. */
  readonly debianPackage: string;
}

const tools = {
  caddy: { commands: ["caddy"], debianPackage: "caddy" },
  chromium: {
    commands: [
      "chromium",
      "chromium-browser",
      "google-chrome",
      "google-chrome-stable",
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ],
    debianPackage: "chromium",
  },
  curl: { commands: ["curl"], debianPackage: "curl" },
  etcd: { commands: ["etcd"], debianPackage: "etcd-server" },
  gtlsclient: { commands: ["gtlsclient"], debianPackage: "ngtcp2-client" },
  h2load: { commands: ["h2load"], debianPackage: "nghttp2-client" },
  openssl: { commands: ["openssl"], debianPackage: "openssl" },
  prometheus: { commands: ["prometheus"], debianPackage: "prometheus" },
  "redis-server": { commands: ["redis-server"], debianPackage: "redis-server" },
  tmux: { commands: ["tmux"], debianPackage: "tmux" },
  wrk: { commands: ["wrk"], debianPackage: "wrk" },
} satisfies Record<string, Tool>;

/** The programs known by name. */
export type ToolName = keyof typeof tools;

/** Returns the absolute path of the program, or `undefined` where the machine does not have it. */
export function findTool(name: ToolName): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/bin", "/usr/bin", "/usr/sbin"];
  for (const command of tools[name].commands) {
    const candidates = isAbsolute(command) ? [command] : folders.filter(isAbsolute).map((dir) => join(dir, command));
    const found = candidates.find(isExecutable);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Returns the absolute path of the program; throws a {@link MissingToolError} where the machine does not have it. */
export function requireTool(name: ToolName): string {
  const path = findTool(name);
  if (path === undefined) throw new MissingToolError([name]);
  return path;
}

/** A program that a test needs is not on this machine; the message names the package to install. */
export class MissingToolError extends Error {
  override readonly name = "MissingToolError";
  readonly code = "ERR_MISSING_TOOL";
  readonly tools: readonly ToolName[];

  constructor(missing: readonly ToolName[]) {
    const packages = missing.map((name) => tools[name].debianPackage);
    super(`Cannot run ${missing.join(", ")}: not found on this machine, try: apt-get install ${packages.join(" ")}`);
    this.tools = missing;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
