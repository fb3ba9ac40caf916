// A certificate for this machine during development, kept in the user's cache folder so that trusting it once is enough.
import { createPrivateKey, randomUUID, X509Certificate } from "node:crypto";
import { chmod, link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import type { Clock } from "@proj/concurrency";
import {
  type Identity,
  makeAuthority,
  makeServerCertificate,
  spkiFingerprint,
  type Validity,
} from "./certificate-maker.ts";
import { trustCommand } from "./trust-command.ts";

const day = 86_400_000;
const authorityDays = 3_650;
const serverDays = 90; // what browsers accept of any authority for years to come
const renewDays = 15;

/** The certificate that a server made for itself, and what it takes to trust it. */
export interface DevelopmentCertificate {
  /** The server's private key, PEM. */
  readonly key: string;
  /** The server's certificate, PEM. */
  readonly cert: string;
  /** Certificate of the authority that signed it, PEM: what clients are to trust. */
  readonly ca: string;
  /** File of the authority's certificate; undefined where the cache folder cannot be written. */
  readonly caPath: string | undefined;
  /** SHA-256 of the server's public key in base64, for `--ignore-certificate-errors-spki-list` of Chromium. */
  readonly spki: string;
  /** When the server's certificate ends; a start of the server within 15 days of it makes a new one. */
  readonly expires: Date;
  /** The shell command that makes this machine trust the authority; undefined without `caPath`. */
  readonly trustCommand: string | undefined;
}

export interface DevelopmentCertificateOptions {
  readonly clock: Clock;
  /** Default: `proj/certificates` in the cache folder of the user. */
  readonly folder?: string | undefined;
}

/**
 * Gets the certificate for `localhost`, the loopback addresses and the name of this machine; makes what is missing,
 * about to expire or damaged. Processes may do this at the same time. Where the folder cannot be written, the
 * certificate lives in memory only.
 */
export async function developmentCertificate({
  clock,
  folder = cacheFolder(),
}: DevelopmentCertificateOptions): Promise<DevelopmentCertificate> {
  const now = clock.wall();
  const hosts = [...new Set(["localhost", hostname().toLowerCase(), "127.0.0.1", "::1"])].filter(isHost);
  const store = await CertificateFolder.open(folder);
  const authority = await getAuthority(store, now);
  const server = await getServerCertificate(store, authority, hosts, now);
  const certificate = new X509Certificate(server.cert);
  const caPath = await store?.publish("authority.pem", authority.cert);
  return {
    ...server,
    ca: authority.cert,
    caPath,
    spki: spkiFingerprint(certificate),
    expires: new Date(certificate.validTo),
    trustCommand: caPath === undefined ? undefined : trustCommand(caPath),
  };
}

/** The folder of this package among the caches of the user. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = env;
  const base =
    xdg ||
    (process.platform === "win32" && local) ||
    join(homedir(), process.platform === "darwin" ? "Library/Caches" : ".cache");
  return join(base, "proj", "certificates");
}

async function getAuthority(store: CertificateFolder | undefined, now: number): Promise<Identity> {
  const known = await store?.read("authority-key.pem");
  if (known && isValidFor(known, serverDays, now)) return known;
  const made = await makeAuthority(`Development authority of ${hostname()}`, validity(now, authorityDays));
  // Another process may be doing the same: the first one's authority is everybody's.
  return (await store?.keep("authority-key.pem", made, known !== undefined)) ?? made;
}

async function getServerCertificate(
  store: CertificateFolder | undefined,
  authority: Identity,
  hosts: readonly string[],
  now: number,
): Promise<Identity> {
  const known = await store?.read("server-key.pem");
  if (known && isValidFor(known, renewDays, now) && fits(known, authority, hosts)) return known;
  const made = await makeServerCertificate(hosts, validity(now, serverDays), authority);
  await store?.keep("server-key.pem", made, true);
  return made; // each process may use its own: all of them are signed by the same authority
}

/** From yesterday on, for clocks that differ. */
function validity(now: number, days: number): Validity {
  return { from: now - day, to: now + (days - 1) * day };
}

function isValidFor({ cert }: Identity, days: number, now: number): boolean {
  const { validFrom, validTo } = new X509Certificate(cert);
  return Date.parse(validFrom) <= now && now + days * day < Date.parse(validTo);
}

function fits({ cert }: Identity, authority: Identity, hosts: readonly string[]): boolean {
  const certificate = new X509Certificate(cert);
  const covers = (host: string): boolean => (certificate.checkHost(host) ?? certificate.checkIP(host)) !== undefined;
  return certificate.verify(new X509Certificate(authority.cert).publicKey) && hosts.every(covers);
}

/** Names that may stand in a certificate; a machine may be called anything. */
function isHost(name: string): boolean {
  return /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name) || name === "::1";
}

/** Certificates on disk: for the user alone, each file complete at any moment. */
class CertificateFolder {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Undefined where the folder cannot be had. */
  static async open(path: string): Promise<CertificateFolder | undefined> {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      await chmod(path, 0o700);
      return new CertificateFolder(path);
    } catch {
      return undefined;
    }
  }

  /** A key and its certificate, in one file; undefined when it is missing or damaged. */
  async read(name: string): Promise<Identity | undefined> {
    try {
      const text = await readFile(join(this.#path, name), "utf8");
      const split = text.indexOf("-----BEGIN CERTIFICATE-----");
      const identity = { key: text.slice(0, split), cert: text.slice(split) };
      return new X509Certificate(identity.cert).checkPrivateKey(createPrivateKey(identity.key)) ? identity : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Writes a key and its certificate; gives what is in the folder afterwards. Without `replace`, a file that is there
   * already wins.
   */
  async keep(name: string, { key, cert }: Identity, replace: boolean): Promise<Identity | undefined> {
    const target = join(this.#path, name);
    await this.#write(key + cert, (temporary) => (replace ? rename(temporary, target) : link(temporary, target)));
    return this.read(name);
  }

  /** Writes a certificate for others to read; gives its path, or undefined where that failed. */
  async publish(name: string, cert: string): Promise<string | undefined> {
    const target = join(this.#path, name);
    const present = await readFile(target, "utf8").catch(() => undefined);
    if (present === cert) return target;
    return (await this.#write(cert, (temporary) => rename(temporary, target))) ? target : undefined;
  }

  async #write(text: string, place: (temporary: string) => Promise<void>): Promise<boolean> {
    const temporary = join(this.#path, `.${randomUUID()}`);
    try {
      await writeFile(temporary, text, { mode: 0o600, flush: true });
      await place(temporary);
      return true;
    } catch {
      return false; // somebody was first, or the disk is full: the caller looks at what is there
    } finally {
      await rm(temporary, { force: true });
    }
  }
}
