// Runs the app: configuration, database, server, and an orderly end.
import type { DatabaseSync } from "node:sqlite";
import { Supervisor } from "@proj/concurrency";
import { type Server, serve } from "@proj/http3";
import { createApp, type Readiness } from "./app.ts";
import { banner } from "./banner.ts";
import { type Config, ConfigError, help, readConfig } from "./config.ts";
import { isDiskFull, openDatabase, waitBriefly } from "./database.ts";
import { largestBody } from "./input.ts";
import { LicenceStore } from "./licence-store.ts";
import { Log } from "./log.ts";
import { seed } from "./seed.ts";

try {
  const config = readConfig(process.argv.slice(2), { env: process.env, isTerminal: process.stdout.isTTY === true });
  if (config === "help") process.stdout.write(help);
  else await run(config);
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}

/** Until SIGTERM or Ctrl-C; a second one ends the process at once. */
async function run(config: Config): Promise<void> {
  const { port, host, dataFolder, tls, drainTimeout, logFormat } = config;
  const log = new Log(logFormat);
  const readiness: Readiness = { state: "starting" };
  let database: DatabaseSync;
  let server: Server;
  const supervisor = new Supervisor(
    {
      database: {
        async start() {
          const opened = openDatabase(dataFolder);
          try {
            await seed(opened, { onProgress: showProgress });
            waitBriefly(opened);
          } catch (error) {
            opened.close();
            throw error;
          }
          database = opened;
        },
        stop() {
          database.close();
        },
      },
      server: {
        dependsOn: ["database"],
        async start() {
          const { router } = createApp({ store: new LicenceStore(database), readiness, log: log.requests });
          server = await serve(router, {
            port,
            ...(host !== undefined && { host }),
            tls,
            drainTimeout,
            limits: { maxBodySize: largestBody },
            onEvent: log.serverEvent,
          });
          readiness.state = "ready";
          const { url, protocols, engine } = server;
          log.event("listening", { url, port: server.port, protocols, engine, dataFolder });
          process.stderr.write(banner(server));
        },
        stop: () => server.close(),
      },
    },
    {
      stopTimeout: drainTimeout + 5_000, // the server cuts off what is left, and the database closes after it
      onEvent(event) {
        if (event.kind !== "signal-received") return;
        readiness.state = "draining";
        log.event("draining", { signal: event.signal, active: server?.active ?? 0 });
      },
    },
  );
  await supervisor.run();
  log.event("stopped", {});
}

/** One line that counts up on a terminal, one line at the end elsewhere. */
function showProgress(done: number, total: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\rWriting the SPDX licence list: ${done} of ${total}`);
  if (done === total)
    process.stderr.write(process.stderr.isTTY ? "\n" : `Wrote the ${total} licences of the SPDX list\n`);
}

/** What a person can do about it; a failure nobody foresaw with all that is known of it. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error;
  const { code, port } = error as { code?: unknown; port?: unknown }; // unknown fields, compared and printed only
  if (error instanceof ConfigError) return message;
  if (code === "EADDRINUSE") {
    const other = port === 65_535 ? 8443 : Number(port) + 1;
    return `Cannot start: another program has port ${port}. Stop that program, or choose another port: npm start -- --port ${other}`;
  }
  if (isDiskFull(error))
    return "Cannot start: there is no room for the database. Make some, or choose another data folder with --data";
  if (code === "ERR_SQLITE_ERROR") {
    return `Cannot start: the database cannot be used: ${message}. Put a good copy in its place, or choose another data folder with --data`;
  }
  if ("syscall" in error) return `Cannot start: ${message}. Choose another address, port or data folder, see --help`;
  // What the server does not take of the configuration it says in words for people.
  return message.startsWith("Cannot serve: ") ? message.replace("serve", "start") : (error.stack ?? message);
}
