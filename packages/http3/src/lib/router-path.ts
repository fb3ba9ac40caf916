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
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  let end = start;
  for (; end < url.length; end++) {
    const code = url.charCodeAt(end);
    if (code === 63 /* ? */ || code === 35 /* # */) break;
  }
  return url.slice(start, end);
}

/**
 * The decoded segments of a path; undefined where its percent-encoding is malformed or it climbs with `.` and `..`.
 *
 * A URL parser has resolved plain dot segments before; those that arrive, often encoded, are there to escape a folder.
 */
export function readSegments(path: string): string[] | undefined {
  const segments = path.slice(1).split("/");
  if (path.includes("%")) {
    try {
      for (let index = 0; index < segments.length; index++) {
        segments[index] = decodeURIComponent(segments[index] as string); // the index is in range
      }
    } catch {
      return undefined;
    }
  }
  return segments.some(climbs) ? undefined : segments;
}

/** Whether a file system would read the segment, which may hold decoded slashes, as a way up. */
function climbs(segment: string): boolean {
  if (segment === ".") return true;
  return segment.includes("..") && segment.replaceAll("\\", "/").split("/").includes("..");
}
