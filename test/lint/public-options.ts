/**
 * Which calls of the public API take options, by the compiler's types: the last
 * parameter is an object of which every property may be missing.
 */
import path from 'node:path';
import ts from 'typescript';
import { ROOT } from './library.js';

/** `openImage`, `HttpSource.open`, `new SpanReader`, `Image#readFile`: as many as there are, sorted. */
export function callsWithOptions(): string[] {
  const entry = path.join(ROOT, 'lib/index.ts');
  const config = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, ROOT);
  const program = ts.createProgram([entry], options);
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(entry);
  const module = file && checker.getSymbolAtLocation(file);
  if (!module) throw new Error('lib/index.ts is not in the program');

  const found = new Set<string>();
  const look = (name: string, signatures: readonly ts.Signature[]): void => {
    if (signatures.some(signature => takesOptions(checker, signature))) found.add(name);
  };
  const methods = (prefix: string, type: ts.Type): void => {
    for (const member of type.getProperties()) {
      if (!/^[a-z]\w*$/.test(member.name) || isHidden(member)) continue;
      look(`${prefix}${member.name}`, checker.getTypeOfSymbol(member).getCallSignatures());
    }
  };
  for (const exported of checker.getExportsOfModule(module)) {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    if (symbol.flags & ts.SymbolFlags.Function) {
      look(exported.name, checker.getTypeOfSymbol(symbol).getCallSignatures());
    } else if (symbol.flags & ts.SymbolFlags.Class) {
      const constructors = checker.getTypeOfSymbol(symbol).getConstructSignatures();
      look(
        `new ${exported.name}`,
        constructors.filter(({ declaration }) => declaration && !isHiddenNode(declaration)),
      );
      methods(`${exported.name}.`, checker.getTypeOfSymbol(symbol));
      methods(`${exported.name}#`, checker.getDeclaredTypeOfSymbol(symbol));
    }
  }
  return [...found].sort();
}

function takesOptions(checker: ts.TypeChecker, signature: ts.Signature): boolean {
  const last = signature.parameters.at(-1);
  if (!last) return false;
  return parts(checker.getNonNullableType(checker.getTypeOfSymbol(last))).some(type => {
    const object = type.flags & ts.TypeFlags.TypeParameter ? (type.getConstraint() ?? type) : type;
    if (!(object.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection))) return false;
    const properties = object.getProperties();
    const optional = properties.every(property => (property.flags & ts.SymbolFlags.Optional) !== 0);
    return properties.length > 0 && optional && object.getCallSignatures().length === 0;
  });
}

const parts = (type: ts.Type): readonly ts.Type[] => (type.isUnion() ? type.types : [type]);

const isHidden = (symbol: ts.Symbol): boolean => symbol.declarations?.some(isHiddenNode) ?? false;

function isHiddenNode(node: ts.Declaration): boolean {
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  if ((ts.getCombinedModifierFlags(node) & hidden) !== 0) return true;
  return ts.getJSDocTags(node).some(tag => tag.tagName.text === 'internal');
}
