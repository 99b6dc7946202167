/**
 * What CPython reads before a program's own code runs: its landmarks
 * (Modules/getpath.py), the modules that start-up imports, `.pth` files of the
 * site directories (site.py) and the locale; then the script or module itself,
 * and what that imports at once.
 */
import { posix } from 'node:path';
import type { Executed, Surroundings } from './command-chain.js';
import type { FoundFile, ImageFiles } from './image-files.js';
import { EXTENSIONS, pythonHome } from './python-home.js';
import { PythonModules } from './python-modules.js';

/** Imported by every start. Since 3.11 some of them are part of the program. */
const STARTUP: readonly string[] = ['encodings', 'encodings.aliases', 'encodings.utf_8', 'io', 'abc', 'site'];
/** Up to 3.10. */
const STARTUP_EARLIER: readonly string[] = ['_bootlocale', 'encodings.latin_1'];
const CUSTOMIZE: readonly string[] = ['sitecustomize', 'usercustomize'];
/** The locale that PEP 538 takes in place of C. */
const LOCALE_FILES: readonly string[] = [
  '/usr/lib/locale/C.utf8/LC_CTYPE',
  '/usr/lib/locale/C.UTF-8/LC_CTYPE',
];
const MAX_PTH_FILES = 100;
const MAX_PTH_LINES = 100;
const MAX_SCRIPT_BYTES = 2 ** 20;
/** Options that take the next word as their value. */
const VALUED: ReadonlySet<string> = new Set(['-W', '-X', '--check-hash-based-pycs']);

export function isPython({ file }: Executed): boolean {
  return [file.asked, file.path].some(path => /^python(?:3(?:\.\d+)?)?$/.test(posix.basename(path)));
}

export async function pythonStartup(
  files: ImageFiles,
  { file: program, args, directory }: Executed,
  env: Surroundings['env'],
): Promise<FoundFile[]> {
  const home = await pythonHome(files, program, env);
  if (home === undefined) return [];
  const words = wordsOf(args);
  const script = words.script === undefined ? undefined : await mainFile(files, words.script, directory);
  const first = script === undefined ? directory : posix.dirname(script.path);
  const sites = words.isolated === 'no site' ? [] : home.sites;
  const lists: PathList[] = [];
  for (const site of sites) lists.push(...(await pathLists(files, site)));
  const modules = new PythonModules(files, home, [
    ...[first, ...listed(env, directory), home.library, posix.join(home.library, EXTENSIONS), ...sites],
    ...lists.flatMap(({ directories }) => directories),
  ]);
  for (const name of [...STARTUP, ...(home.minor < 11 ? STARTUP_EARLIER : [])]) await modules.import(name);
  for (const { statements } of lists) await modules.importAllOf(statements);
  for (const name of sites.length === 0 ? [] : CUSTOMIZE) await modules.import(name);
  if (words.module !== undefined) {
    for (const name of ['runpy', words.module, `${words.module}.__main__`]) await modules.import(name);
  }
  if (words.text !== undefined) await modules.importAllOf(words.text);
  if (script !== undefined) await modules.importAllOf(await textOf(files, script));
  const before = [
    await files.first(LOCALE_FILES),
    home.configuration,
    ...lists.map(({ file }) => file),
    script,
  ];
  return [...before, ...modules.read].filter(file => file !== undefined);
}

/** A script, or what runs a directory or an archive of them. */
async function mainFile(files: ImageFiles, path: string, directory: string): Promise<FoundFile | undefined> {
  const file = await files.find(path, directory);
  return file ?? (await files.find('__main__.py', posix.resolve('/', directory, path)));
}

/** A `.pth` file: directories, one in each line, and lines that are executed since they begin with `import`. */
interface PathList {
  readonly file: FoundFile;
  readonly directories: readonly string[];
  readonly statements: string;
}

async function pathLists(files: ImageFiles, site: string): Promise<PathList[]> {
  const names = (await files.names(site)).filter(name => name.endsWith('.pth')).slice(0, MAX_PTH_FILES);
  const lists: PathList[] = [];
  for (const name of names) {
    const file = await files.find(name, site);
    if (file === undefined) continue;
    const lines = (await textOf(files, file)).split('\n').map(line => line.trim());
    const isExecuted = (line: string): boolean => /^import\s/.test(line);
    const directories = lines.filter(line => line !== '' && !line.startsWith('#') && !isExecuted(line));
    lists.push({
      file,
      directories: directories.slice(0, MAX_PTH_LINES).map(line => posix.resolve(site, line)),
      statements: lines.filter(isExecuted).join('\n'),
    });
  }
  return lists;
}

async function textOf(files: ImageFiles, file: FoundFile): Promise<string> {
  return (await files.readWhole(file, MAX_SCRIPT_BYTES))?.toString() ?? '';
}

function listed(env: Surroundings['env'], directory: string): string[] {
  const paths = (env.get('PYTHONPATH') ?? '').split(':').filter(path => path !== '');
  return paths.map(path => posix.resolve('/', directory, path));
}

interface PythonWords {
  readonly script: string | undefined;
  readonly module: string | undefined;
  /** Of `-c`. */
  readonly text: string | undefined;
  readonly isolated: 'no site' | undefined;
}

function wordsOf(args: readonly string[]): PythonWords {
  const nothing = { script: undefined, module: undefined, text: undefined };
  let isolated: PythonWords['isolated'];
  for (let at = 0; at < args.length; at += 1) {
    const [word = '', next] = args.slice(at, at + 2);
    if (word === '-') break;
    if (!word.startsWith('-')) return { ...nothing, script: word, isolated };
    const [, flags = '', last = ''] = /^-([a-zA-Z]*?)([cm].*)?$/s.exec(word) ?? [];
    if (flags.includes('S')) isolated = 'no site';
    if (last.startsWith('c')) return { ...nothing, text: last.slice(1) || next, isolated };
    if (last.startsWith('m')) return { ...nothing, module: last.slice(1) || next, isolated };
    if (VALUED.has(word)) at += 1;
  }
  return { ...nothing, isolated };
}
