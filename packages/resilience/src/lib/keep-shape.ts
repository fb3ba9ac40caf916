// Keeps one object of each class whose objects come and go with each call. When a collection finds none of them, the engine
// forgets their layout, and with it the code that it has compiled for them: the next burst of calls starts slowly again.

const kept: object[] = [];

/** Once for each class, with an object whose fields are set as in the usual case. It stays for ever. */
export function keepShape(object: object): void {
  kept.push(object);
}
