// Errors on their way between threads. The platform's own copy forgets the class, the code and all other fields.

/** What was thrown, as plain data. */
export type Fault =
  | { readonly kind: "value"; readonly value: unknown }
  | {
      readonly kind: "error";
      /** The built-in class that it is, or extends. */
      readonly base: string;
      readonly name: string;
      readonly message: string;
      readonly stack: string;
      readonly fields: Readonly<Record<string, unknown>>;
      readonly cause?: Fault;
      /** Of an AggregateError. */
      readonly errors?: readonly Fault[];
    };

const builtIn: Readonly<Record<string, new (message: string) => Error>> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** Causes of causes are kept down to this level: a cause may be its own cause. */
const deepest = 8;

/** Takes an error apart. With `isSafe`, what the platform cannot copy is left out. */
export function encodeFault(thrown: unknown, isSafe = false, depth = 0): Fault {
  if (!(thrown instanceof Error))
    return { kind: "value", value: isSafe && !isCloneable(thrown) ? String(thrown) : thrown };
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(thrown)) {
    if (key === "name" || key === "message" || key === "stack" || key === "cause" || key === "errors") continue;
    if (!isSafe || isCloneable(value)) fields[key] = value;
  }
  const { code } = thrown as { code?: unknown };
  if (!("code" in fields) && (typeof code === "string" || typeof code === "number")) fields["code"] = code;
  const base = baseOf(thrown);
  const className = thrown.constructor?.name;
  const inner = (error: unknown) => encodeFault(error, isSafe, depth + 1);
  const fault = {
    kind: "error",
    base,
    name: String(thrown.name === base && className ? className : thrown.name), // a class that gives itself no name has one
    message: String(thrown.message),
    stack: String(thrown.stack),
    fields,
  } as const;
  const cause = thrown.cause !== undefined && depth < deepest ? { cause: inner(thrown.cause) } : {};
  const isAggregate = thrown instanceof AggregateError && depth < deepest;
  return { ...fault, ...cause, ...(isAggregate ? { errors: thrown.errors.map(inner) } : {}) };
}

/**
 * Puts an error together again: an instance of the built-in class, with the name of its own class. To be called where the
 * caller waits, so that its stack goes on from the thread's frames to the caller's.
 */
export function decodeFault(fault: Fault): unknown {
  if (fault.kind === "value") return fault.value;
  const { base, name, message, stack, fields, cause, errors } = fault;
  const error =
    errors !== undefined
      ? new AggregateError(errors.map(decodeFault), message)
      : base === "DOMException"
        ? new DOMException(message, name)
        : new (builtIn[base] ?? Error)(message);
  if (error.name !== name) Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  if (cause !== undefined) {
    Object.defineProperty(error, "cause", { value: decodeFault(cause), configurable: true, writable: true });
  }
  for (const [key, value] of Object.entries(fields)) {
    if (!(base === "DOMException" && key === "code")) Object.defineProperty(error, key, { value, ...ordinary });
  }
  return continueStack(error, stack);
}

const ordinary = { configurable: true, enumerable: true, writable: true };

/**
 * Puts the frames of this place below those that an error has: it came about elsewhere, on behalf of who waits here.
 * Returns the error.
 */
export function continueStack<T>(error: T, stack: unknown = (error as { stack?: unknown } | undefined)?.stack): T {
  if (!(error instanceof Error)) return error;
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, continueStack);
  const frames = here.stack?.split("\n").slice(1) ?? [];
  const value = [String(stack), ...frames].join("\n");
  Object.defineProperty(error, "stack", { value, configurable: true, writable: true });
  return error;
}

function baseOf(error: Error): string {
  if (error instanceof DOMException) return "DOMException";
  for (let prototype = Object.getPrototypeOf(error); prototype !== null; prototype = Object.getPrototypeOf(prototype)) {
    const name: unknown = prototype.constructor?.name;
    if (typeof name === "string" && Object.hasOwn(builtIn, name)) return name;
  }
  return "Error";
}

function isCloneable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
