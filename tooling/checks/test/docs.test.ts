import { expect, test, vi } from "vitest";
import { docs } from "../src/docs.ts";
import { linesOf, plant } from "./plant.ts";

vi.setConfig({ testTimeout: 90_000 }); // compiles, on slow machines too

const file = "packages/concurrency/src/lib/planted.ts";

function found(code: string, names: string): string[] {
  using planted = plant({
    [file]: code,
    "packages/concurrency/src/index.ts": `export { ${names} } from "./lib/planted.ts";\n`,
  });
  return linesOf(docs(planted.workspace));
}

const example = "@example\n * ```ts\n * 1;\n * ```";

test("documented exports have nothing to report", () => {
  const code = `
/** Opens it. ${example} */
export function open(path: string, options: OpenOptions = {}): Door { return new Door(path, options); }
/** How to open. */
export interface OpenOptions {
  /** Milliseconds. Default: 10. */
  readonly timeout?: number;
}
/** What is open. ${example} */
export class Door implements Disposable {
  readonly #path: string;
  private readonly old = 1;
  constructor(path: string, _options: OpenOptions) { this.#path = path; void this.old; }
  /** Where it is. */
  get path(): string { return this.#path; }
  [Symbol.dispose](): void {}
}
/** It is not there. */
export class MissingDoorError extends Error {
  override readonly name = "MissingDoorError";
  readonly code = "ERR_MISSING_DOOR";
}
/** Wide open. */
export const wide = true;
`;
  expect(found(code, "open, type OpenOptions, Door, MissingDoorError, wide")).toEqual([]);
});

test.each([
  ["a function without a comment", `export function f(): void {}`, "f has no doc comment: say what it promises"],
  ["a constant with only an example", `/** ${example} */\nexport const f = 1;`, "f has no doc comment"],
  ["a constant under an ordinary comment", `// not a doc comment\nexport const f = 1;`, "f has no doc comment"],
  ["a type without a comment", `export type f = 1;`, "f has no doc comment"],
  ["a function without an example", `/** Says it. */\nexport function f(): void {}`, "f has no example"],
  [
    "a function in a constant without an example",
    `/** Says it. */\nexport const f = (): void => {};`,
    "f has no example",
  ],
  ["a class without an example", `/** Says it. */\nexport class f {}`, "f has no example"],
  ["an example without a block", `/** Says it. @example f() */\nexport function f(): void {}`, "f has no example"],
  [
    "an undocumented option of an interface",
    `/** Says it. */\nexport interface f {\n  readonly timeout: number;\n}`,
    "f.timeout has no doc comment",
  ],
  [
    "an undocumented option of an object type",
    `/** Says it. */\nexport type f = {\n  timeout: number;\n}`,
    "f.timeout has no doc comment",
  ],
  [
    "an undocumented method",
    `/** Says it. ${example} */\nexport class f {\n  run(): void {}\n}`,
    "f.run has no doc comment",
  ],
  [
    "an undocumented static method",
    `/** Says it. ${example} */\nexport class f {\n  static run(): void {}\n}`,
    "f.run has no doc comment",
  ],
  [
    "undocumented data of an error",
    `/** Says it. */\nexport class f extends Error {\n  readonly limit = 1;\n}`,
    "f.limit has no doc comment",
  ],
  [
    "an undocumented function of an object",
    `/** Says it. */\nexport const f = {\n  run(): void {},\n};`,
    "f.run has no doc comment",
  ],
])("%s is reported", (_, code, message) => {
  const lines = found(`${code}\n`, "f");
  expect(lines.join("\n")).toContain(message);
  expect(lines[0]).toMatch(new RegExp(`^${file}:\\d+ f`));
});

test("a member that implements a documented one inherits its comment", () => {
  const code = `
/** A port. */
export interface Port {
  /** Sends it. */
  send(): void;
}
/** A wire. ${example} */
export class Wire implements Port {
  send(): void {}
}
`;
  expect(found(code, "type Port, Wire")).toEqual([]);
});

test("a member that implements one of the platform needs no comment", () => {
  const code = `
/** A message. ${example} */
export class Message implements Pick<Response, "ok" | "status"> {
  readonly ok = true;
  get status(): number { return 200; }
  readonly own = 1;
}
`;
  expect(found(code, "Message")).toEqual([expect.stringContaining("Message.own has no doc comment")]);
});

test.each([
  ["a parameter", "open(how: How): void {}"],
  ["an optional part of a parameter", "open(how?: readonly How[] | undefined): void {}"],
  ["a result", "open(): Promise<How> { throw 1; }"],
  ["a bound", "open<T extends How>(_: T): void {}"],
])("a type that %s shows and nobody can import is reported", (_, signature) => {
  const hidden = "export interface How {\n  readonly fast: boolean;\n}";
  const code = `${hidden}\n/** Opens it. ${example} */\nexport function ${signature}\n`;
  expect(found(code, "open")).toEqual([expect.stringContaining("open shows the type How, which no entry exports")]);
});

test("types inside bodies and private parts may stay hidden", () => {
  const code = `
interface How { readonly fast: boolean }
/** A door. ${example} */
export class Door<T> implements Iterable<T> {
  #how: How | undefined;
  private old: How | undefined;
  /** Opens it. */
  open(): T[] { const how: How = { fast: true }; this.#how = how; void this.old; void this.#how; return []; }
  [Symbol.iterator](): Iterator<T> { return this.open()[Symbol.iterator](); }
}
`;
  expect(found(code, "Door")).toEqual([]);
});

test("the place of the problem is the line of the name", () => {
  const [line] = found(`\n/** Says it. */\nexport interface F {\n  readonly timeout: number;\n}\n`, "type F");
  expect(line).toMatch(new RegExp(`^${file}:4 `));
});

test("what is not exported needs no comment", () => {
  expect(found(`function hidden(): void {}\n/** Shown. */\nexport const shown = hidden;\n`, "shown")).toEqual([
    `${file}:3 shown has no example: add @example with a \`\`\`ts block that runs`,
  ]);
});
