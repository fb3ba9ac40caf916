// Loads many keys ahead, a few at a time.
import { abortable, Semaphore, type WaitOptions } from "@proj/concurrency";

/** What can be set on `TieredCache.warm`. */
export interface WarmOptions extends WaitOptions {
  /** How many keys at a time. Default: 8. */
  readonly concurrency?: number | undefined;
  /** Called after each key. */
  readonly onProgress?: ((report: WarmReport) => void) | undefined;
}

/** How far it is. */
export interface WarmReport {
  /** Keys that are through, however it went. */
  readonly done: number;
  /** Those whose load has failed. */
  readonly failed: number;
}

/** Calls `load` for all keys; stops taking keys, and rejects, when the signal ends or the source of the keys fails. */
export async function warm(
  keys: Iterable<string> | AsyncIterable<string>,
  load: (key: string) => Promise<void>,
  { concurrency = 8, onProgress, signal }: WarmOptions,
): Promise<WarmReport> {
  const places = new Semaphore(concurrency);
  let done = 0;
  let failed = 0;
  const running = new Set<Promise<void>>();
  try {
    for await (const key of keys) {
      const permit = await places.acquire({ signal });
      const work = (async () => {
        using _permit = permit;
        try {
          await load(key);
          done++;
        } catch {
          failed++;
        }
        onProgress?.({ done, failed });
      })();
      running.add(work);
      void work.finally(() => running.delete(work)).catch(() => {});
    }
  } finally {
    await abortable(Promise.all(running), { signal });
  }
  return { done, failed };
}
