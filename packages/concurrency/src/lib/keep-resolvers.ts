// Promises whose functions are kept by an object, without a closure and an object in between for each.

/** Of the promise that was made last with {@link keepResolvers}: to be taken up in the next statement. */
export let resolver: (value: unknown) => void;
export let rejecter: (error: unknown) => void;

/** The argument of `new Promise`. */
// biome-ignore lint/suspicious/noExplicitAny: it serves promises of all types, and none other checks for all of them
export function keepResolvers(resolve: (value: any) => void, reject: (error: unknown) => void): void {
  resolver = resolve;
  rejecter = reject;
}
