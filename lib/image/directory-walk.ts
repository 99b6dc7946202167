/** Lists a directory, or all that is below it, without ever following a link. */

import { Pace } from '../async/pace.js';
import type { FileTree } from '../tree/file-tree.js';
import { encodeName, type NameEncoding } from '../tree/path-lookup.js';
import { ImageDirent } from './file-stats.js';

/** One name found. */
export interface WalkedName<Name extends string | Buffer> {
  /** From the directory that was asked for, e.g. 'lib/os-release'. */
  readonly path: Name;
  readonly dirent: ImageDirent<Name>;
}

/**
 * Names in bytewise order, a directory before what is in it.
 *
 * @param shown what the caller called the directory: the start of `parentPath`
 */
export function* walkDirectory<Name extends string | Buffer>(
  tree: FileTree,
  directory: number,
  shown: string,
  options: { readonly recursive: boolean; readonly encoding: NameEncoding },
): Generator<WalkedName<Name>, void, undefined> {
  const pending = [{ names: tree.readdir(directory).reverse(), prefix: '', shown }];
  for (let level = pending.at(-1); level !== undefined; level = pending.at(-1)) {
    const next = level.names.pop();
    if (next === undefined) {
      pending.pop();
      continue;
    }
    const { ino, kind } = next;
    const name = next.name.toString('latin1');
    const path = `${level.prefix}${name}`;
    yield {
      path: encodeName(path, options.encoding) as Name,
      dirent: new ImageDirent(encodeName(name, options.encoding) as Name, level.shown, kind),
    };
    if (!options.recursive || kind !== 'dir') continue;
    pending.push({
      names: tree.readdir(ino).reverse(),
      prefix: `${path}/`,
      shown: joined(level.shown, encodeName(name, 'utf8')),
    });
  }
}

/** An open directory, in the shape of node:fs's Dir. */
export class ImageDirectory<Name extends string | Buffer = string> {
  /** As it was asked for. */
  readonly path: string;
  readonly #signal: AbortSignal | undefined;
  readonly #pace = new Pace();
  #names: Iterator<WalkedName<Name>> | undefined;

  /** @internal */
  constructor(path: string, names: Iterator<WalkedName<Name>>, signal: AbortSignal | undefined) {
    this.path = path;
    this.#names = names;
    this.#signal = signal;
  }

  /** The next name, null behind the last one. @throws the reason of the signal that `opendir` was given */
  async read(): Promise<ImageDirent<Name> | null> {
    this.#signal?.throwIfAborted();
    await this.#pace.step(this.#signal);
    const next = this.#names?.next();
    return next === undefined || next.done === true ? null : next.value.dirent;
  }

  /** Later reads find nothing more. */
  async close(): Promise<void> {
    this.#names = undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ImageDirent<Name>, void, undefined> {
    try {
      for (let entry = await this.read(); entry !== null; entry = await this.read()) yield entry;
    } finally {
      await this.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function joined(directory: string, name: string): string {
  return directory.endsWith('/') ? `${directory}${name}` : `${directory}/${name}`;
}
