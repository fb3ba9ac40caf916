// Typed keys for the values that travel with a context.

/** A key and the value to store under it, made by {@link ContextKey.of}. */
export interface ContextValue {
  /** What to find it by. */
  readonly key: ContextKey<unknown>;
  /** Of the type that the key names. */
  readonly value: unknown;
}

/**
 * Names a value that travels with a context. Keys are compared by identity: two keys of one name do not meet.
 *
 * @example
 * ```ts
 * import { Context, ContextKey } from "@proj/concurrency";
 *
 * const tenant = new ContextKey<string>("tenant");
 * using context = Context.derive({ values: [tenant.of("acme")] });
 * console.log(Context.run(context, () => Context.current().get(tenant))); // prints: acme
 * ```
 */
export class ContextKey<T> {
  /** For people only. */
  readonly name: string;
  /** Carries the type only; there is no such property at run time. */
  declare readonly type: T;

  constructor(name: string) {
    this.name = name;
  }

  /** Pairs this key with a value, for the `values` of `Context.derive`. */
  of(value: T): ContextValue {
    return { key: this, value };
  }
}
