/**
 * What Node.js reads when it starts: its OpenSSL configuration, what it is told to
 * preload, the main script as `require` finds it, and what those load.
 */
import { posix } from 'node:path';
import type { Executed, Surroundings } from './command-chain.js';
import type { FoundFile, ImageFiles } from './image-files.js';
import { NodeModules } from './node-modules.js';

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

export function isNode({ file }: Executed): boolean {
  return [file.asked, file.path].some(path => /^node(?:js)?$/.test(posix.basename(path)));
}

export async function nodeStartup(
  files: ImageFiles,
  { args, directory }: Executed,
  env: Surroundings['env'],
): Promise<FoundFile[]> {
  const named = env.get('OPENSSL_CONF');
  const configuration = await files.first(named === undefined ? OPENSSL_CONF : [named], directory);
  const { script, preloads } = wordsOf(args);
  const modules = new NodeModules(files);
  for (const path of preloads)
    if (/^[./]/.test(path)) await modules.load(posix.resolve('/', directory, path));
  if (script !== undefined) await modules.load(posix.resolve('/', directory, script));
  return configuration === undefined ? modules.read : [configuration, ...modules.read];
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
