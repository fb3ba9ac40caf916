// What a person sees when the app has started: where it is, how to trust it, and three commands to try.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { styleText } from "node:util";
import type { Server } from "@proj/http3";

const names = { "http/1.1": "HTTP/1.1", h2: "HTTP/2", h3: "HTTP/3" } as const;

/** A few lines; coloured where `styleText` finds a terminal behind standard error. */
export function banner({ url, port, protocols, engine, certificate }: Server): string {
  const strong = (text: string): string => styleText("bold", text, { stream: process.stderr });
  const faint = (text: string): string => styleText("dim", text, { stream: process.stderr });
  const served = protocols.map((protocol) => names[protocol]).join(", ");
  const insecure = certificate === undefined ? "" : "-k ";
  return [
    "",
    `  ${strong("Licence register")}  ${strong(url)}`,
    `  ${served}${engine === undefined ? "" : faint(` (${engine})`)}`,
    ...(certificate?.trustCommand ? ["", faint("  Trust its certificate once:"), `  ${certificate.trustCommand}`] : []),
    "",
    faint("  Try:"),
    `  curl ${insecure}${url}/licences/MIT`,
    `  curl ${insecure}"${url}/licences?q=patent&osiApproved=true&limit=3"`,
    `  ${engine === undefined ? `curl ${insecure}--http2 -I ${url}/healthz` : http3Command(url, port, certificate?.spki)}`,
    "",
    "",
  ].join("\n");
}

/** A command that this machine has and that speaks HTTP/3 for certain: the page in the browser says what served it. */
function http3Command(url: string, port: number, spki: string | undefined): string {
  const browser = ["chromium", "google-chrome", "chromium-browser"].find(isInstalled);
  if (browser !== undefined && spki !== undefined) {
    const profile = "$(mktemp -d)"; // a browser that runs already would ignore the switches
    return `${browser} --user-data-dir=${profile} --origin-to-force-quic-on=localhost:${port} --ignore-certificate-errors-spki-list=${spki} ${url}`;
  }
  if (isInstalled("gtlsclient")) return `gtlsclient --exit-on-all-streams-close localhost ${port} ${url}/healthz`;
  return `curl ${spki === undefined ? "" : "-k "}--http3-only -I ${url}/healthz`;
}

function isInstalled(command: string): boolean {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .some((folder) => folder !== "" && existsSync(join(folder, command)));
}
