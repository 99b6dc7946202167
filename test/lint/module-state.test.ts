/**
 * Nothing at module level changes while the process runs, outside of the list
 * below: what is shared by reads belongs to a context that is passed down, so
 * that two of them do not meet, and a test can have its own. The compiler's
 * types decide: `let`, static fields that may be written, and constants whose
 * type has anything to write to, at any depth.
 */
import path from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { nodesOf, ROOT, sourceFiles } from './library.js';

/** What may change, and why it may. */
const ALLOWED: Readonly<Record<string, string>> = {
  'lib/async/abort-listeners.ts: listeningTo':
    'a field of signals that are not ours, which no context outlives',
  'lib/cli/main.ts: interruption': 'the program itself: nothing imports it, and the process ends with it',
  'lib/pinned-memory.ts: pinned': 'a mark on memory that the addon holds, whoever reads into it',
  'lib/registry/layout-index.ts: updates': 'turns at files of this machine, whoever writes them',
  'lib/span/read-context.ts: defaultContext': 'the context of whoever names none',
  'lib/source/http/forbidden-host.ts: LINK_LOCAL':
    'a constant: node:net has no block list that is complete when made',
  'lib/source/http/forbidden-host.ts: LOOPBACK':
    'a constant: node:net has no block list that is complete when made',
};

/** What still changes: none may be added, and each goes with the code that it is about. */
const STILL_MUTABLE: readonly string[] = [];

/** Classes of the platform whose instances show no change to who did not make it. */
const INERT = new Set(['RegExp', 'TextDecoder', 'TextEncoder', 'Channel', 'Require']);

const READ_ONLY_COLLECTIONS = new Set(['ReadonlyMap', 'ReadonlySet', 'ReadonlyArray']);

/** What the compiler does not declare: see Mutability. */
const internals = ts as unknown as {
  getCheckFlags(symbol: ts.Symbol): number;
  readonly CheckFlags: { readonly Readonly: number };
};

/** Whether anything of a type can be written to, at any depth; functions and methods are code. */
class Mutability {
  readonly #checker: ts.TypeChecker;
  readonly #known = new Map<ts.Type, boolean>();

  constructor(checker: ts.TypeChecker) {
    this.#checker = checker;
  }

  of(type: ts.Type): boolean {
    const known = this.#known.get(type);
    if (known !== undefined) return known;
    // A type within itself adds nothing to what it has.
    this.#known.set(type, false);
    const mutable = this.#look(type);
    this.#known.set(type, mutable);
    return mutable;
  }

  #look(type: ts.Type): boolean {
    if (type.isUnionOrIntersection()) return type.types.some(part => this.of(part));
    if (type.flags & (ts.TypeFlags.Any | ts.TypeFlags.NonPrimitive)) return true;
    if (!(type.flags & ts.TypeFlags.Object)) return false;
    const checker = this.#checker;
    const name = type.symbol?.name ?? '';
    if (INERT.has(name)) return false;
    if (checker.isTupleType(type) || READ_ONLY_COLLECTIONS.has(name)) {
      if (checker.isTupleType(type) && !(type as ts.TupleTypeReference).target.readonly) return true;
      return checker.getTypeArguments(type as ts.TypeReference).some(argument => this.of(argument));
    }
    if (checker.isArrayType(type)) return true;
    if (type.getStringIndexType() && !this.#readOnlyIndex(type)) return true;
    if (type.getNumberIndexType() && !this.#readOnlyIndex(type)) return true;
    if (this.#collection(name)) return true;
    return type.getProperties().some(property => this.#writable(property));
  }

  #readOnlyIndex(type: ts.Type): boolean {
    return this.#checker.getIndexInfosOfType(type).every(info => info.isReadonly && !this.of(info.type));
  }

  #collection(name: string): boolean {
    return /^(Map|Set|WeakMap|WeakSet|ArrayBuffer|SharedArrayBuffer|DataView|Buffer|.*Array)$/.test(name);
  }

  #writable(property: ts.Symbol): boolean {
    if (property.flags & (ts.SymbolFlags.Method | ts.SymbolFlags.Prototype | ts.SymbolFlags.GetAccessor))
      return false;
    const type = this.#checker.getTypeOfSymbol(property);
    if (type.getCallSignatures().length > 0) return false;
    // Of `as const` and Readonly<T> only the symbol knows, of the rest only the declarations.
    const readOnly =
      (internals.getCheckFlags(property) & internals.CheckFlags.Readonly) !== 0 ||
      property.declarations?.every(
        declaration => ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Readonly,
      );
    return !readOnly || this.of(type);
  }
}

