// How the outcomes of idempotent calls become text, and are made of it again.

/** How a task has ended. */
export type IdempotentOutcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown };

/** Makes text of outcomes, and outcomes of it. */
export interface IdempotencyCodec {
  /** What is kept. When it throws, the call rejects with that and its key is left as after a crash: the work was done. */
  encode(outcome: IdempotentOutcome): string;
  /** What is replayed. Called for each replay, so no two callers share an object. */
  decode(text: string): IdempotentOutcome;
}

/**
 * The default: values as JSON keeps them; errors with name, message, code and all else of their own that JSON keeps,
 * replayed as a plain `Error` with these properties.
 */
export const jsonCodec: IdempotencyCodec = {
  encode: (outcome) => JSON.stringify(outcome.ok ? { value: outcome.value } : { error: plain(outcome.error) }),
  decode(text) {
    const { value, error } = JSON.parse(text) as { value?: unknown; error?: unknown };
    return error === undefined ? { ok: true, value } : { ok: false, error: revive(error) };
  },
};

/** A wrapper tells errors from other things that were thrown. */
function plain(error: unknown): { error: object } | { thrown: unknown } {
  if (!(error instanceof Error)) return { thrown: error };
  return { error: { ...error, name: error.name, message: error.message } };
}

function revive(kept: unknown): unknown {
  const { error, thrown } = kept as { error?: { message: string }; thrown?: unknown };
  if (error === undefined) return thrown;
  const { message, ...rest } = error;
  return Object.assign(new Error(message), rest);
}
