// The part of the native classes that we use, as their version 0.9.0 has it.

export interface NativeHeader {
  readonly name: string;
  readonly value: string;
}

export interface NativeEvent {
  readonly eventType: number;
  readonly connHandle: number;
  /** -1 for events of the connection. */
  readonly streamId: number;
  readonly headers?: readonly NativeHeader[];
  readonly data?: Uint8Array;
  readonly fin?: boolean;
  readonly meta?: {
    readonly errorCode?: number;
    readonly errorReason?: string;
    readonly remoteAddr?: string;
    readonly remotePort?: number;
  };
}

export type NativeCallback = (error: Error | null, events: readonly NativeEvent[]) => void;

interface NativeCommon {
  ackEventBatch(count: number): void;
  requestShutdown(): boolean;
  joinWorker(): void;
}

/** `status` 0: taken; 1: not taken, the queue to the worker is full. */
export interface NativeSend {
  readonly status: number;
  readonly written: number;
}

export interface NativeServer extends NativeCommon {
  listen(port: number, host: string): { readonly port: number };
  sendResponseHeaders(connection: number, stream: number, headers: NativeHeader[], fin: boolean): boolean;
  sendResponse(connection: number, stream: number, headers: NativeHeader[], data: Uint8Array, fin: boolean): boolean;
  streamSend(connection: number, stream: number, data: Uint8Array, fin: boolean): NativeSend;
  streamClose(connection: number, stream: number, code: number): boolean;
  closeSession(connection: number, code: number, reason: string): boolean;
  getSessionMetrics(connection: number): { readonly packetsOut: number; readonly rttMs: number };
}

export interface NativeClient extends NativeCommon {
  connect(address: string, servername: string): { readonly port: number };
  sendRequest(headers: NativeHeader[], fin: boolean): number;
  streamSend(stream: number, data: Uint8Array, fin: boolean): NativeSend;
  streamClose(stream: number, code: number): boolean;
  close(code: number, reason: string): boolean;
}

export interface NativeModule {
  readonly NativeWorkerServer: new (options: object, callback: NativeCallback) => NativeServer;
  readonly NativeWorkerClient: new (options: object, callback: NativeCallback) => NativeClient;
}
