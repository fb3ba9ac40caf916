// A certificate authority nobody trusts and a certificate of it for the hosts of a test.
import { createHash, webcrypto, X509Certificate } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import "reflect-metadata"; // which the next one needs to be there first
import * as x509 from "@peculiar/x509";
import { temporaryFolder } from "./temporary-folder.ts";

export interface CreateCertificatesOptions {
  /** Names and addresses the certificate is for; default: `localhost`, `127.0.0.1` and `::1`. */
  readonly hosts?: readonly string[];
}

export interface TestCertificates {
  /** Private key of the server, PEM. */
  readonly key: string;
  /** Certificate of the server, PEM. */
  readonly cert: string;
  /** Certificate of the authority that signed it, PEM: what a client must trust. */
  readonly ca: string;
  /** The three as files, removed when this process ends. */
  readonly keyFile: string;
  readonly certFile: string;
  readonly caFile: string;
  /** SHA-256 of the server's public key in base64, as Chromium wants it to accept the certificate. */
  readonly spki: string;
}

const made = new Map<string, Promise<TestCertificates>>();

/**
 * Makes a certificate for the hosts, signed by an authority made with it. The same hosts get the same certificate as
 * long as this process lives.
 *
 * @example
 * ```ts
 * const { key, cert, ca } = await createCertificates();
 * const server = createSecureServer({ key, cert });
 * const client = connect("https://localhost:8443", { ca });
 * ```
 */
export function createCertificates({
  hosts = ["localhost", "127.0.0.1", "::1"],
}: CreateCertificatesOptions = {}): Promise<TestCertificates> {
  const id = [...hosts].sort().join();
  const known = made.get(id) ?? create(hosts);
  made.set(id, known);
  return known;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const day = 86_400_000;

async function create(hosts: readonly string[]): Promise<TestCertificates> {
  const validity = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + 10 * day) };

  const caKeys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: "CN=Test authority",
    keys: caKeys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });

  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const leaf = await x509.X509CertificateGenerator.create({
    ...validity,
    subject: "CN=Test server",
    issuer: ca.subject,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });

  const pem = {
    key: x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY"),
    cert: leaf.toString("pem"),
    ca: ca.toString("pem"),
  };
  const { path } = await temporaryFolder();
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(path, name), `${text}\n`, { mode: 0o600 });
    return join(path, name);
  };
  const publicKey = new X509Certificate(pem.cert).publicKey.export({ type: "spki", format: "der" });
  return {
    ...pem,
    keyFile: await file("key.pem", pem.key),
    certFile: await file("cert.pem", pem.cert),
    caFile: await file("ca.pem", pem.ca),
    spki: createHash("sha256").update(publicKey).digest("base64"),
  };
}
