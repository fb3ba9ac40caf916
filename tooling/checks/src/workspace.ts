// What every check looks at: the packages of the workspace, their manifests and their files.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";

/** A place in a file and what to do about it. `file` is relative to the root of the workspace. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** What a check found. Notes tell what it could not look at on this machine; they do not fail it. */
export interface Findings {
  readonly problems: readonly Problem[];
  readonly notes?: readonly Problem[];
}

export type Check = (workspace: Workspace) => Findings | Promise<Findings>;

/** The targets of one key of `exports`: a path, or a path for each condition. */
export type ExportTarget = string | Readonly<Record<string, string>>;

export interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, ExportTarget>>;
  readonly publishConfig?: { readonly exports?: Readonly<Record<string, ExportTarget>> };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export const dependencyKinds = [
  "dependencies",
  "devDependencies",
  "peerDependencies",
  "optionalDependencies",
] as const satisfies readonly (keyof Manifest)[];

export type Group = "packages" | "apps" | "tooling";

export interface Package {
  readonly name: string;
  readonly group: Group;
  /** Absolute path. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly manifestText: string;
  /** Absolute paths of everything in the folder that is not built, installed or stored by a run. */
  readonly files: readonly string[];
}

export interface Workspace {
  readonly root: string;
  readonly manifest: Manifest;
  readonly packages: readonly Package[];
}

export function readWorkspace(root: string): Workspace {
  const groups: readonly Group[] = ["packages", "apps", "tooling"];
  const packages = groups.flatMap((group) => {
    const parent = join(root, group);
    if (!existsSync(parent)) return [];
    return readdirSync(parent)
      .sort()
      .map((name) => join(parent, name))
      .filter((folder) => existsSync(join(folder, "package.json")))
      .map((folder) => readPackage(group, folder));
  });
  return { root, manifest: readManifest(root).manifest, packages };
}

function readPackage(group: Group, folder: string): Package {
  const { manifest, manifestText } = readManifest(folder);
  return { name: manifest.name, group, folder, manifest, manifestText, files: listFiles(folder) };
}

function readManifest(folder: string): { manifest: Manifest; manifestText: string } {
  const manifestText = readFileSync(join(folder, "package.json"), "utf8");
  return { manifest: JSON.parse(manifestText) as Manifest, manifestText };
}

// Installed, built or stored by a run. Folders with a dot are tools' own, but for these few.
const leftOut = new Set(["node_modules", "dist", "coverage", "bench-results"]);
const dotFolders = new Set([".github", ".ci", ".changeset"]);

/** Absolute paths of the files below `folder` that people write, in a stable order. */
export function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isFile()) return [path];
      if (!entry.isDirectory() || leftOut.has(entry.name)) return [];
      if (entry.name === "data" && existsSync(join(folder, "package.json"))) return []; // what an app stores
      return entry.name.startsWith(".") && !dotFolders.has(entry.name) ? [] : listFiles(path);
    });
}

export function isSource(file: string): boolean {
  return /\.(ts|mts|cts|tsx|js|mjs|cjs)$/.test(file) && !/\.d\.[mc]?ts$/.test(file);
}

/** Whether users of the package run this file: in `src` and not a test. */
export function isShipped({ folder }: Package, file: string): boolean {
  return relative(folder, file).startsWith("src/") && isSource(file) && !/\.test(-d)?\.ts$/.test(file);
}

/** The public entries of a package: the source files directly in `src`. */
export function entriesOf(pkg: Package): string[] {
  return pkg.files.filter((file) => /^src\/[^/]+\.ts$/.test(relative(pkg.folder, file)) && isShipped(pkg, file));
}

/** The key of `exports` that an entry file answers to. */
export function subpathOf(entry: string): string {
  const name = basename(entry, ".ts");
  return name === "index" ? "." : `./${name}`;
}

export function publicPackages({ packages }: Workspace): Package[] {
  return packages.filter(({ group, manifest }) => group === "packages" && manifest.private !== true);
}

/** A problem in a manifest, at the first line that contains `"text"` in quotes. */
export function manifestProblem(workspace: Workspace, pkg: Package, text: string, message: string): Problem {
  const at = pkg.manifestText.split("\n").findIndex((line) => line.includes(`"${text}"`));
  return { file: relative(workspace.root, join(pkg.folder, "package.json")), line: Math.max(at, 0) + 1, message };
}
