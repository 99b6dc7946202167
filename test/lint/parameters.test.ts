/**
 * What a call looks like to who reads it: no parameter that is a bare boolean
 * (`find(path, true)` does not say what is true), no list of more than five.
 */
import t from 'tap';
import ts from 'typescript';
import { nodesOf, parseFile, parseText, sourceFiles, whereIs } from './library.js';

const MOST_PARAMETERS = 5;

/** Functions that still break the rule: none may be added, and each goes when its file is mended. */
const STILL: readonly string[] = [
  'lib/registry/blob-upload.ts: constructor',
  'lib/registry/referrers.ts: listReferrers',
  'lib/ztoc/verify.ts: mismatch',
];

function nameOf(node: ts.SignatureDeclaration): string {
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  const { name } = node;
  if (name) return name.getText();
  return 'name' in node.parent && node.parent.name ? (node.parent.name as ts.Node).getText() : 'function';
}

function isBoolean({ type, initializer }: ts.ParameterDeclaration): boolean {
  const kinds = type && ts.isUnionTypeNode(type) ? type.types.map(part => part.kind) : [type?.kind];
  if (kinds.includes(ts.SyntaxKind.BooleanKeyword)) return true;
  return initializer?.kind === ts.SyntaxKind.TrueKeyword || initializer?.kind === ts.SyntaxKind.FalseKeyword;
}

function offences(file: ts.SourceFile): { name: string; text: string }[] {
  const found: { name: string; text: string }[] = [];
  for (const node of nodesOf(file)) {
    if (!ts.isFunctionLike(node)) continue;
    const name = `${file.fileName}: ${nameOf(node)}`;
    if (node.parameters.length > MOST_PARAMETERS) {
      found.push({ name, text: `${whereIs(node)} has ${node.parameters.length} parameters` });
    }
    for (const parameter of node.parameters.filter(isBoolean)) {
      found.push({ name, text: `${whereIs(parameter)} is a boolean: ${parameter.getText()}` });
    }
  }
  return found;
}

t.test('calls can be read: no bare booleans, few parameters', async t => {
  const found = sourceFiles('lib').flatMap(name => offences(parseFile(name)));
  t.strictSame(
    found.filter(({ name }) => !STILL.includes(name)).map(({ text }) => text),
    [],
  );
  const names = new Set(found.map(({ name }) => name));
  t.strictSame(
    STILL.filter(name => !names.has(name)),
    [],
    'what is mended is struck off',
  );
});

t.test('the rule bites, and not too much', async t => {
  const text = `
    function badType(path: string, follow: boolean) {}
    const badArrow = (follow?: boolean) => follow;
    class X { badDefault(follow = true) {} }
    interface Y { badMethod(a: 1, follow: boolean | undefined): void }
    function badLong(a: 1, b: 1, c: 1, d: 1, e: 1, f: 1) {}
    function goodOptions({ follow = true }: { follow?: boolean }, a: 1, b: 1, c: 1, d: 1): boolean { return follow; }
    const goodArrow = (item: string): item is 'x' => item === 'x';
  `;
  t.strictSame(
    offences(parseText('x.ts', text)).map(({ name }) => name),
    ['badType', 'badArrow', 'badDefault', 'badMethod', 'badLong'].map(name => `x.ts: ${name}`),
  );
});