/** `lib/x.ts: name` for everything at module level of a program's files that can change. */
function mutableState(program: ts.Program, names: readonly string[]): string[] {
  const checker = program.getTypeChecker();
  const mutability = new Mutability(checker);
  const found: string[] = [];
  for (const name of names) {
    const file = program.getSourceFile(name);
    if (!file) throw new Error(`${name} is not in the program`);
    for (const statement of file.statements) {
      if (ts.isVariableStatement(statement)) {
        const constant = (statement.declarationList.flags & ts.NodeFlags.Const) !== 0;
        for (const variable of statement.declarationList.declarations.flatMap(({ name }) => namesIn(name))) {
          const type = checker.getTypeAtLocation(variable);
          const constantBytes = isBytes(type) && CONSTANT_CASE.test(variable.text);
          if (!constant || (mutability.of(type) && !constantBytes)) {
            found.push(`${shown(name)}: ${variable.text}`);
          }
        }
      }
      for (const node of nodesOf(statement)) {
        if (!ts.isPropertyDeclaration(node) || !node.modifiers?.some(isStatic)) continue;
        const readOnly = (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Readonly) !== 0;
        if (!readOnly || mutability.of(checker.getTypeAtLocation(node))) {
          const owner = node.parent.name?.getText() ?? 'class';
          found.push(`${shown(name)}: ${owner}.${node.name.getText()}`);
        }
      }
    }
  }
  return found;
}

const isStatic = (modifier: ts.ModifierLike) => modifier.kind === ts.SyntaxKind.StaticKeyword;
const shown = (file: string) => path.relative(ROOT, file).split(path.sep).join('/');

/** JavaScript has no bytes that cannot be written to: the capitals of their name are the promise. */
const CONSTANT_CASE = /^[A-Z][A-Z0-9_]*$/;
const isBytes = (type: ts.Type) => /^(Uint8Array|Buffer)$/.test(type.symbol?.name ?? '');

function namesIn(name: ts.BindingName): ts.Identifier[] {
  if (ts.isIdentifier(name)) return [name];
  return name.elements.flatMap(element => (ts.isBindingElement(element) ? namesIn(element.name) : []));
}

/** One constant or class per line: what changes is called `bad…`, the rest `good…`. */
const PROBE = `
  export let badLet = 1;
  export const badMap = new Map<string, number>();
  export const badArray = [1, 2];
  export const badObject = { count: 0 };
  export const badDeep: { readonly a: { readonly list: number[] } } = { a: { list: [] } };
  export const badRecord: Record<string, number> = {};
  export const badTuple: readonly [Set<number>] = [new Set()];
  export const badBytes = new Uint8Array(1);
  export const badInstance = new (class { #count = 0; next() { return ++this.#count; } })();
  export const badUnion: Map<string, string> | undefined = undefined as Map<string, string> | undefined;
  export class BadStatic { static badCount = 0; static readonly goodName = 'x'; }
  export const goodNumber = 1;
  export const goodTuple = ['a', 'b'] as const;
  export const goodSet: ReadonlySet<string> = new Set(['a']);
  export const goodMap: ReadonlyMap<string, readonly string[]> = new Map();
  export const goodObject: Readonly<Record<string, { readonly a: number }>> = {};
  export const goodPattern = /x/;
  export const goodFunction = (list: number[]) => list.length;
  export const GOOD_BYTES = new Uint8Array(1);
  export const { length: goodLength } = 'text';
  export const goodInstance = new (class { readonly #size = 1; get size() { return this.#size; } })();
`;

t.test('nothing at module level of lib/ changes', async t => {
  const names = sourceFiles('lib').map(name => path.join(ROOT, name));
  const probe = path.join(t.testdir({ 'probe.ts': PROBE }), 'probe.ts');
  const config = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, ROOT);
  const program = ts.createProgram([...names, probe], options);

  const bad = mutableState(program, [probe]).map(text => text.replace(/.*[ .]/, ''));
  const expected = [...PROBE.matchAll(/\bbad\w+/g)].map(match => match[0]);
  t.strictSame(bad, expected, 'the rule bites, and not too much');

  const found = mutableState(program, names);
  t.strictSame(
    found.filter(each => !STILL_MUTABLE.includes(each) && !(each in ALLOWED)),
    [],
    'state belongs to a context',
  );
  const listed = [...STILL_MUTABLE, ...Object.keys(ALLOWED)];
  t.strictSame(
    listed.filter(each => !found.includes(each)),
    [],
    'what no longer changes is struck off',
  );
});
