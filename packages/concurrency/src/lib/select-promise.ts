// Watching a promise in a way that can be given up. A reaction added by `then` stays until the promise settles: a loop
// of races over one long-lived promise would pile them up. So each watched promise gets one reaction, and a list.
// An async stack trace follows promises, not lists: the first who watches gets a link that it can follow.

export interface PromiseWatcher {
  fulfilled(value: unknown): void;
  rejected(reason: unknown): void;
}

/** The functions of the promise that somebody waits for. */
export type Settlers = readonly [resolve: (value: unknown) => void, reject: (reason: unknown) => void];

const watchersOf = new WeakMap<PromiseLike<unknown>, Set<PromiseWatcher>>();

/**
 * Tells `watcher` once when `promise` settles, never within this call, unless disposed before. `settlers` are those of a
 * promise that is settled by then.
 */
export function watchPromise(promise: PromiseLike<unknown>, watcher: PromiseWatcher, settlers: Settlers): Disposable {
  let watchers = watchersOf.get(promise);
  if (watchers === undefined) {
    watchers = new Set();
    watchersOf.set(promise, watchers);
    void react(promise, watchers).then(...settlers);
  }
  const listed = watchers.add(watcher);
  return { [Symbol.dispose]: () => void listed.delete(watcher) };
}

function react(promise: PromiseLike<unknown>, watchers: Set<PromiseWatcher>): Promise<undefined> {
  // Promise.resolve keeps a native promise as it is, and makes a thenable of any other kind behave.
  return Promise.resolve(promise).then(
    (value) => {
      watchersOf.delete(promise);
      for (const watcher of watchers) watcher.fulfilled(value);
      return undefined;
    },
    (reason: unknown) => {
      watchersOf.delete(promise);
      for (const watcher of watchers) watcher.rejected(reason);
      return undefined;
    },
  );
}
