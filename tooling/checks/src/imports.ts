// Reads the imports of a source file from its syntax tree.
import { readFileSync } from "node:fs";
import ts from "typescript";

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `re-export` is `export … from`; `dynamic` is `import()`, `import("…")` in a type, `require()` or the like. */
  readonly kind: "import" | "re-export" | "dynamic";
  /** Nothing of it is left at run time. */
  readonly typeOnly: boolean;
}

export function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
}

export function lineOf(source: ts.SourceFile, node: ts.Node): number {
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
}

/** Every module the file names, types included. A computed `import(name)` cannot be known and is left out. */
export function importsOf(source: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (node: ts.Node | undefined, kind: Import["kind"], typeOnly = false) => {
    if (!node || !ts.isStringLiteralLike(node)) return;
    found.push({ specifier: node.text, line: lineOf(source, node), kind, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, "import", isTypeOnly(node));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, "re-export", node.isTypeOnly);
    else if (ts.isExternalModuleReference(node)) add(node.expression, "dynamic");
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, "dynamic", true);
    else if (ts.isCallExpression(node) && loadsModule(node.expression)) add(node.arguments[0], "dynamic");
    else if (ts.isModuleDeclaration(node) && ts.isStringLiteral(node.name)) add(node.name, "dynamic", true);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isTypeOnly({ importClause }: ts.ImportDeclaration): boolean {
  return importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

// import(…), require(…), require.resolve(…), import.meta.resolve(…)
function loadsModule(callee: ts.Expression): boolean {
  if (callee.kind === ts.SyntaxKind.ImportKeyword) return true;
  if (ts.isIdentifier(callee)) return callee.text === "require";
  if (!ts.isPropertyAccessExpression(callee) || callee.name.text !== "resolve") return false;
  return ts.isMetaProperty(callee.expression) || callee.expression.getText() === "require";
}
