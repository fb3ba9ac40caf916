// How the app is set up: flags win over environment variables, which win over defaults.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { TlsOptions } from "@proj/http3";

export interface Config {
  readonly port: number;
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  /** Absolute. */
  readonly dataFolder: string;
  readonly tls: TlsOptions | "development";
  /** Milliseconds. */
  readonly drainTimeout: number;
  readonly logFormat: "json" | "text";
}

/** A flag or variable has a value that cannot be used. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "ERR_CONFIG";
  /** The flag or variable. */
  readonly setting: string;

  constructor(setting: string, message: string) {
    super(`Cannot start: ${setting} ${message}`);
    this.setting = setting;
  }
}

export const help = `Usage: npm start -- [options]

  --port <number>   TCP and UDP port, 0 for a free one (PORT, default 8443)
  --host <address>  address to listen on (HOST, default all addresses)
  --data <folder>   where the database is (DATA_DIR, default apps/web-api/data)
  --help            this text

  TLS_CERT_FILE, TLS_KEY_FILE  certificate and key in PEM (default: made for development)
  DRAIN_TIMEOUT                milliseconds for requests to finish on shutdown (default 10000)
  LOG_FORMAT                   json or text (default text on a terminal, else json)
`;

/** What surrounds the process. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTerminal: boolean;
}

/** Reads the configuration, or `"help"` when that is asked for. Throws a `ConfigError` for what cannot be used. */
export function readConfig(args: readonly string[], { env, isTerminal }: Surroundings): Config | "help" {
  const flags = readFlags(args);
  if (flags.help) return "help";
  // A variable that is empty counts as not set, as in shells and container files.
  const setting = (flag: string | undefined, flagName: string, variable: string) =>
    flag === undefined ? { name: variable, value: env[variable] || undefined } : { name: flagName, value: flag };

  const port = setting(flags.port, "--port", "PORT");
  const host = setting(flags.host, "--host", "HOST");
  const data = setting(flags.data, "--data", "DATA_DIR");
  for (const { name, value } of [host, data]) if (value === "") throw new ConfigError(name, "must not be empty");
  return {
    port: readInteger(port.name, port.value, 8443, 65_535),
    host: host.value,
    // A script of the workspace runs in the folder of the app: people mean the one they are in.
    dataFolder:
      data.value === undefined
        ? join(import.meta.dirname, "../data")
        : resolve(env["INIT_CWD"] || process.cwd(), data.value),
    tls: readTls(env),
    drainTimeout: readInteger("DRAIN_TIMEOUT", env["DRAIN_TIMEOUT"] || undefined, 10_000, 3_600_000),
    logFormat: readLogFormat(env["LOG_FORMAT"] || undefined, isTerminal),
  };
}

function readFlags(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: args.filter((arg, index) => !(index === 0 && arg === "--")), // some package managers hand it on
      options: {
        port: { type: "string" },
        host: { type: "string" },
        data: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (error) {
    const [reason = ""] = (error as Error).message.split(". ");
    throw new ConfigError("an option", `is wrong: ${reason}. See --help`);
  }
}

function readInteger(name: string, value: string | undefined, fallback: number, largest: number): number {
  if (value === undefined) return fallback;
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= largest) return number;
  throw new ConfigError(name, `must be an integer from 0 to ${largest}, got ${JSON.stringify(value)}`);
}

function readTls(env: Surroundings["env"]): Config["tls"] {
  const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = env;
  if (!certFile && !keyFile) return "development";
  if (!certFile) throw new ConfigError("TLS_CERT_FILE", "is missing: TLS_KEY_FILE is set");
  if (!keyFile) throw new ConfigError("TLS_KEY_FILE", "is missing: TLS_CERT_FILE is set");
  return { cert: readPem("TLS_CERT_FILE", certFile), key: readPem("TLS_KEY_FILE", keyFile) };
}

function readPem(name: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError(name, `cannot be read: ${(error as Error).message}`);
  }
}

function readLogFormat(value: string | undefined, isTerminal: boolean): Config["logFormat"] {
  if (value === undefined) return isTerminal ? "text" : "json";
  if (value === "json" || value === "text") return value;
  throw new ConfigError("LOG_FORMAT", `must be "json" or "text", got ${JSON.stringify(value)}`);
}
