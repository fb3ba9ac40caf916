// Standard output as the log: one line for each thing that happens, JSON or for people.
import type { ServerEvent } from "@proj/http3";
import type { RequestLogOptions } from "./request-log.ts";

export class Log {
  /** Where the request log goes. */
  readonly requests: RequestLogOptions;

  constructor(format: "json" | "text") {
    this.requests = { format, write: (line) => void process.stdout.write(`${line}\n`) };
    process.stdout.on("error", () => {}); // a reader of the log that went away must not end the service
  }

  /** Something in the life of the process. */
  event(message: string, fields: Readonly<Record<string, unknown>>, level: "info" | "warning" = "info"): void {
    const { format, write } = this.requests;
    const time = new Date().toISOString();
    if (format === "json") write(JSON.stringify({ time, level, message, ...fields }));
    else if (message !== "listening") write([time.slice(11, 23), message, ...texts(fields)].join("  ")); // the banner said it
  }

  /** What a person who runs the server should know; requests have a log of their own. */
  readonly serverEvent = (event: ServerEvent): void => {
    if (event.kind === "http3-unavailable") this.event("http3 unavailable", { reason: event.reason }, "warning");
    if (event.kind === "drain-finished")
      this.event("drained", { aborted: event.aborted, ms: Math.round(event.durationMs) });
    if (event.kind === "handler-failed") this.event("handler failed", { error: String(event.error) }, "warning");
  };
}

function texts(fields: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(fields).map(([name, value]) => `${name}: ${String(value)}`);
}
