/**
 * The sources that the rules of this folder look at: the files of lib/ (or of
 * another folder) as syntax trees, and what stands in them. The compiler's own
 * parser: what the rules see is what tsc sees.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

/** Compiled tests run from .test-build/test/lint. */
export const ROOT = path.join(import.meta.dirname, '../../..');

/** The TypeScript files below a folder of the repository, by their path in it, sorted. */
export function sourceFiles(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.split(path.sep).includes('node_modules'))
    .map(name => path.posix.join(folder, name.split(path.sep).join('/')))
    .sort();
}

export function parseText(name: string, text: string): ts.SourceFile {
  return ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
}

export function parseFile(name: string): ts.SourceFile {
  return parseText(name, readFileSync(path.join(ROOT, name), 'utf8'));
}

/** Every node below `root`, itself first. */
export function* nodesOf(root: ts.Node): Generator<ts.Node> {
  yield root;
  const children: ts.Node[] = [];
  ts.forEachChild(root, child => {
    children.push(child);
  });
  for (const child of children) yield* nodesOf(child);
}

/** What a file imports or exports from, statically, dynamically or as a type. */
export function specifiersOf(file: ts.SourceFile): string[] {
  const found: string[] = [];
  for (const node of nodesOf(file)) {
    let specifier: ts.Node | undefined;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      specifier = node.moduleSpecifier;
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      specifier = node.arguments[0];
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      specifier = node.argument.literal;
    }
    if (specifier && ts.isStringLiteralLike(specifier)) found.push(specifier.text);
  }
  return found;
}

/** `lib/span/plan.ts:17`, for messages. */
export function whereIs(node: ts.Node): string {
  const file = node.getSourceFile();
  return `${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}
