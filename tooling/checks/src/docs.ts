// Proves that each public export of each package is documented: what it promises, its options, and an example to run.
import { dirname, join, relative } from "node:path";
import ts from "typescript";
import { isPublicMember, typesNamedIn } from "./signatures.ts";
import { entriesOf, type Findings, type Package, type Problem, publicPackages, type Workspace } from "./workspace.ts";

export function docs(workspace: Workspace): Findings {
  const packages = publicPackages(workspace);
  const program = ts.createProgram(packages.flatMap(entriesOf), compilerOptions());
  const checker = program.getTypeChecker();
  const problems: Problem[] = [];

  for (const pkg of packages) {
    const gaps = packageGaps(program, checker, pkg);
    for (const { declaration, message } of gaps) {
      const source = declaration.getSourceFile();
      const place = ts.getNameOfDeclaration(declaration) ?? declaration;
      const line = source.getLineAndCharacterOfPosition(place.getStart(source)).line + 1;
      problems.push({ file: relative(workspace.root, source.fileName), line, message });
    }
  }
  return { problems };
}

interface Gap {
  readonly declaration: ts.Declaration;
  readonly message: string;
}

function packageGaps(program: ts.Program, checker: ts.TypeChecker, pkg: Package): Gap[] {
  const exported = new Map<ts.Symbol, string>();
  for (const entry of entriesOf(pkg)) {
    const source = program.getSourceFile(entry);
    const module = source && checker.getSymbolAtLocation(source);
    for (const symbol of module ? checker.getExportsOfModule(module) : []) {
      exported.set(symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol, symbol.name);
    }
  }
  return [...exported].flatMap(([symbol, name]) => [
    ...exportGaps(checker, symbol, name, pkg),
    ...hiddenTypes(checker, symbol, name, pkg, exported),
  ]);
}

// A type that users meet but cannot name is not documented for them either. What an alias is computed from may hide.
function hiddenTypes(
  checker: ts.TypeChecker,
  symbol: ts.Symbol,
  name: string,
  pkg: Package,
  exported: ReadonlyMap<ts.Symbol, string>,
): Gap[] {
  const declarations = ownDeclarations(symbol, pkg).filter((declaration) => !ts.isTypeAliasDeclaration(declaration));
  const named = declarations.flatMap((declaration) =>
    typesNamedIn(checker, declaration)
      .filter((type) => !exported.has(type.symbol) && ownDeclarations(type.symbol, pkg).length > 0)
      .map((type) => ({
        declaration,
        message: `${name} shows the type ${type.name}, which no entry exports: export it`,
      })),
  );
  return [...new Map(named.map((gap) => [gap.message, gap])).values()];
}

function exportGaps(checker: ts.TypeChecker, symbol: ts.Symbol, name: string, pkg: Package): Gap[] {
  const declarations = ownDeclarations(symbol, pkg);
  const [declaration] = declarations;
  if (!declaration) return []; // it belongs to somebody else, and so do its docs
  const gaps: Gap[] = [];
  if (!isDocumented(checker, symbol)) {
    gaps.push({ declaration, message: `${name} has no doc comment: say what it promises` });
  }
  if (needsExample(checker, symbol) && !hasExample(symbol)) {
    gaps.push({ declaration, message: `${name} has no example: add @example with a \`\`\`ts block that runs` });
  }
  for (const member of membersOf(checker, symbol, declarations)) {
    const [own] = ownDeclarations(member, pkg);
    if (own && !isDocumented(checker, member) && !isPlatformMember(checker, own)) {
      const message = `${name}.${memberName(checker, member)} has no doc comment: say what it means, its unit and its default`;
      gaps.push({ declaration: own, message });
    }
  }
  return gaps;
}

function ownDeclarations(symbol: ts.Symbol, pkg: Package): readonly ts.Declaration[] {
  const source = join(pkg.folder, "src/");
  return (symbol.declarations ?? []).filter((declaration) => declaration.getSourceFile().fileName.startsWith(source));
}

