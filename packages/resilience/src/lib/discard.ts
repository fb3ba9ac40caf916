// Lets go of a response that nobody will read, so that its connection is free for others.

/** Cancels the body of a `Response`, or lets undici read it away. Any other value is left alone. */
export function discard(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  const { body } = value as { body?: unknown };
  if (typeof body !== "object" || body === null) return;
  const { cancel, dump, locked } = body as { cancel?: unknown; dump?: unknown; locked?: unknown };
  const letGo = typeof cancel === "function" ? cancel : dump;
  if (typeof letGo !== "function" || locked === true) return;
  Promise.resolve(letGo.call(body)).catch(() => {}); // it was not wanted anyway
}
