/** Lists a directory, or all that is below it, without ever following a link. */

import { KIND } from '../tree/inode-tree.js';
import { encodeName, type MergedTree, type NameEncoding } from '../tree/merged-tree.js';
import type { ImageDirent } from './file-stats.js';

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
  tree: MergedTree,
  directory: number,
  shown: string,
  options: { readonly recursive: boolean; readonly encoding: NameEncoding },
): Generator<WalkedName<Name>, void, undefined> {
  const pending = [{ children: tree.children(directory).reverse(), prefix: '', shown }];
  for (let level = pending.at(-1); level !== undefined; level = pending.at(-1)) {
    const child = level.children.pop();
    if (child === undefined) {
      pending.pop();
      continue;
    }
    const { name, node } = child;
    const encoded = encodeName(name, options.encoding) as Name;
    const path = `${level.prefix}${name}`;
    yield {
      path: encodeName(path, options.encoding) as Name,
      dirent: tree.dirent(node, encoded, level.shown),
    };
    if (!options.recursive || tree.kind(node) !== KIND.dir) continue;
    pending.push({
      children: tree.children(node).reverse(),
      prefix: `${path}/`,
      shown: joined(level.shown, encodeName(name, 'utf8')),
    });
  }
}

/** An open directory, in the shape of node:fs's Dir. */
export class ImageDirectory<Name extends string | Buffer = string> {
  /** As it was asked for. */
  readonly path: string;
  #names: Iterator<WalkedName<Name>> | undefined;

  /** @internal */
  constructor(path: string, names: Iterator<WalkedName<Name>>) {
    this.path = path;
    this.#names = names;
  }

  /** The next name, null behind the last one. */
  async read(): Promise<ImageDirent<Name> | null> {
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
