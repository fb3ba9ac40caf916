// Ends a server: no new connections, what is under way is finished, and the rest is cut off when the time is over.
import type { Clock, Timer } from "@proj/concurrency";
import type { Core } from "./dispatch.ts";
import type { Http3Listener } from "./h3-server.ts";
import type { EventSink } from "./server-event.ts";
import type { TcpListener } from "./tcp-listener.ts";

export interface DrainOptions {
  readonly tcp: TcpListener | undefined;
  readonly h3: Http3Listener | undefined;
  readonly core: Core;
  readonly events: EventSink;
  readonly clock: Clock;
  readonly drainGrace: number;
}

/** A server on its way out. */
export class Drain {
  /** Fulfils when every connection is gone and the port is free. */
  readonly finished: Promise<void>;
  readonly #options: DrainOptions;
  readonly #start: number;
  #end = Number.POSITIVE_INFINITY;
  #limit: Timer | undefined;
  #grace: Timer | undefined;
  #aborted = 0;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#start = options.clock.now();
    this.finished = this.#run();
  }

  /** Cuts off what is not finished after this time. The earliest of several calls counts. */
  endIn(timeout: number): void {
    const { clock } = this.#options;
    const end = clock.now() + timeout;
    if (end >= this.#end) return;
    this.#end = end;
    this.#limit?.clear();
    this.#limit = clock.setTimeout(() => this.#cut(), timeout);
    this.#limit.ref();
  }

  async #run(): Promise<void> {
    const { tcp, h3, core, events, clock } = this.#options;
    events.emit({ kind: "drain-started", active: core.active });
    h3?.drain();
    // Connections that the system has completed already must be accepted first: closing the port would reset them.
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    const tcpGone = tcp?.stop();
    this.#closeIdleLater();
    await core.idle();
    await Promise.all([tcpGone, h3?.close()]);
    this.#limit?.clear();
    this.#grace?.clear();
    tcp?.destroy();
    events.emit({ kind: "drain-finished", aborted: this.#aborted, durationMs: clock.now() - this.#start });
  }

  /** Until the grace is over a request that a client has sent by then arrives, and its answer ends the connection. */
  #closeIdleLater(): void {
    const { tcp, clock, drainGrace } = this.#options;
    if (tcp === undefined) return;
    this.#grace = clock.setTimeout(() => {
      tcp.closeIdle();
      this.#closeIdleLater(); // a connection may have been in its handshake
    }, drainGrace);
    this.#grace.ref();
  }

  #cut(): void {
    const { core, tcp } = this.#options;
    this.#aborted += core.abort();
    tcp?.destroy();
  }
}
