import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { createSecureContext } from "node:tls";
import { expect, test, vi } from "vitest";
import { createCertificates } from "./certificates.ts";
import { runTool } from "./run-tool.ts";
import { testWithTools } from "./test-with-tools.ts";
import { requireTool } from "./tools.ts";

vi.setConfig({ testTimeout: 60_000 }); // processes start slowly on a busy machine

test("a client that trusts the authority accepts the certificate for each host, and no other host", async () => {
  const { key, cert, ca } = await createCertificates();
  const server = createServer({ key, cert }, (_request, response) => void response.end("hello")).listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  const status = async (servername: string): Promise<number | undefined> => {
    const sent = request({ host: "127.0.0.1", port, servername, ca, agent: false }).end();
    const [response] = await once(sent, "response");
    response.resume();
    return response.statusCode;
  };
  expect(await status("localhost")).toBe(200);
  await expect(status("example.org")).rejects.toThrow("does not match certificate's altnames");
  server.close();
});

test("the certificate names what was asked for", async () => {
  const { cert, ca } = await createCertificates({ hosts: ["api.test", "10.0.0.1"] });
  const leaf = new X509Certificate(cert);
  expect(leaf.checkHost("api.test")).toBe("api.test");
  expect(leaf.checkIP("10.0.0.1")).toBe("10.0.0.1");
  expect(leaf.checkHost("localhost")).toBeUndefined();
  expect(leaf.verify(new X509Certificate(ca).publicKey)).toBe(true);
});

test("the same hosts get the same certificate, in any order", async () => {
  const first = await createCertificates({ hosts: ["a.test", "b.test"] });
  expect(await createCertificates({ hosts: ["b.test", "a.test"] })).toBe(first);
  expect(await createCertificates({ hosts: ["a.test"] })).not.toBe(first);
});

test("the files hold the same as the texts", async () => {
  const { key, cert, ca, keyFile, certFile, caFile } = await createCertificates();
  const texts = await Promise.all([keyFile, certFile, caFile].map((file) => readFile(file, "utf8")));
  expect(texts.map((text) => text.trim())).toEqual([key, cert, ca].map((text) => text.trim()));
  expect(() => createSecureContext({ key, cert, ca })).not.toThrow();
});

testWithTools("openssl")("openssl agrees with the chain and the fingerprint of the key", async () => {
  const { certFile, caFile, spki } = await createCertificates();
  const openssl = requireTool("openssl");
  const verified = await runTool(openssl, ["verify", "-x509_strict", "-CAfile", caFile, certFile]);
  expect(verified.stderr + verified.stdout).toBe(`${certFile}: OK\n`);

  const digest = `${openssl} x509 -in ${certFile} -pubkey -noout | ${openssl} pkey -pubin -outform der | ${openssl} dgst -sha256 -binary | ${openssl} base64`;
  expect((await runTool("sh", ["-c", digest])).stdout.trim()).toBe(spki);
});