function isDocumented(checker: ts.TypeChecker, symbol: ts.Symbol): boolean {
  // The checker also finds the comment of the member that this one overrides or implements.
  return ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim() !== "";
}

function needsExample(checker: ts.TypeChecker, symbol: ts.Symbol): boolean {
  // What throws an error shows how to meet it.
  if (symbol.flags & ts.SymbolFlags.Class) return !isError(checker, checker.getDeclaredTypeOfSymbol(symbol));
  if (symbol.flags & ts.SymbolFlags.Function) return true;
  return (
    Boolean(symbol.flags & ts.SymbolFlags.Variable) && checker.getTypeOfSymbol(symbol).getCallSignatures().length > 0
  );
}

function hasExample(symbol: ts.Symbol): boolean {
  return symbol
    .getJsDocTags()
    .some(({ name, text }) => name === "example" && ts.displayPartsToString(text).includes("```ts\n"));
}

// The members that users see: of interfaces and object types, of classes but for what is private or merely
// repeats the platform's contract, and of objects that group functions.
function membersOf(checker: ts.TypeChecker, symbol: ts.Symbol, declarations: readonly ts.Declaration[]): ts.Symbol[] {
  const members = declarations.flatMap((declaration): (ts.TypeElement | ts.ClassElement)[] => {
    if (ts.isInterfaceDeclaration(declaration)) return [...declaration.members];
    if (ts.isClassDeclaration(declaration))
      return declaration.members.filter((member) => !ts.isConstructorDeclaration(member) && isPublicMember(member));
    if (ts.isTypeAliasDeclaration(declaration) && ts.isTypeLiteralNode(declaration.type))
      return [...declaration.type.members];
    return [];
  });
  const symbols = members.flatMap((member) => (member.name && checker.getSymbolAtLocation(member.name)) ?? []);
  const grouped =
    symbol.flags & ts.SymbolFlags.Variable ? checker.getPropertiesOfType(checker.getTypeOfSymbol(symbol)) : [];
  return [...new Set([...symbols, ...grouped])].filter((member) => {
    const name = memberName(checker, member);
    if (name.startsWith("[")) return false; // [Symbol.dispose] and its like
    return !((name === "name" || name === "code") && isErrorMember(checker, member));
  });
}

function isErrorMember(checker: ts.TypeChecker, member: ts.Symbol): boolean {
  const parent = member.declarations?.[0]?.parent;
  return parent !== undefined && ts.isClassDeclaration(parent) && isError(checker, checker.getTypeAtLocation(parent));
}

// A class that implements an interface of the platform need not explain it again.
function isPlatformMember(checker: ts.TypeChecker, member: ts.Declaration): boolean {
  const { parent } = member;
  if (!ts.isClassDeclaration(parent)) return false;
  const name = ts.getNameOfDeclaration(member)?.getText() ?? "";
  return (parent.heritageClauses ?? [])
    .flatMap(({ types }) => types.map((type) => checker.getTypeAtLocation(type).getProperty(name)))
    .some((found) => found?.declarations?.some((each) => each.getSourceFile().isDeclarationFile));
}

function isError(checker: ts.TypeChecker, type: ts.Type): boolean {
  return (
    type.symbol?.name === "Error" ||
    (type.isClassOrInterface() && checker.getBaseTypes(type).some((base) => isError(checker, base)))
  );
}

function memberName(checker: ts.TypeChecker, member: ts.Symbol): string {
  const name = member.declarations?.[0] && ts.getNameOfDeclaration(member.declarations[0]);
  return name && ts.isComputedPropertyName(name) ? name.getText() : checker.symbolToString(member);
}

function compilerOptions(): ts.CompilerOptions {
  const file = join(import.meta.dirname, "../../tsconfig/base.json");
  const { config } = ts.readConfigFile(file, ts.sys.readFile) as { config: unknown };
  return ts.parseJsonConfigFileContent(config, ts.sys, dirname(file), {}, file).options;
}
