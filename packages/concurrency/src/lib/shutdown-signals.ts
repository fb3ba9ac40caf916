// The two signals of a shutdown: the first asks, the second insists.
import { constants } from "node:os";

/** The part of `process` that a supervisor needs; pass another one in tests. */
export interface ProcessPort {
  /** Starts to listen. */
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  /** Stops to listen. */
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  /** Ends the process at once. */
  exit(code: number): unknown;
}

/**
 * Calls `onFirst` for the first of the signals. The second one, of whatever kind, ends the process with the exit code
 * that a shell gives to it: 143 for SIGTERM, 130 for SIGINT. Dispose to stop listening.
 */
export function onShutdownSignal(
  port: ProcessPort,
  signals: readonly NodeJS.Signals[],
  onFirst: (signal: NodeJS.Signals) => void,
): Disposable {
  let asked = false;
  const listener = (signal: NodeJS.Signals): void => {
    if (asked) {
      port.exit(128 + constants.signals[signal]);
    } else {
      asked = true;
      onFirst(signal);
    }
  };
  for (const signal of signals) port.on(signal, listener);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) port.off(signal, listener);
    },
  };
}
