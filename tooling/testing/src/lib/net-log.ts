// Reads Chromium's net log: which request went over which protocol, by the browser's own account.
import { readFile } from "node:fs/promises";

export interface NetLogRequest {
  readonly method: string;
  readonly url: string;
  /** The protocol on the wire; `undefined` where no request was sent, as for a cached answer. */
  readonly protocol: "http/1.1" | "h2" | "h3" | undefined;
}

interface NetLogFile {
  readonly constants: { readonly logEventTypes: Readonly<Record<string, number>> };
  readonly events: readonly NetLogEvent[];
}

interface NetLogEvent {
  readonly type: number;
  readonly source: { readonly id: number };
  readonly params?: { readonly url?: string; readonly method?: string };
}

const protocols = new Map<string | undefined, NetLogRequest["protocol"]>([
  ["HTTP_TRANSACTION_SEND_REQUEST_HEADERS", "http/1.1"],
  ["HTTP_TRANSACTION_HTTP2_SEND_REQUEST_HEADERS", "h2"],
  ["HTTP_TRANSACTION_QUIC_SEND_REQUEST_HEADERS", "h3"],
]);

/** Reads the requests from a net log in the order they were started. The browser must have been closed. */
export async function readNetLog(file: string): Promise<readonly NetLogRequest[]> {
  const log = JSON.parse(await readFile(file, "utf8")) as NetLogFile; // the format of `--log-net-log`
  const names = new Map(Object.entries(log.constants.logEventTypes).map(([name, type]) => [type, name]));
  const requests = new Map<number, NetLogRequest>();
  for (const { type, source, params } of log.events) {
    const name = names.get(type);
    // A redirect starts a second job within one request: the last one tells where it ended.
    if (name === "URL_REQUEST_START_JOB" && params?.url !== undefined) {
      requests.set(source.id, { method: params.method ?? "GET", url: params.url, protocol: undefined });
    }
    const protocol = protocols.get(name);
    const request = requests.get(source.id);
    if (protocol !== undefined && request !== undefined) requests.set(source.id, { ...request, protocol });
  }
  return [...requests.values()];
}
