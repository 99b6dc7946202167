/**
 * TypeScript of all pages is compiled as a user's would be: strictly, against the types of the public API. What a
 * snippet neither imports nor makes itself is in snippet-context.d.ts.
 */
import path from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { ROOT } from '../lint/library.js';
import { type Block, blocksOf, PAGES } from './pages.js';

const CONTEXT = path.join(ROOT, 'test/docs/snippet-context.d.ts');

interface Snippet {
  /** Beside the sources, so that their modules are found. */
  readonly file: string;
  readonly where: string;
  readonly text: string;
}

function snippetOf({ page, line, text }: Block): Snippet {
  const file = path.join(ROOT, `test/docs/snippet-${page.replace(/\W/g, '-')}-${line}.ts`);
  // Each is a module of its own.
  return { file, where: `${page}:${line}`, text: `${text}\nexport {};\n` };
}

/** The sources of a package of packages/, by the name that it is imported with. */
function packagePaths(): Record<string, string[]> {
  const folders = PAGES.filter(page => page.startsWith('packages/')).map(page => path.dirname(page));
  return Object.fromEntries(
    folders.map(folder => [
      `@seekable-oci/${path.basename(folder)}`,
      [path.join(ROOT, folder, 'src/index.ts')],
    ]),
  );
}

/** The messages of the compiler for each snippet, by where it stands. */
function faultsOf(snippets: readonly Snippet[]): Map<string, string[]> {
  const { config } = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options: ours } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const options: ts.CompilerOptions = {
    ...ours,
    noEmit: true,
    noUnusedLocals: false,
    paths: {
      'seekable-oci': [path.join(ROOT, 'lib/index.ts')],
      'seekable-oci/testing': [path.join(ROOT, 'lib/testing/testing.ts')],
      ...packagePaths(),
    },
  };
  const texts = new Map(snippets.map(({ file, text }) => [file, text]));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = file => texts.has(file) || fileExists(file);
  host.readFile = file => texts.get(file) ?? readFile(file);
  host.getSourceFile = (file, ...rest) => {
    const text = texts.get(file);
    return text === undefined ? getSourceFile(file, ...rest) : ts.createSourceFile(file, text, rest[0]);
  };
  const program = ts.createProgram([CONTEXT, ...texts.keys()], options, host);
  const faults = new Map<string, string[]>();
  for (const { file, where } of snippets) {
    const found = ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
    faults.set(
      where,
      found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' ')),
    );
  }
  return faults;
}

const BLOCKS = PAGES.flatMap(blocksOf);

t.test('code is in languages that are checked', async t => {
  const checked = ['', 'ts', 'sh', 'console', 'json', 'toml'];
  t.same(
    BLOCKS.filter(({ language }) => !checked.includes(language)),
    [],
  );
});

/** What the check itself is held against. */
const FAULTY = snippetOf({
  page: 'none.md',
  line: 1,
  language: 'ts',
  text: "import { openImage } from 'seekable-oci';\nawait openImage('app', { plattform: 'linux/arm64' });\n",
});

t.test('every snippet compiles, and one that has a fault does not', async t => {
  const snippets = BLOCKS.filter(({ language }) => language === 'ts').map(snippetOf);
  t.ok(snippets.length >= 12, `${snippets.length} snippets`);
  // One program: most of the time goes into the types of Node.js.
  const faults = faultsOf([...snippets, FAULTY]);
  t.match(faults.get(FAULTY.where), [/plattform/]);
  for (const { where } of snippets) t.same(faults.get(where), [], where);
});
