// A rejected promise that costs a quarter of `Promise.reject`.

const resolved = Promise.resolve();
let reject: (reason: unknown) => void;

/**
 * Makes a promise that rejects in a microtask. One that is rejected from the start is reported as unhandled, and a moment
 * later as handled after all: that is most of what it costs.
 */
export function rejectSoon(error: unknown): Promise<never> {
  const promise = new Promise<never>(take);
  void resolved.then(reject.bind(undefined, error));
  return promise;
}

function take(_resolve: unknown, rejectIt: (reason: unknown) => void): void {
  reject = rejectIt;
}
