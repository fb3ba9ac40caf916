// The one table of who may import whom, and which third-party packages each package may bring to its users.
// A new edge or a new dependency needs a decision record in docs/decisions.

export interface Row {
  /** The packages of this workspace it may import, in every kind of file. */
  readonly imports: readonly string[] | "everything";
  /** Third-party packages that come along with an installation. */
  readonly dependencies: readonly string[];
  /** Third-party packages that it works without: optional dependencies or optional peers. */
  readonly optional?: readonly string[];
}

const floor = ["@proj/concurrency"];

export const graph: Readonly<Record<string, Row>> = {
  // L0: nothing but Node.js
  "@proj/concurrency": { imports: [], dependencies: [] },

  // L1: the floor, never one another
  "@proj/resilience": { imports: floor, dependencies: [], optional: ["undici"] },
  "@proj/memory": { imports: floor, dependencies: ["lru-cache"] },
  "@proj/observability": { imports: floor, dependencies: [] },
  "@proj/cli": { imports: floor, dependencies: [] },

  // L2
  "@proj/http3": { imports: floor, dependencies: ["asn1js", "pkijs"], optional: ["@currentspace/http3"] },
  "@proj/agent": { imports: [...floor, "@proj/resilience"], dependencies: ["@ai-sdk/provider"] },

  // L3
  "@proj/kit": { imports: "everything", dependencies: [] },
};
