// The seam between transports and the core: one request and its answer, the same for HTTP/1.1, HTTP/2 and HTTP/3.

/** The HTTP versions that one port serves. */
export type Protocol = "http/1.1" | "h2" | "h3";

/**
 * One request and its answer, as a transport hands it to the core.
 *
 * Header lists are flat, `[name, value, name, value]`, with names in lower case and values in received order. Pseudo-headers
 * are not in them. The transport removes what belongs to the connection from answers, and adds what its protocol needs.
 */
export interface Exchange {
  readonly protocol: Protocol;
  readonly method: string;
  readonly scheme: string;
  /** The host and port that the client asked for; empty where it named none, or two. */
  readonly authority: string;
  /** Path and query, as received: `/users?page=2`. */
  readonly target: string;
  readonly headers: readonly string[];
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly hasBody: boolean;

  /**
   * Starts to read the body; throws when called twice. Bytes come with backpressure as far as the transport has it.
   * Breaking out of the loop stops the upload.
   */
  body(): AsyncIterable<Uint8Array>;

  /** Calls back at most once, when the peer gives up or the connection is lost before the answer is finished. */
  onAbort(callback: (cause: Error) => void): void;

  /** Head, body and end in one call; `body` undefined: no body. */
  respond(status: number, headers: string[], body?: Uint8Array | string): void;

  /** Starts a streaming answer, which `write()` continues and `end()` finishes. */
  head(status: number, headers: string[]): void;

  /** Returns undefined when the transport takes more at once, else a promise for when it does. */
  write(chunk: Uint8Array): Promise<void> | undefined;

  end(): void;

  /** Ends the exchange abnormally: the peer sees a failure, never a complete answer. */
  reset(cause: Error): void;
}

/** The core as a transport sees it: turns an exchange into a call of the user's handler. Never throws. */
export type Dispatch = (exchange: Exchange) => void;
