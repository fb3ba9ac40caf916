// Proves that packages import only downwards: every import of every file and every manifest against the table of graph.ts.
import { builtinModules } from "node:module";
import { dirname, relative, resolve, sep } from "node:path";
import ts from "typescript";
import { cyclesIn } from "./cycles.ts";
import { graph, type Row } from "./graph.ts";
import { type Import, importsOf, lineOf, parse } from "./imports.ts";
import {
  dependencyKinds,
  entriesOf,
  type Findings,
  isShipped,
  isSource,
  type Manifest,
  manifestProblem,
  type Package,
  type Problem,
  type Workspace,
} from "./workspace.ts";

export function boundaries(workspace: Workspace): Findings {
  return {
    problems: [
      ...workspace.packages.flatMap((pkg) => manifestProblems(workspace, pkg)),
      ...workspace.packages.flatMap((pkg) => sourceProblems(workspace, pkg)),
      ...chainProblems(workspace),
    ],
  };
}

function manifestProblems(workspace: Workspace, pkg: Package): Problem[] {
  const row = graph[pkg.name];
  if (pkg.group === "packages" && !row) {
    return [
      manifestProblem(workspace, pkg, pkg.name, `${pkg.name} has no row in tooling/checks/src/graph.ts: add one`),
    ];
  }
  return dependencyKinds.flatMap((kind) =>
    Object.keys(pkg.manifest[kind] ?? {}).flatMap((name) => {
      const message = edgeProblem(workspace, pkg, name, kind !== "devDependencies") ?? allowance(pkg, row, kind, name);
      return message === undefined ? [] : [manifestProblem(workspace, pkg, name, `${kind}: ${message}`)];
    }),
  );
}

/** Why `pkg` must not know the workspace's package `name`; `shipped` when its users would load it. */
function edgeProblem(workspace: Workspace, pkg: Package, name: string, shipped: boolean): string | undefined {
  const target = workspace.packages.find((other) => other.name === name);
  if (!target || target === pkg || pkg.group === "tooling") return undefined;
  if (target.group === "tooling") {
    return shipped ? `${pkg.name} → ${name}: tooling is private, use it in tests and benches only` : undefined;
  }
  const row = graph[pkg.name];
  if (!row || row.imports === "everything" || row.imports.includes(name)) return undefined;
  const allowed = row.imports.length === 0 ? "nothing but node:" : `only ${row.imports.join(", ")}`;
  return `${pkg.name} → ${name}: may import ${allowed}; declare the smallest interface that you call instead`;
}

/** Third-party packages that users would install need a place in the table. */
function allowance(pkg: Package, row: Row | undefined, kind: keyof Manifest, name: string): string | undefined {
  if (!row || kind === "devDependencies" || name.startsWith("@proj/")) return undefined;
  const optional = kind === "optionalDependencies" || pkg.manifest.peerDependenciesMeta?.[name]?.optional === true;
  if (row.dependencies.includes(name) || (optional && row.optional?.includes(name))) return undefined;
  if (row.optional?.includes(name))
    return `${name} must stay optional: move it to optionalDependencies or an optional peer`;
  return `${name} is not allowed for ${pkg.name}: remove it, or record the decision and add it to tooling/checks/src/graph.ts`;
}

function sourceProblems(workspace: Workspace, pkg: Package): Problem[] {
  const links = new Map<string, string[]>();
  const problems: Problem[] = [];
  for (const file of pkg.files.filter(isSource)) {
    const source = parse(file);
    const report = (line: number, message: string) =>
      problems.push({ file: relative(workspace.root, file), line, message });
    const local: string[] = [];
    for (const found of importsOf(source)) {
      const message = importProblem(workspace, pkg, file, found);
      if (message !== undefined) report(found.line, message);
      // Types that know each other are harmless: nothing is loaded in the wrong order.
      if (found.specifier.startsWith(".") && !found.typeOnly) local.push(resolve(dirname(file), found.specifier));
    }
    links.set(file, local);
    if (pkg.group === "packages" && entriesOf(pkg).includes(file)) {
      for (const statement of source.statements.filter((each) => !isNamedReExport(each))) {
        report(lineOf(source, statement), "an entry holds named re-exports only: move this to src/lib");
      }
    }
  }
  for (const cycle of cyclesIn(links)) {
    const path = cycle.map((file) => relative(pkg.folder, file)).join(" → ");
    const file = relative(workspace.root, cycle[0] ?? pkg.folder);
    problems.push({
      file,
      line: 1,
      message: `files import each other in a circle: ${path}; move what they share below both`,
    });
  }
  return problems;
}

