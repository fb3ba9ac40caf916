// Path templates such as `/orders/:id/files/*path`: their type-level parameters, their grammar, and the reading of a request path.

/**
 * The parameters that a path template names: `PathParams<"/orders/:id">` is `{ readonly id: string }`.
 *
 * A template that is only known as `string` gives a record in which any name may be missing.
 */
export type PathParams<Path extends string> = string extends Path
  ? Readonly<Record<string, string>>
  : { readonly [Name in ParamName<Path>]: string };

type ParamName<Path extends string> = Path extends `${infer Segment}/${infer Rest}`
  ? SegmentName<Segment> | ParamName<Rest>
  : SegmentName<Path>;

type SegmentName<Segment extends string> = Segment extends `:${infer Name}`
  ? Name
  : Segment extends `*${infer Name}`
    ? Name
    : never;

/** One part of a template between two slashes. */
export type Segment =
  | { readonly kind: "static"; readonly text: string }
  | { readonly kind: "param"; readonly name: string }
  | { readonly kind: "rest"; readonly name: string };

const identifier = /^[A-Za-z_$][\w$]*$/;

/** Parses a template; the empty one is the place where a router is mounted. Throws a `TypeError` that starts with `action` where it breaks the grammar. */
export function parseTemplate(action: string, template: string): readonly Segment[] {
  if (template === "") return [];
  if (typeof template !== "string" || !template.startsWith("/")) {
    throw new TypeError(`${action}: the path must start with "/", got ${JSON.stringify(template)}`);
  }
  const unfit = /[?#%]|\/\.{1,2}(?=\/|$)/.exec(template)?.[0];
  if (unfit !== undefined) {
    throw new TypeError(
      `${action}: the path must be decoded and hold no query, dot segment or fragment, got "${unfit}"`,
    );
  }
  const names = new Set<string>();
  const parts = template.slice(1).split("/");
  return parts.map((text, index): Segment => {
    const sigil = text[0];
    if (sigil !== ":" && sigil !== "*") return { kind: "static", text };
    const name = text.slice(1);
    if (!identifier.test(name) || name === "__proto__") {
      throw new TypeError(`${action}: a parameter is a whole segment named by an identifier, got "${text}"`);
    }
    if (names.has(name)) throw new TypeError(`${action}: the path names the parameter "${name}" twice`);
    names.add(name);
    if (sigil === ":") return { kind: "param", name };
    if (index !== parts.length - 1) throw new TypeError(`${action}: "${text}" must be the last segment`);
    return { kind: "rest", name };
  });
}

/** The path of an absolute URL, as written: without query and fragment, not decoded. */
export function pathOf(url: string): string {
  const start = pathStart(url);
  const length = url.slice(start).search(/[?#]/);
  return url.slice(start, length === -1 ? url.length : start + length) || "/";
}

/** Where the path of an absolute URL starts: at its slash, or at the end where there is none. */
export function pathStart(url: string): number {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  return start === -1 ? url.length : start;
}

/**
 * Where the path ends in a URL whose path can be compared as it is written; -1 where it must be decoded first. The one
 * pass that every request pays for.
 */
export function plainPathEnd(url: string, start: number): number {
  for (let index = start; index < url.length; index++) {
    const code = url.charCodeAt(index);
    if (code === 63 /* ? */ || code === 35 /* # */) return index;
    if (code === 37 /* % */ || code === 92 /* \ */) return -1;
    if (code === 46 /* . */ && url.charCodeAt(index - 1) === 47 /* / */) return -1;
  }
  return url.length;
}

/** Stands for a slash inside a segment, which the client wrote as `%2F`, in the paths that `decodePath` gives. */
export const innerSlash = "\0";

/**
 * Decodes a path for routing. Undefined where its percent-encoding is malformed, or it holds a NUL, or it climbs with `.`
 * and `..`: a URL parser has resolved plain dot segments before, and those that arrive, often encoded, are there to
 * escape a folder.
 */
export function decodePath(path: string): string | undefined {
  if (path.includes("%00")) return undefined;
  let decoded: string;
  try {
    decoded = decodeURIComponent(path.replaceAll("%2F", "%00").replaceAll("%2f", "%00"));
  } catch {
    return undefined;
  }
  const names = decoded.replaceAll(innerSlash, "/").replaceAll("\\", "/").split("/");
  return names.includes(".") || names.includes("..") ? undefined : decoded;
}
