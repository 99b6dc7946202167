/** TypeScript of the pages is compiled as a user's would be: strictly, against the types of the public API. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { ROOT } from '../lint/library.js';

/** Pages whose snippets are whole modules. */
const PAGES = ['README.md', 'docs/recipes.md'];

interface Snippet {
  /** Beside the sources, so that their modules are found. */
  readonly file: string;
  readonly where: string;
  readonly text: string;
}

function snippetsOf(page: string): Snippet[] {
  const text = readFileSync(path.join(ROOT, page), 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ index, 1: code = '' }, number) => {
    const where = `${page}:${text.slice(0, index).split('\n').length + 1}`;
    const file = path.join(ROOT, `test/docs/snippet-${page.replace(/\W/g, '-')}-${number}.ts`);
    // Each is a module of its own.
    return { file, where, text: `${code}\nexport {};\n` };
  });
}

t.test('every snippet compiles', t => {
  const snippets = PAGES.flatMap(snippetsOf);
  t.ok(snippets.length >= 4, `${snippets.length} snippets`);
  const { config } = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options: ours } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const options: ts.CompilerOptions = {
    ...ours,
    noEmit: true,
    noUnusedLocals: false,
    paths: { 'seekable-oci': [path.join(ROOT, 'lib/index.ts')] },
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
  const program = ts.createProgram([...texts.keys()], options, host);
  for (const { file, where } of snippets) {
    const source = program.getSourceFile(file);
    const faults = ts.getPreEmitDiagnostics(program, source);
    const texts = faults.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
    t.same(texts, [], where);
  }
  t.end();
});
