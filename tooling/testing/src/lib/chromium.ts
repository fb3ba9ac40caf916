// A real Chromium without a window, told to trust a test's certificate and to speak QUIC with it.
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { type NetLogRequest, readNetLog } from "./net-log.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { requireTool } from "./tools.ts";

export interface LaunchChromiumOptions {
  /** Further command line switches. */
  readonly args?: readonly string[];
  /** The public key of a certificate to accept, as in `TestCertificates.spki`. */
  readonly certificateSpki?: string;
  /**
   * `host:port` of an origin to speak HTTP/3 with from the first request on. Chromium takes QUIC from an `Alt-Svc`
   * header only where the certificate leads to an authority of the public web, which one of a test does not.
   */
  readonly quicOrigin?: string;
  /** Whether to record the net log, for {@link Chromium.closeAndReadNetLog}; default `false`. */
  readonly netLog?: boolean;
}

export interface Chromium extends AsyncDisposable {
  /** The browser with an empty profile; `context.browser()` makes further, separate ones. */
  readonly context: BrowserContext;
  newPage(): Promise<Page>;
  /** Closes the browser, which writes the rest of its log only then, and returns the requests it has made. */
  closeAndReadNetLog(): Promise<readonly NetLogRequest[]>;
  close(): Promise<void>;
}

/**
 * Starts the Chromium or Chrome of this machine, without a sandbox, proxy or any traffic of its own.
 *
 * @example
 * ```ts
 * const { spki } = await createCertificates();
 * await using chromium = await launchChromium({ certificateSpki: spki, quicOrigin: "localhost:8443", netLog: true });
 * const page = await chromium.newPage();
 * await page.goto("https://localhost:8443/");
 * const requests = await chromium.closeAndReadNetLog();
 * expect(requests.map(({ protocol }) => protocol)).toEqual(["h3"]);
 * ```
 */
export async function launchChromium(options: LaunchChromiumOptions = {}): Promise<Chromium> {
  const executablePath = requireTool("chromium");
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const netLogFile = join(folder.path, "net-log.json");
  // The browser ends by itself when its pipe to this process breaks.
  const context = await chromium.launchPersistentContext(join(folder.path, "profile"), {
    executablePath,
    args: [...switches(options, netLogFile), ...(options.args ?? [])],
  });
  stack.defer(() => context.close());
  const owned = stack.move();
  return {
    context,
    newPage: () => context.newPage(),
    async closeAndReadNetLog() {
      if (options.netLog !== true) throw new TypeError("Cannot read the net log: launchChromium() needs netLog: true");
      await context.close();
      return await readNetLog(netLogFile);
    },
    close: () => owned.disposeAsync(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function switches({ certificateSpki, quicOrigin, netLog }: LaunchChromiumOptions, netLogFile: string): string[] {
  return [
    "--no-sandbox", // which root cannot have
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    ...(certificateSpki === undefined ? [] : [`--ignore-certificate-errors-spki-list=${certificateSpki}`]),
    ...(quicOrigin === undefined ? [] : ["--enable-quic", `--origin-to-force-quic-on=${quicOrigin}`]),
    ...(netLog === true ? [`--log-net-log=${netLogFile}`] : []),
  ];
}
