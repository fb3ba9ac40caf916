// A tree of path segments for one method: finds the value of the most specific template that matches a path.
import { decodePath, innerSlash, pathOf, pathStart, plainPathEnd, type Segment } from "./router-path.ts";

/** What a path led to. */
export interface Match<T> {
  readonly value: T;
  readonly params: Readonly<Record<string, string>>;
}

interface Node<T> {
  /** Static segments by their first character code; NaN for the empty one. */
  readonly statics: Map<number, Branch<T>[]>;
  param: Node<T> | undefined;
  /** A template that ends here. */
  leaf: Leaf<T> | undefined;
  /** A template that ends here with `*rest`. */
  rest: Leaf<T> | undefined;
}

interface Branch<T> {
  readonly text: string;
  readonly node: Node<T>;
}

interface Leaf<T> {
  readonly value: T;
  /** Names in path order: two templates may share nodes and name their parameters differently. */
  readonly names: readonly string[];
  /** The match where there are no names, made once. */
  readonly withoutParams: Match<T>;
}

const noParams: Readonly<Record<string, string>> = Object.freeze({});

/**
 * Segment by segment, a static text wins over `:param`, which wins over `*rest`; a choice that leads nowhere is taken
 * back. Each node is visited at most once per look-up, so no path makes it slow.
 */
export class PathTree<T> {
  readonly #root = createNode<T>();

  /** Adds a template, or returns the value that already stands for the same set of paths. */
  insert(segments: readonly Segment[], value: T): T | undefined {
    let node = this.#root;
    let slot: "leaf" | "rest" = "leaf";
    const names: string[] = [];
    for (const segment of segments) {
      if (segment.kind !== "static") names.push(segment.name);
      if (segment.kind === "rest") slot = "rest";
      else node = segment.kind === "static" ? staticChild(node, segment.text) : paramChild(node);
    }
    const holder = node[slot];
    if (holder !== undefined) return holder.value;
    node[slot] = { value, names, withoutParams: { value, params: noParams } };
    return undefined;
  }

  /** Finds the path of an absolute URL: segments are compared and handed out decoded. */
  find(url: string): Match<T> | undefined {
    const start = pathStart(url);
    const end = plainPathEnd(url, start);
    if (end !== -1) return this.#findIn(end === url.length ? url : url.slice(0, end), start + 1);
    const path = decodePath(pathOf(url));
    return path === undefined ? undefined : this.#findIn(path, 1);
  }

  #findIn(text: string, start: number): Match<T> | undefined {
    const values: string[] = [];
    const leaf = walk(this.#root, text, start, values);
    if (leaf === undefined) return undefined;
    if (values.length === 0) return leaf.withoutParams;
    const params: Record<string, string> = {};
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as string; // the way to a leaf takes one value for each name
      params[leaf.names[index] as string] = start === 1 ? value.replaceAll(innerSlash, "/") : value;
    }
    return { value: leaf.value, params };
  }
}

/**
 * Goes on from `start`, just behind a slash. On success, `values` holds what the parameters on the way took; on failure
 * it is as before.
 */
function walk<T>(node: Node<T>, text: string, start: number, values: string[]): Leaf<T> | undefined {
  if (start > text.length) return node.leaf;
  const slash = text.indexOf("/", start);
  const end = slash === -1 ? text.length : slash;
  const branches =
    node.statics.size === 0 ? undefined : node.statics.get(start === end ? Number.NaN : text.charCodeAt(start));
  if (branches !== undefined) {
    for (const branch of branches) {
      if (branch.text.length !== end - start || !text.startsWith(branch.text, start)) continue;
      const leaf = walk(branch.node, text, end + 1, values);
      if (leaf !== undefined) return leaf;
      break;
    }
  }
  if (node.param !== undefined && start !== end) {
    values.push(text.slice(start, end));
    const leaf = walk(node.param, text, end + 1, values);
    if (leaf !== undefined) return leaf;
    values.pop();
  }
  if (node.rest !== undefined) values.push(text.slice(start));
  return node.rest;
}

function createNode<T>(): Node<T> {
  return { statics: new Map(), param: undefined, leaf: undefined, rest: undefined };
}

function staticChild<T>(node: Node<T>, text: string): Node<T> {
  const key = text.charCodeAt(0);
  const branches = node.statics.get(key) ?? [];
  const known = branches.find((branch) => branch.text === text);
  if (known !== undefined) return known.node;
  const child = createNode<T>();
  node.statics.set(key, [...branches, { text, node: child }]);
  return child;
}

function paramChild<T>(node: Node<T>): Node<T> {
  node.param ??= createNode();
  return node.param;
}
