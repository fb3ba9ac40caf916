// Makes the two certificates of development: an authority of this machine's user, and a server certificate it signs.
import { createHash, createPrivateKey, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { isIP, isIPv4 } from "node:net";
import type { Certificate, Extension } from "pkijs";

/** A private key and its certificate. */
export interface Identity {
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly cert: string;
}

/** When a certificate is valid, in epoch milliseconds. */
export interface Validity {
  readonly from: number;
  readonly to: number;
}

const signing = { name: "ECDSA", namedCurve: "P-256" } as const;

// Bits of the key usage extension (RFC 5280 section 4.2.1.3), the first one leftmost.
const digitalSignature = 0x80;
const keyCertSign = 0x04;
const cRLSign = 0x02;

/** An authority that may sign server certificates and nothing below them. */
export async function makeAuthority(name: string, validity: Validity): Promise<Identity> {
  const keys = await generateKeys();
  const { pki } = await libraries();
  const extensions = [
    await extension("2.5.29.19", true, new pki.BasicConstraints({ cA: true, pathLenConstraint: 0 })),
    await keyUsage(keyCertSign | cRLSign),
    await subjectKeyIdentifier(await keyIdentifier(keys.publicKey)),
  ];
  return issue({ subject: name, issuer: name, validity, keys, signer: keys.privateKey, extensions });
}

/** A server certificate for the hosts, which are names or IP addresses. */
export async function makeServerCertificate(
  hosts: readonly string[],
  validity: Validity,
  authority: Identity,
): Promise<Identity> {
  const keys = await generateKeys();
  const { asn1, pki } = await libraries();
  const issuer = pki.Certificate.fromBER(new X509Certificate(authority.cert).raw);
  const signer = createPrivateKey(authority.key).toCryptoKey(signing, false, ["sign"]);
  const issuerKey = await issuer.getPublicKey();
  const names = hosts.map((host) =>
    isIP(host)
      ? new pki.GeneralName({ type: 7, value: new asn1.OctetString({ valueHex: addressBytes(host) }) })
      : new pki.GeneralName({ type: 2, value: host }),
  );
  const extensions = [
    await extension("2.5.29.19", true, new pki.BasicConstraints({ cA: false })),
    await keyUsage(digitalSignature),
    await extension("2.5.29.37", false, new pki.ExtKeyUsage({ keyPurposes: ["1.3.6.1.5.5.7.3.1"] })), // TLS server
    await extension("2.5.29.17", false, new pki.AltName({ altNames: names })),
    await subjectKeyIdentifier(await keyIdentifier(keys.publicKey)),
    await extension(
      "2.5.29.35",
      false,
      new pki.AuthorityKeyIdentifier({
        keyIdentifier: new asn1.OctetString({ valueHex: await keyIdentifier(issuerKey) }),
      }),
    ),
  ];
  const subject = hosts[0] ?? "localhost";
  return issue({ subject, issuer: nameOf(issuer), validity, keys, signer, extensions });
}

/** SHA-256 of the public key in base64, as browsers and pins name it. */
export function spkiFingerprint(certificate: X509Certificate): string {
  const der = certificate.publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(der).digest("base64");
}

interface Issue {
  readonly subject: string;
  readonly issuer: string;
  readonly validity: Validity;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly signer: webcrypto.CryptoKey;
  readonly extensions: Extension[];
}

async function issue({ subject, issuer, validity, keys, signer, extensions }: Issue): Promise<Identity> {
  const { asn1, pki } = await libraries();
  const certificate = new pki.Certificate();
  certificate.version = 2; // X.509 v3
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40; // positive, and without a leading zero
  certificate.serialNumber = new asn1.Integer({ valueHex: new Uint8Array(serial).buffer });
  for (const [field, name] of [
    [certificate.subject, subject],
    [certificate.issuer, issuer],
  ] as const) {
    field.typesAndValues.push(
      new pki.AttributeTypeAndValue({ type: "2.5.4.3", value: new asn1.Utf8String({ value: name }) }),
    );
  }
  certificate.notBefore.value = new Date(validity.from);
  certificate.notAfter.value = new Date(validity.to);
  certificate.extensions = extensions;
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey);
  await certificate.sign(signer, "SHA-256");
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { key: pem("PRIVATE KEY", key), cert: pem("CERTIFICATE", certificate.toSchema(true).toBER(false)) };
}

/** Loaded when a certificate is made: at most every few weeks, and never in production. */
async function libraries(): Promise<{ asn1: typeof import("asn1js"); pki: typeof import("pkijs") }> {
  const [asn1, pki] = await Promise.all([import("asn1js"), import("pkijs")]);
  return { asn1, pki };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(signing, true, ["sign", "verify"]);
}

async function extension(id: string, critical: boolean, value: { toSchema(): Encodable }): Promise<Extension> {
  const { pki } = await libraries();
  return new pki.Extension({ extnID: id, critical, extnValue: value.toSchema().toBER(false) });
}

interface Encodable {
  toBER(sizeOnly?: boolean): ArrayBuffer;
}

async function keyUsage(bits: number): Promise<Extension> {
  const { asn1 } = await libraries();
  const unusedBits = 31 - Math.clz32(bits & -bits);
  const value = new asn1.BitString({ valueHex: new Uint8Array([bits]).buffer, unusedBits });
  return extension("2.5.29.15", true, { toSchema: () => value });
}

async function subjectKeyIdentifier(identifier: ArrayBuffer): Promise<Extension> {
  const { asn1 } = await libraries();
  const value = new asn1.OctetString({ valueHex: identifier });
  return extension("2.5.29.14", false, { toSchema: () => value });
}

/** 160 bits of a hash of the public key (RFC 7093 section 2). */
async function keyIdentifier(key: webcrypto.CryptoKey): Promise<ArrayBuffer> {
  const hash = await webcrypto.subtle.digest("SHA-256", await webcrypto.subtle.exportKey("spki", key));
  return hash.slice(0, 20);
}

function nameOf(certificate: Certificate): string {
  return certificate.subject.typesAndValues[0]?.value.valueBlock.value as string; // authorities here have that one name
}

function addressBytes(address: string): ArrayBuffer {
  if (isIPv4(address)) return new Uint8Array(address.split(".").map(Number)).buffer;
  const [head = "", tail] = address.split("::");
  const groups = (text: string | undefined): string[] => (text ? text.split(":") : []);
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...new Array<string>(missing).fill("0"), ...groups(tail)];
  const bytes = all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);
  return new Uint8Array(bytes).buffer;
}

function pem(label: string, der: ArrayBuffer): string {
  const lines = Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?!$)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
