// Finds the types that a public signature names.
import ts from "typescript";

export interface NamedType {
  readonly symbol: ts.Symbol;
  readonly name: string;
}

/** The types that users of a declaration meet: in parameters, results, members and bounds, not in bodies or private parts. */
export function typesNamedIn(checker: ts.TypeChecker, declaration: ts.Declaration): NamedType[] {
  const found: NamedType[] = [];
  const add = (name: ts.Node) => {
    const local = checker.getSymbolAtLocation(name);
    if (!local || local.flags & ts.SymbolFlags.TypeParameter) return;
    const symbol = local.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(local) : local;
    found.push({ symbol: checker.getExportSymbolOfSymbol(symbol), name: name.getText() });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isBlock(node) || ts.isExpression(node) || (ts.isClassElement(node) && !isPublicMember(node))) return;
    // What a class inherits is its own affair; what an interface extends is part of it.
    if (ts.isHeritageClause(node) && ts.isClassDeclaration(node.parent)) return;
    if (ts.isHeritageClause(node)) for (const { expression } of node.types) add(expression);
    if (ts.isTypeReferenceNode(node)) add(node.typeName);
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(declaration, visit);
  return found;
}

export function isPublicMember(member: ts.ClassElement): boolean {
  if (member.name && ts.isPrivateIdentifier(member.name)) return false;
  return !(ts.getCombinedModifierFlags(member) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected));
}
