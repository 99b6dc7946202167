/**
 * A program that a configuration file names to decompress layers, looked at before
 * anything is pulled: it will run with our rights on everybody's bytes. What is refused
 * is what the reference refuses, and paths that are not absolute, too.
 */
import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { SociError } from '../errors.js';

/** What a shell would make something of. There is none, but nobody has such names without meaning it. */
const SPECIAL = /[#%{}\\|;&$<>]/;
/** PATH_MAX of Linux, and what is left of a command line for each argument (MAX_ARG_STRLEN). */
const MAX_PATH = 4096;
const MAX_ARGUMENT = 128 * 1024 - 1;
const MAX_ARGUMENTS = 1024;

/** A program that was looked at; only `checkDecompressor` makes one. */
export interface Decompressor {
  /** Links resolved. */
  readonly path: string;
  readonly args: readonly string[];
  /** Whose program it is, for messages, e.g. `decompress_streams.gzip`. */
  readonly key: string;
}

/**
 * @param key of the table that names it, e.g. `decompress_streams.gzip`
 * @throws SociError ERR_SOCI_CONFIGURATION
 */
export async function checkDecompressor(
  key: string,
  { path, args }: { readonly path: string; readonly args: readonly string[] },
): Promise<Decompressor> {
  const refuse = (expected: string, found: string, cause?: unknown): SociError => {
    const name = `${key}.path`;
    return new SociError('ERR_SOCI_CONFIGURATION', `${name}: expected ${expected}, found ${found}`, {
      data: { key: name, path, expected },
      cause,
    });
  };
  const shown = JSON.stringify(path.slice(0, 200));
  if (!isAbsolute(path)) throw refuse('an absolute path', shown);
  if (path.includes('\0') || path.length > MAX_PATH) throw refuse('a path', shown);
  const special = SPECIAL.exec(path)?.[0];
  if (special !== undefined) throw refuse('a path without # % { } \\ | ; & $ < >', `${special} in ${shown}`);
  checkArguments(key, args);
  let resolved: string;
  try {
    resolved = await realpath(path);
    const stats = await stat(resolved);
    if (!stats.isFile()) {
      throw refuse('a regular file', stats.isDirectory() ? `the directory ${resolved}` : resolved);
    }
    await access(resolved, constants.X_OK);
  } catch (cause) {
    if (cause instanceof SociError) throw cause;
    const { code, syscall } = cause as NodeJS.ErrnoException;
    throw refuse('a file that may be executed', `${shown} (${code}, ${syscall})`, cause);
  }
  return { path: resolved, args: [...args], key };
}

function checkArguments(key: string, args: readonly string[]): void {
  const name = `${key}.args`;
  const refuse = (expected: string, found: string): SociError => {
    const data = { key: name, expected };
    return new SociError('ERR_SOCI_CONFIGURATION', `${name}: expected ${expected}, found ${found}`, { data });
  };
  if (args.length > MAX_ARGUMENTS) throw refuse(`at most ${MAX_ARGUMENTS} arguments`, String(args.length));
  for (const [at, argument] of args.entries()) {
    if (argument.includes('\0')) throw refuse('arguments without NUL', `one in [${at}]`);
    if (Buffer.byteLength(argument) > MAX_ARGUMENT) {
      throw refuse(`arguments of at most ${MAX_ARGUMENT} bytes`, `${Buffer.byteLength(argument)} in [${at}]`);
    }
  }
}
