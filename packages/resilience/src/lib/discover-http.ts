// Requests to the HTTP interface of a registry, which may be several servers. They do not keep the process alive.
import type { ClientRequest, IncomingMessage } from "node:http";
import { getBuiltinModule } from "node:process";
import type { SecureContextOptions } from "node:tls";
import { Context } from "@proj/concurrency";
import { describe } from "@proj/concurrency/options";
import { DiscoveryError } from "./discovery-error.ts";

/** How a registry is reached. */
export interface RegistryOptions {
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Certificates and keys, for `https:`. Default: the authorities that Node trusts. */
  readonly tls?: SecureContextOptions | undefined;
}

interface Asked {
  readonly method?: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface Answered {
  readonly headers: IncomingMessage["headers"];
  readonly json: unknown;
}

/** Characters of an answer, or of a line of one: what is longer is no list of endpoints. */
const longest = 32 * 1_024 * 1_024;

export class Registry {
  readonly #name: string;
  readonly #urls: readonly URL[];
  readonly #options: RegistryOptions;
  #current: number;

  constructor(name: string, url: string | readonly string[], random: () => number, options: RegistryOptions) {
    this.#name = name;
    this.#urls = urlsFrom(name, url);
    this.#options = options;
    this.#current = Math.floor(random() * this.#urls.length);
  }

  /** Asks another one from now on. */
  turn(): void {
    this.#current = (this.#current + 1) % this.#urls.length;
  }

  /** One answer as JSON. `context` limits the time for all of it. */
  async ask(asked: Asked, context: Context): Promise<Answered> {
    const response = await this.#send(asked, context);
    let text = "";
    for await (const part of this.#parts(response, context)) {
      text += part;
      if (text.length > longest) throw new DiscoveryError(this.#name, "its answer is too long");
    }
    return { headers: response.headers, json: this.#parse(text) };
  }

  /** The JSON of each line of an answer that goes on. `opening` limits the time until it begins. */
  async *follow(asked: Asked, opening: number, context: Context): AsyncGenerator<unknown, void> {
    const response = await this.#send(asked, context, opening);
    let rest = "";
    for await (const part of this.#parts(response, context)) {
      const lines = (rest + part).split("\n");
      rest = lines.pop() as string; // there is at least one
      if (rest.length > longest) throw new DiscoveryError(this.#name, "its answer is too long");
      for (const line of lines) if (line !== "") yield this.#parse(line);
    }
  }

  #send(asked: Asked, context: Context, opening?: number): Promise<IncomingMessage> {
    const { method = "GET", path, headers, body } = asked;
    const url = this.#urls[this.#current] as URL;
    // Loaded here: those who find endpoints in DNS or a file need neither.
    const http = url.protocol === "https:" ? getBuiltinModule("node:https") : getBuiltinModule("node:http");
    const text = body === undefined ? undefined : JSON.stringify(body);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const sent: ClientRequest = http.request(new URL(url.pathname.replace(/\/$/, "") + path, url), {
      ...this.#options.tls,
      method,
      agent: false, // no connection is kept that may be closed at the moment it is used again
      headers: { ...this.#options.headers, ...headers, ...(text === undefined ? {} : { "content-type": "application/json" }) }, // biome-ignore format: one line
    });
    const attempt = Context.derive({ parent: context, ...(opening === undefined ? {} : { timeout: opening }) });
    const registration = Context.after(attempt, (reason) => {
      reject(reason);
      sent.destroy();
    });
    sent.once("socket", (socket) => {
      socket.unref();
      socket.setKeepAlive(true, 15_000); // a connection that is dead without a word is found out
    });
    sent.once("response", (response) => {
      if (response.statusCode === 200) return resolve(response);
      response.resume();
      const status = response.statusCode as number; // a response has one
      reject(new DiscoveryError(this.#name, `it answered with status ${status}`, { status }));
      sent.destroy();
    });
    sent.on("error", reject);
    sent.end(text);
    return promise.finally(() => {
      registration[Symbol.dispose]();
      attempt[Symbol.dispose]();
    });
  }

  async *#parts(response: IncomingMessage, context: Context): AsyncGenerator<string, void> {
    const registration = Context.after(context, () => response.destroy());
    try {
      for await (const part of response.setEncoding("utf8")) yield part as string;
    } catch (error) {
      context.throwIfCancelled();
      throw error;
    } finally {
      registration[Symbol.dispose]();
      response.destroy();
    }
    context.throwIfCancelled();
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new DiscoveryError(this.#name, "its answer is no JSON", { cause });
    }
  }
}

function urlsFrom(name: string, url: string | readonly string[]): URL[] {
  const urls = typeof url === "string" ? [url] : url;
  if (!Array.isArray(urls)) {
    throw new TypeError(`Cannot discover ${name}: url must be a URL or an array of them, got ${describe(url)}`);
  }
  if (urls.length === 0) throw new TypeError(`Cannot discover ${name}: url must have at least one`);
  return urls.map((text) => {
    const parsed = URL.parse(text);
    if (parsed?.protocol === "http:" || parsed?.protocol === "https:") return parsed;
    throw new TypeError(`Cannot discover ${name}: url must be an http: or https: URL, got ${describe(text)}`);
  });
}
