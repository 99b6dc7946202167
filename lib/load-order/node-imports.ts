/**
 * The modules that a JavaScript source names by literals: `require('…')`, and
 * `from '…'` or `import '…'` at the start of a line, where those statements stand.
 * Found as text: what is in a comment line is passed over, and a `require` within a
 * function is taken for one that will be called. Dynamic imports are not.
 */

/** One module by its specifier, and the condition under which packages export it for that kind of import. */
export interface NodeImport {
  readonly specifier: string;
  readonly condition: 'require' | 'import';
}

const REQUIRE = /(?<![\w$.])require\(\s?['"]([^'"\n]{1,500})['"]\s?\)/g;
const FROM = /(?:^|[\s}*])from\s?['"]([^'"\n]{1,500})['"]/;
const BARE = /^import\s?['"]([^'"\n]{1,500})['"]/;
/** What the names between `import` and `from` do not have: the statement is another one, or ended. */
const NO_NAMES = /[;()'"=]/;

export function nodeImports(source: string): NodeImport[] {
  const imports: NodeImport[] = [];
  let isStatement = false;
  for (const line of source.split('\n')) {
    const start = line.trimStart();
    if (start.includes('require(') && !start.startsWith('//') && !start.startsWith('*')) {
      for (const [, specifier = ''] of start.matchAll(REQUIRE))
        imports.push({ specifier, condition: 'require' });
    }
    if (/^(?:import|export)\b/.test(line)) isStatement = true;
    if (!isStatement) continue;
    const specifier = (BARE.exec(line) ?? FROM.exec(line))?.[1];
    if (specifier !== undefined) imports.push({ specifier, condition: 'import' });
    if (specifier !== undefined || NO_NAMES.test(line)) isStatement = false;
  }
  return imports;
}
