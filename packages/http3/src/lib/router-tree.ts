// A tree of path segments for one method: finds the value of the most specific template that matches a path.
import type { Segment } from "./router-path.ts";

/** What a path led to. */
export interface Match<T> {
  readonly value: T;
  readonly params: Readonly<Record<string, string>>;
}

interface Node<T> {
  readonly statics: Map<string, Node<T>>;
  param: Node<T> | undefined;
  /** A template that ends here. */
  leaf: Leaf<T> | undefined;
  /** A template that ends here with `*rest`. */
  rest: Leaf<T> | undefined;
}

interface Leaf<T> {
  readonly value: T;
  /** Names in path order: two templates may share nodes and name their parameters differently. */
  readonly names: readonly string[];
}

const noParams: Readonly<Record<string, string>> = Object.freeze({});

/**
 * Segment by segment, a static text wins over `:param`, which wins over `*rest`; a choice that leads nowhere is taken
 * back. Each node is visited at most once per look-up, so no path makes it slow.
 */
export class PathTree<T> {
  readonly #root = createNode<T>();
  /** Templates without parameters, by whole path: most look-ups end here. */
  readonly #exact = new Map<string, Match<T>>();

  /** Adds a template, or returns the value that already stands for the same set of paths. */
  insert(template: string, segments: readonly Segment[], value: T): T | undefined {
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
    node[slot] = { value, names };
    if (names.length === 0) this.#exact.set(template, { value, params: noParams });
    return undefined;
  }

  /** Finds a path as written, without decoding. Only knows templates without parameters. */
  findExact(path: string): Match<T> | undefined {
    return this.#exact.get(path);
  }

  /** Finds a path by its decoded segments. */
  find(segments: readonly string[]): Match<T> | undefined {
    const values: string[] = [];
    const leaf = walk(this.#root, segments, 0, values);
    if (leaf === undefined) return undefined;
    if (values.length === 0) return { value: leaf.value, params: noParams };
    const params: Record<string, string> = {};
    for (let index = 0; index < values.length; index++) {
      params[leaf.names[index] as string] = values[index] as string; // the way to a leaf takes one value for each name
    }
    return { value: leaf.value, params };
  }
}

/** On success, `values` holds what the parameters on the way took; on failure it is as before. */
function walk<T>(node: Node<T>, segments: readonly string[], depth: number, values: string[]): Leaf<T> | undefined {
  const segment = segments[depth];
  if (segment === undefined) return node.leaf;
  const child = node.statics.get(segment);
  if (child !== undefined) {
    const leaf = walk(child, segments, depth + 1, values);
    if (leaf !== undefined) return leaf;
  }
  if (node.param !== undefined && segment !== "") {
    values.push(segment);
    const leaf = walk(node.param, segments, depth + 1, values);
    if (leaf !== undefined) return leaf;
    values.pop();
  }
  if (node.rest !== undefined) values.push(depth === 0 ? segments.join("/") : segments.slice(depth).join("/"));
  return node.rest;
}

function createNode<T>(): Node<T> {
  return { statics: new Map(), param: undefined, leaf: undefined, rest: undefined };
}

function staticChild<T>(node: Node<T>, text: string): Node<T> {
  let child = node.statics.get(text);
  if (child === undefined) {
    child = createNode();
    node.statics.set(text, child);
  }
  return child;
}

function paramChild<T>(node: Node<T>): Node<T> {
  node.param ??= createNode();
  return node.param;
}
