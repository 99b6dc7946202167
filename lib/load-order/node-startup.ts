/**
 * What Node.js reads before a program's own code runs: its OpenSSL configuration,
 * the main script as `require` finds it, and the nearest package.json, which says
 * what kind of module that is (Node.js documentation, "Modules: Packages").
 */
import { posix } from 'node:path';
import type { Executed, Surroundings } from './command-chain.js';
import type { FoundFile, ImageFiles } from './image-files.js';

/** Options that take the next word as their value. */
const VALUED: ReadonlySet<string> = new Set([
  '-r',
  '--require',
  '--import',
  '--loader',
  '--experimental-loader',
  '-C',
  '--conditions',
]);
const PRELOADS: ReadonlySet<string> = new Set(['-r', '--require', '--import']);
const OPENSSL_CONF: readonly string[] = [
  '/usr/lib/ssl/openssl.cnf',
  '/usr/local/ssl/openssl.cnf',
  '/etc/ssl/openssl.cnf',
  '/etc/pki/tls/openssl.cnf',
];
const MAX_PACKAGE_BYTES = 2 ** 20;

export function isNode({ file }: Executed): boolean {
  return [file.asked, file.path].some(path => /^node(?:js)?$/.test(posix.basename(path)));
}

export async function nodeStartup(
  files: ImageFiles,
  { args, directory }: Executed,
  env: Surroundings['env'],
): Promise<FoundFile[]> {
  const named = env.get('OPENSSL_CONF');
  const found = [await files.first(named === undefined ? OPENSSL_CONF : [named], directory)];
  const { script, preloads } = wordsOf(args);
  for (const path of preloads)
    if (/^[./]/.test(path)) found.push(...(await moduleAt(files, path, directory)));
  if (script !== undefined) found.push(...(await moduleAt(files, script, directory)));
  return found.filter(file => file !== undefined);
}

function wordsOf(args: readonly string[]): { script: string | undefined; preloads: string[] } {
  const preloads: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const [word = '', next = ''] = args.slice(at, at + 2);
    const [name = '', value] = word.split('=', 2);
    // What is evaluated, printed or tested is no script.
    if (/^(?:-e|-p|-pe|--eval|--print|--test|--run)$/.test(name)) return { script: undefined, preloads };
    if (!word.startsWith('-')) return { script: word, preloads };
    if (word === '--') return { script: next === '' ? undefined : next, preloads };
    if (PRELOADS.has(name)) preloads.push(value ?? next);
    if (VALUED.has(name) && value === undefined) at += 1;
  }
  return { script: undefined, preloads };
}

/** A module by its path, and the package.json that is read on the way to it. */
async function moduleAt(files: ImageFiles, path: string, directory: string): Promise<FoundFile[]> {
  const place = posix.resolve('/', directory, path);
  const file = await fileOrExtension(files, place);
  if (file !== undefined) return [...(await packageAbove(files, file)), file];
  const description = await files.find('package.json', place);
  const main = description && (await mainOf(files, description));
  const places = main === undefined ? [place] : [posix.resolve(place, main), place];
  for (const each of places) {
    const entry =
      (each === place ? undefined : await fileOrExtension(files, each)) ?? (await indexOf(files, each));
    if (entry !== undefined) return description === undefined ? [entry] : [description, entry];
  }
  return [];
}

async function indexOf(files: ImageFiles, directory: string): Promise<FoundFile | undefined> {
  return await files.first(['index.js', 'index.json', 'index.node'], directory);
}

async function fileOrExtension(files: ImageFiles, path: string): Promise<FoundFile | undefined> {
  return await files.first([path, `${path}.js`, `${path}.json`, `${path}.node`]);
}

/** The nearest package.json in the directories above a module: the first one ends the search. */
async function packageAbove(files: ImageFiles, { path }: FoundFile): Promise<FoundFile[]> {
  for (let directory = posix.dirname(path); ; directory = posix.dirname(directory)) {
    const found = await files.find('package.json', directory);
    if (found !== undefined) return [found];
    if (directory === '/') return [];
  }
}

async function mainOf(files: ImageFiles, file: FoundFile): Promise<string | undefined> {
  const main = (await packageMembers(files, file))['main'];
  return typeof main === 'string' && main !== '' ? main : undefined;
}

/** The members of a package.json; none of what is no such file. */
async function packageMembers(
  files: ImageFiles,
  file: FoundFile,
): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await files.readWhole(file, MAX_PACKAGE_BYTES);
  try {
    const value: unknown = JSON.parse(bytes?.toString() ?? '');
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}