function importProblem(workspace: Workspace, pkg: Package, file: string, found: Import): string | undefined {
  const { specifier } = found;
  if (specifier.startsWith("node:") || specifier.startsWith("data:")) return undefined;
  if (specifier.startsWith("#")) return `"${specifier}": subpath imports are not used here, write a relative path`;
  if (specifier.startsWith(".") || specifier.startsWith("/")) return relativeProblem(pkg, file, specifier);
  const name = packageName(specifier);
  if (builtinModules.includes(name)) return `"${specifier}": write "node:${specifier}"`;

  const shipped = isShipped(pkg, file);
  const target = workspace.packages.find((other) => other.name === name);
  if (!target) return thirdPartyProblem(workspace, pkg, name, shipped);
  if (target === pkg && shipped) return `"${specifier}": import your own package by a relative path`;
  const message = edgeProblem(workspace, pkg, name, shipped);
  if (message !== undefined) return message;
  if (target !== pkg && !declared(pkg.manifest, shipped).includes(name)) {
    return `"${name}" is not declared in package.json: add "${name}": "workspace:^" to ${shipped ? "dependencies" : "devDependencies"}`;
  }
  const subpath = `.${specifier.slice(name.length)}`;
  if (target.manifest.exports?.[subpath] === undefined) {
    const known = Object.keys(target.manifest.exports ?? {}).join(", ") || "none";
    return `"${specifier}" is not a declared subpath of ${name} (${known})`;
  }
  if (found.kind === "re-export" && pkg.group === "packages" && graph[pkg.name]?.imports !== "everything") {
    return `do not re-export from ${name}: its users import it from where it lives`;
  }
  return undefined;
}

function relativeProblem(pkg: Package, file: string, specifier: string): string | undefined {
  const target = resolve(dirname(file), specifier);
  if (!target.startsWith(pkg.folder + sep))
    return `"${specifier}" leaves the package: import the other package by name`;
  return /\.[a-z]+$/.test(specifier) ? undefined : `"${specifier}": write the file's extension`;
}

function thirdPartyProblem(workspace: Workspace, pkg: Package, name: string, shipped: boolean): string | undefined {
  const known = declared(pkg.manifest, shipped);
  // Tests and tools may also use what the root installs for everybody: vitest, fast-check, typescript.
  if (!shipped || pkg.group === "tooling") known.push(...declared(workspace.manifest, false));
  if (known.includes(name)) return undefined;
  if (shipped && pkg.group !== "tooling" && declared(pkg.manifest, false).includes(name)) {
    return `"${name}" is only a devDependency: users do not have it`;
  }
  return `"${name}" is not declared in package.json: declare it or do without it`;
}

function declared(manifest: Manifest, shipped: boolean): string[] {
  return dependencyKinds
    .filter((kind) => !shipped || kind !== "devDependencies")
    .flatMap((kind) => Object.keys(manifest[kind] ?? {}));
}

function packageName(specifier: string): string {
  const [scope = "", name] = specifier.split("/");
  return scope.startsWith("@") && name !== undefined ? `${scope}/${name}` : scope;
}

function isNamedReExport(statement: ts.Statement): boolean {
  if (!ts.isExportDeclaration(statement) || !statement.moduleSpecifier) return false;
  const { exportClause } = statement;
  return (
    exportClause !== undefined &&
    ts.isNamedExports(exportClause) &&
    exportClause.elements.every((element) => element.name.text !== "default")
  );
}

// A path of allowed steps can still lead upwards, through tooling or in a circle: follow the manifests to the end.
function chainProblems(workspace: Workspace): Problem[] {
  const byName = new Map(workspace.packages.map((pkg) => [pkg.name, pkg]));
  const steps = (pkg: Package) =>
    declared(pkg.manifest, false).flatMap((name) => {
      const next = byName.get(name);
      return next && next !== pkg && edgeProblem(workspace, pkg, name, false) === undefined ? [next] : [];
    });
  return workspace.packages.flatMap((start) => {
    const problems: Problem[] = [];
    const seen = new Set<Package>();
    const follow = (path: readonly Package[]) => {
      for (const next of steps(path.at(-1) ?? start)) {
        if (seen.has(next)) continue;
        seen.add(next);
        const chain = [...path, next];
        const illegal =
          next === start || (chain.length > 2 && edgeProblem(workspace, start, next.name, false) !== undefined);
        if (illegal) {
          const names = chain.map(({ name }) => name).join(" → ");
          const why = next === start ? "a circle of packages" : "dependencies lead upwards";
          problems.push(
            manifestProblem(workspace, start, chain[1]?.name ?? start.name, `${names}: ${why}, break this path`),
          );
        } else follow(chain);
      }
    };
    follow([start]);
    return problems;
  });
}
