// One direction of a stream towards the peer: keeps what the engine does not take yet, and tells the writer to wait.

/** The largest piece handed to the engine at once. */
const SLICE = 64 * 1024;

/** What one stream may hand over per turn of the event loop: the engine's word that the peer is slow comes a turn later. */
const WINDOW = 256 * 1024;

const EMPTY = new Uint8Array(0);

/** Sends a piece; false when it was not taken. */
export type SendData = (chunk: Uint8Array, fin: boolean) => boolean;

/** Chunks in order, the head before the first and the end after the last one. */
export class SendQueue {
  readonly #send: SendData;
  #head: { readonly send: () => boolean; readonly fin: boolean } | undefined;
  #chunks: Uint8Array[] = [];
  #ending = false;
  #finished = false;
  #blocked = false;
  #window = WINDOW;
  #turn: NodeJS.Immediate | undefined;
  #drained: PromiseWithResolvers<void> | undefined;
  readonly #onFinish: () => void;

  /** `onFinish` is called once, when the engine has taken everything, the end included. */
  constructor(send: SendData, onFinish: () => void) {
    this.#send = send;
    this.#onFinish = onFinish;
  }

  /** Nothing more will be added. */
  get ending(): boolean {
    return this.#ending || this.#head?.fin === true;
  }

  /** Something waits for the peer or the engine. */
  get stalled(): boolean {
    if (this.#finished) return false;
    return this.#blocked || this.#ending || this.#head !== undefined || this.#chunks.length > 0;
  }

  /** Sends the head, at once or when the engine has room. `fin`: it is everything. */
  start(send: () => boolean, fin: boolean): void {
    this.#head = { send, fin };
    this.#flush();
  }

  /** Undefined when more is welcome at once, else a promise for when it is; it never rejects. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#ending || this.#finished) return undefined;
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.#flush();
    if (!this.stalled) return undefined;
    this.#drained ??= Promise.withResolvers();
    return this.#drained.promise;
  }

  end(): void {
    this.#ending = true;
    this.#flush();
  }

  /** The peer takes no more for now. */
  block(): void {
    this.#blocked = true;
  }

  /** The peer, or the engine, takes more. */
  unblock(): void {
    this.#blocked = false;
    this.#flush();
  }

  /** Drops what was not sent, and lets a waiting writer go on. */
  abandon(): void {
    this.#finished = true;
    this.#head = undefined;
    this.#chunks = [];
    if (this.#turn !== undefined) clearImmediate(this.#turn);
    this.#settle();
  }

  #flush(): void {
    if (this.#finished || !this.#flushHead()) return;
    while (!this.#blocked && this.#chunks.length > 0) {
      if (this.#window <= 0) {
        this.#turn ??= setImmediate(() => this.#nextTurn());
        return;
      }
      if (!this.#sendFirst()) return;
    }
    if (this.#chunks.length > 0) return;
    if (this.#ending && !this.#finished && this.#send(EMPTY, true)) this.#finish();
    if (!this.#blocked) this.#settle();
  }

  #flushHead(): boolean {
    const head = this.#head;
    if (head === undefined) return true;
    if (!head.send()) return false;
    this.#head = undefined;
    if (head.fin) this.#finish();
    return !head.fin;
  }

  #sendFirst(): boolean {
    const chunk = this.#chunks[0] ?? EMPTY;
    const slice = chunk.length > SLICE ? chunk.subarray(0, SLICE) : chunk;
    const last = this.#ending && this.#chunks.length === 1 && slice === chunk;
    if (!this.#send(slice, last)) return false;
    this.#window -= slice.length;
    if (slice === chunk) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(SLICE);
    if (last) this.#finish();
    return true;
  }

  #nextTurn(): void {
    this.#turn = undefined;
    this.#window = WINDOW;
    this.#flush();
  }

  #finish(): void {
    this.#finished = true;
    this.#onFinish();
  }

  #settle(): void {
    this.#drained?.resolve();
    this.#drained = undefined;
  }
}
