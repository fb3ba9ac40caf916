// The real app as a process of its own, on a free port and a data folder of the caller's.
import { join } from "node:path";
import { createCertificates, type RunningProcess, spawnProcess } from "@tooling/testing";

export interface RunningApp extends AsyncDisposable {
  readonly process: RunningProcess;
  readonly port: number;
  /** `https://localhost:<port>` */
  readonly url: string;
  readonly protocols: readonly string[];
  /** The log so far, line by line. */
  log(): readonly LogLine[];
}

export interface LogLine {
  readonly message?: string;
  readonly requestId?: string;
  readonly path?: string;
  readonly protocol?: string;
  readonly status?: number;
}

export interface StartAppOptions {
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts the app and waits until it listens. */
export async function startApp({ folder, env = {} }: StartAppOptions): Promise<RunningApp> {
  const process = await spawnApp(["--port", "0", "--data", folder], env);
  try {
    const [line] = await process.waitForLine(/^\{.*"message":"listening".*\}$/, { timeout: 60_000 });
    const { port, protocols } = JSON.parse(line) as { port: number; protocols: string[] };
    return {
      process,
      port,
      protocols,
      url: `https://localhost:${port}`,
      // The last line may be half written.
      log: () =>
        process.stdout
          .split("\n")
          .slice(0, -1)
          .map((text) => JSON.parse(text) as LogLine),
      [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
    };
  } catch (error) {
    await process.kill();
    throw error;
  }
}

/** Runs the app with these arguments, with a certificate made for tests. */
export async function spawnApp(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<RunningProcess> {
  const { certFile, keyFile } = await createCertificates();
  const main = join(import.meta.dirname, "../src/main.ts");
  return spawnProcess(process.execPath, ["--conditions=@proj/source", main, ...args], {
    env: {
      PORT: undefined,
      HOST: undefined,
      DATA_DIR: undefined,
      INIT_CWD: undefined,
      LOG_FORMAT: "json",
      TLS_CERT_FILE: certFile,
      TLS_KEY_FILE: keyFile,
      ...env,
    },
  });
}
