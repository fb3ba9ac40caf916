import { mkdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import {
  createCertificates,
  launchChromium,
  requireTool,
  runTool,
  temporaryFolder,
  testWithTools,
} from "@tooling/testing";
import { expect } from "vitest";
import { startApp } from "./start-app.ts";

const withCurl = testWithTools("curl");
const withGtlsClient = testWithTools("gtlsclient");
const withChromium = testWithTools("chromium");

withCurl.for([
  ["--http1.1", "1.1", "http/1.1"],
  ["--http2", "2", "h2"],
] as const)(
  "curl %s gets the page and a licence",
  { timeout: 60_000 },
  async ([flag, version, protocol], { expect }) => {
    await using folder = await temporaryFolder();
    await using app = await startApp({ folder: folder.path });
    const { caFile } = await createCertificates();
    const get = async (path: string): Promise<string> => {
      const format = "\n%{http_version} %{response_code}";
      const args = ["--silent", "--show-error", flag, "--cacert", caFile, "--write-out", format, `${app.url}${path}`];
      const { code, stdout, stderr } = await runTool(requireTool("curl"), args);
      expect([code, stderr]).toEqual([0, ""]);
      const end = stdout.lastIndexOf("\n");
      expect(stdout.slice(end + 1)).toBe(`${version} 200`);
      return stdout.slice(0, end);
    };

    expect(await get("/")).toContain("<title>Licence register</title>");
    expect(JSON.parse(await get("/licences/MIT"))).toMatchObject({ id: "MIT", name: "MIT License" });
    const protocols = app
      .log()
      .filter(({ path }) => path !== undefined)
      .map((line) => line.protocol);
    expect(protocols).toEqual([protocol, protocol]);
  },
);

withGtlsClient("gtlsclient gets the page and a licence over HTTP/3", { timeout: 60_000 }, async () => {
  await using folder = await temporaryFolder();
  await using app = await startApp({ folder: folder.path });
  const downloads = join(folder.path, "downloads");
  await mkdir(downloads);
  const get = async (path: string): Promise<string> => {
    const flags = ["--exit-on-all-streams-close", "--no-quic-dump", `--download=${downloads}`];
    const { code, stdout, stderr } = await runTool(requireTool("gtlsclient"), [
      ...flags,
      "localhost",
      String(app.port),
      `${app.url}${path}`,
    ]);
    expect([code, `${stdout}${stderr}`]).toEqual([0, expect.stringMatching(/:status: 200/)]);
    return readFile(join(downloads, basename(path) || "index.html"), "utf8");
  };

  expect(JSON.parse(await get("/licences/MIT"))).toMatchObject({ id: "MIT", name: "MIT License" });
  expect(app.log().at(-1)).toMatchObject({ path: "/licences/MIT", protocol: "h3", status: 200 });
  expect(await get("/")).toContain("<title>Licence register</title>");
  expect(app.log().at(-1)).toMatchObject({ path: "/", protocol: "h3", status: 200 });
});

withChromium("Chromium shows the page and its data over HTTP/3, by its own net log", { timeout: 120_000 }, async () => {
  await using folder = await temporaryFolder();
  await using app = await startApp({ folder: folder.path });
  const { spki } = await createCertificates();
  await using chromium = await launchChromium({
    certificateSpki: spki,
    quicOrigin: `localhost:${app.port}`,
    netLog: true,
  });
  const page = await chromium.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));

  await page.goto(`${app.url}/#%`); // names no licence, and is not even well formed: the page works all the same
  await page.getByText("727 licences").waitFor();
  await page.getByPlaceholder("Search names and full texts").fill("mit");
  await page.locator('#list a[href="#MIT"]').click();
  await page.getByRole("heading", { name: "MIT License" }).waitFor();
  await page.locator("label", { hasText: "approved" }).last().click();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved").waitFor();
  expect(await page.locator("#protocol").textContent()).toBe("served over HTTP/3");
  await page.goto(`${app.url}/docs`);
  await page.getByText("Read a licence with its text").click();
  await page.locator("#getLicence").getByText("Identifier, as in SPDX").waitFor();
  expect(errors).toEqual([]);

  const requests = await chromium.closeAndReadNetLog();
  const toApp = requests.filter(({ url }) => url.startsWith(app.url));
  expect(toApp.filter(({ protocol }) => protocol !== "h3" && protocol !== undefined)).toEqual([]);
  const byPath = new Set(toApp.filter(({ protocol }) => protocol === "h3").map(({ url }) => new URL(url).pathname));
  expect([...byPath]).toEqual(expect.arrayContaining(["/", "/licences", "/licences/MIT", "/docs", "/openapi.json"]));
});
