// Watching a promise in a way that can be given up. A reaction added by `then` stays until the promise settles: a loop
// of races over one long-lived promise would pile them up. So each watched promise gets one reaction, and a list.

export interface PromiseWatcher {
  fulfilled(value: unknown): void;
  rejected(reason: unknown): void;
}

const watchersOf = new WeakMap<PromiseLike<unknown>, Set<PromiseWatcher>>();

/** Tells `watcher` once when `promise` settles, never within this call, unless disposed before. */
export function watchPromise(promise: PromiseLike<unknown>, watcher: PromiseWatcher): Disposable {
  let watchers = watchersOf.get(promise);
  if (watchers === undefined) {
    watchers = new Set();
    watchersOf.set(promise, watchers);
    react(promise, watchers);
  }
  const listed = watchers.add(watcher);
  return { [Symbol.dispose]: () => void listed.delete(watcher) };
}

function react(promise: PromiseLike<unknown>, watchers: Set<PromiseWatcher>): void {
  // Promise.resolve keeps a native promise as it is, and makes a thenable of any other kind behave.
  Promise.resolve(promise).then(
    (value) => {
      watchersOf.delete(promise);
      for (const watcher of watchers) watcher.fulfilled(value);
    },
    (reason: unknown) => {
      watchersOf.delete(promise);
      for (const watcher of watchers) watcher.rejected(reason);
    },
  );
}
