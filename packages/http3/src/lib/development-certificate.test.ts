import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TestClock } from "@proj/concurrency/testing";
import { requireTool, runTool, temporaryFolder, testWithTools } from "@tooling/testing";
import { expect, test } from "vitest";
import { cacheFolder, developmentCertificate } from "./development-certificate.ts";
import { trustCommand } from "./trust-command.ts";

const day = 86_400_000;

test("a certificate is for the names of this machine, short-lived, and signed by the kept authority", async () => {
  await using folder = await temporaryFolder();
  const made = await developmentCertificate({ clock: new TestClock(), folder: folder.path });
  const certificate = new X509Certificate(made.cert);
  const authority = new X509Certificate(made.ca);

  expect(certificate.checkHost("localhost")).toBe("localhost");
  expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1");
  expect(certificate.checkIP("::1")).toBeDefined();
  expect(certificate.checkIssued(authority)).toBe(true);
  expect(certificate.verify(authority.publicKey)).toBe(true);
  expect(authority.ca).toBe(true);
  expect(certificate.ca).toBe(false);
  expect(Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)).toBeLessThanOrEqual(90 * day);
  expect(await readFile(made.caPath ?? "", "utf8")).toBe(made.ca);
  expect(made.trustCommand).toContain(made.caPath);
  expect(Buffer.from(made.spki, "base64").length).toBe(32);
});

testWithTools("openssl")("openssl finds nothing wrong with it", async () => {
  await using folder = await temporaryFolder();
  const { caPath = "" } = await developmentCertificate({
    clock: new TestClock({ wall: Date.now() }),
    folder: folder.path,
  });
  const args = ["verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "127.0.0.1", "-CAfile", caPath];

  const { stdout, stderr } = await runTool(requireTool("openssl"), [...args, join(folder.path, "server-key.pem")]);

  expect(stderr).toBe("");
  expect(stdout).toContain("OK");
});

test.skipIf(process.platform === "win32")("the folder and the keys are for the user alone", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "deep", "certificates");
  await developmentCertificate({ clock: new TestClock(), folder: path });

  expect((await stat(path)).mode & 0o777).toBe(0o700);
  for (const name of await readdir(path)) expect((await stat(join(path, name))).mode & 0o777).toBe(0o600);
});

test("the same certificate is used until it is about to expire; the authority stays", async () => {
  await using folder = await temporaryFolder();
  const clock = new TestClock();
  const first = await developmentCertificate({ clock, folder: folder.path });
  await clock.advance(60 * day);
  const later = await developmentCertificate({ clock, folder: folder.path });
  await clock.advance(20 * day);
  const renewed = await developmentCertificate({ clock, folder: folder.path });

  expect(later).toEqual(first);
  expect(renewed.cert).not.toBe(first.cert);
  expect(renewed.ca).toBe(first.ca);
});

test.each(["authority-key.pem", "server-key.pem", "authority.pem"])("a damaged %s is made anew", async (name) => {
  await using folder = await temporaryFolder();
  const clock = new TestClock();
  await developmentCertificate({ clock, folder: folder.path });
  await writeFile(join(folder.path, name), "-----BEGIN CERTIFICATE-----\nnonsense");

  const made = await developmentCertificate({ clock, folder: folder.path });

  expect(new X509Certificate(made.cert).verify(new X509Certificate(made.ca).publicKey)).toBe(true);
  expect(await readFile(join(folder.path, "authority.pem"), "utf8")).toBe(made.ca);
});

test("many processes at once agree on one authority", async () => {
  await using folder = await temporaryFolder();
  const script = `
    import { systemClock } from "@proj/concurrency";
    import { developmentCertificate } from ${JSON.stringify(import.meta.resolve("./development-certificate.ts"))};
    const { ca, cert } = await developmentCertificate({ clock: systemClock, folder: ${JSON.stringify(folder.path)} });
    console.log(JSON.stringify({ ca, cert }));`;
  const args = ["--conditions=@proj/source", "--input-type=module", "--eval", script];
  const results = await Promise.all(
    Array.from({ length: 4 }, () => runTool(process.execPath, args, { cwd: import.meta.dirname })),
  );

  const made = results.map(({ stdout, stderr }) => {
    expect(stderr).toBe("");
    return JSON.parse(stdout) as { ca: string; cert: string };
  });
  expect(new Set(made.map(({ ca }) => ca)).size).toBe(1);
  for (const { ca, cert } of made) {
    expect(new X509Certificate(cert).verify(new X509Certificate(ca).publicKey)).toBe(true);
  }
  expect((await readdir(folder.path)).sort()).toEqual(["authority-key.pem", "authority.pem", "server-key.pem"]);
});

test("without a folder to write to, the certificate is made in memory", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "file");
  await writeFile(file, "");

  const made = await developmentCertificate({ clock: new TestClock(), folder: join(file, "below") });

  expect(made.caPath).toBeUndefined();
  expect(made.trustCommand).toBeUndefined();
  expect(new X509Certificate(made.cert).checkHost("localhost")).toBe("localhost");
});

test("the cache folder is the one of the user", () => {
  expect(cacheFolder({ XDG_CACHE_HOME: "/var/caches/me" })).toBe(join("/var/caches/me", "proj", "certificates"));
  expect(cacheFolder({})).toMatch(/[/\\]proj[/\\]certificates$/);
});

test.each([
  ["darwin", /^sudo security add-trusted-cert .* '\/a b\/ca.pem'$/],
  ["win32", /^certutil -addstore -user Root "\/a b\/ca.pem"$/],
  ["linux", /^sudo cp '\/a b\/ca.pem' /],
] as const)("the command to trust it on %s names the file", (platform, pattern) => {
  expect(trustCommand("/a b/ca.pem", platform)).toMatch(pattern);
});
