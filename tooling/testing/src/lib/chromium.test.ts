import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect } from "vitest";
import { createCertificates } from "./certificates.ts";
import { launchChromium } from "./chromium.ts";
import { freePort } from "./free-port.ts";
import { spawnProcess } from "./spawn-process.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { testWithTools } from "./test-with-tools.ts";
import { requireTool } from "./tools.ts";

const timeout = 60_000;

testWithTools("chromium")("opens a page over HTTP/2 with the certificate of the test", { timeout }, async () => {
  const { key, cert, spki } = await createCertificates();
  const server = createSecureServer({ key, cert }, (_request, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<title>Hello</title>");
  }).listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  await using chromium = await launchChromium({ certificateSpki: spki, netLog: true });
  const page = await chromium.newPage();
  await page.goto(`https://localhost:${port}/`);
  expect(await page.title()).toBe("Hello");

  const requests = await chromium.closeAndReadNetLog();
  expect(requests).toContainEqual({ method: "GET", url: `https://localhost:${port}/`, protocol: "h2" });
  server.close();
});

testWithTools("chromium")("refuses a certificate it was not told of", { timeout }, async () => {
  const { key, cert } = await createCertificates();
  const server = createSecureServer({ key, cert }).listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  await using chromium = await launchChromium();
  const page = await chromium.newPage();
  await expect(page.goto(`https://localhost:${port}/`)).rejects.toThrow("ERR_CERT_AUTHORITY_INVALID");
  await expect(chromium.closeAndReadNetLog()).rejects.toThrow("needs netLog: true");
  server.close();
});

testWithTools("chromium", "caddy")("speaks HTTP/3 with an origin it was told of", { timeout }, async () => {
  const { keyFile, certFile, spki } = await createCertificates();
  const port = await freePort();
  await using folder = await temporaryFolder();
  const config = join(folder.path, "Caddyfile");
  await writeFile(
    config,
    `{
      admin off
      auto_https off
    }
    https://localhost:${port} {
      tls ${certFile} ${keyFile}
      respond /data "7"
      header content-type text/html
      respond "<title>Hello</title>"
    }`,
  );
  await using caddy = spawnProcess(requireTool("caddy"), ["run", "--config", config], { env: { HOME: folder.path } });
  await caddy.waitForLine(/serving initial configuration/);

  await using chromium = await launchChromium({ certificateSpki: spki, quicOrigin: `localhost:${port}`, netLog: true });
  const page = await chromium.newPage();
  await page.goto(`https://localhost:${port}/`);
  expect(await page.evaluate("fetch('/data', { method: 'POST' }).then((response) => response.text())")).toBe("7");

  const requests = await chromium.closeAndReadNetLog();
  expect(requests).toContainEqual({ method: "GET", url: `https://localhost:${port}/`, protocol: "h3" });
  expect(requests).toContainEqual({ method: "POST", url: `https://localhost:${port}/data`, protocol: "h3" });
});
