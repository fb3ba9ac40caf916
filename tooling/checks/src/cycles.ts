// Finds circles in a directed graph.

/**
 * One circle for each group of nodes that reach each other, as a path that ends where it starts.
 * Links to nodes that are not keys of the map are ignored.
 */
export function cyclesIn(links: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const cycles: string[][] = [];
  const visit = (node: string, path: readonly string[]): void => {
    const at = path.indexOf(node);
    if (at !== -1) {
      cycles.push([...path.slice(at), node]);
      return;
    }
    if (done.has(node)) return;
    for (const next of links.get(node) ?? []) {
      if (links.has(next)) visit(next, [...path, node]);
    }
    done.add(node);
  };
  for (const node of links.keys()) visit(node, []);
  return cycles;
}
