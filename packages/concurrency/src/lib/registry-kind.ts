// How what is built on a semaphore makes it speak of itself: as what it is to its user.

const kindKey: unique symbol = Symbol("kind");

/** The same options, for something that its user knows as a `kind`, which is also its name if it has none. */
export function asKind<Options extends object>(kind: string, options: Options): Options {
  const known: Options & { [kindKey]?: string } = { ...options, [kindKey]: kind };
  return known;
}

/** What {@link asKind} said, else `standard`. */
export function kindOf(options: object & { readonly [kindKey]?: string }, standard: string): string {
  return options[kindKey] ?? standard;
}
