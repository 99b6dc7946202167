/** The files of an OCI layout, wherever they are: in a folder here, in a tar archive in archive-files.ts. */
import { lstat, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { SociError } from '../errors.js';
import { writeFileAtomically } from '../files/atomic-file.js';
import { FileSource } from '../source/file-source.js';
import type { RangeSource } from '../source/range-source.js';

/** Paths are relative to the layout's root, with slashes. */
export interface LayoutFiles {
  readonly name: string;
  /** Identifies the layout among all of this process: updates of one key are done one after the other. */
  readonly key: string;
  /** Why `write` refuses, and what to do instead; undefined where it does not. */
  readonly readOnly?: string | undefined;
  /** Bytes; undefined when there is no such file. */
  size(path: string, signal?: AbortSignal): Promise<number | undefined>;
  /** @throws SociError ERR_SOCI_LAYOUT when there is no such file. */
  open(path: string, signal?: AbortSignal): Promise<RangeSource>;
  /** Replaces a file as a whole; when `chunks` fails, nothing has changed. */
  write(
    path: string,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void>;
  commit(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Where a blob is (image-layout.md). @param digest one that `isDigest` has seen, so that it leads nowhere else */
export function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

export function missingFile(name: string, path: string): SociError {
  return new SociError('ERR_SOCI_LAYOUT', `${name}: no file ${path}`, { data: { name, path } });
}

/** Size of a regular file that may not be there. */
export async function fileSize(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : undefined;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return undefined;
    }
    throw new SociError('ERR_SOCI_LAYOUT', `${path}: cannot be read (${code})`, {
      data: { path, reason: code },
      cause,
    });
  }
}

export class DirectoryFiles implements LayoutFiles {
  readonly name: string;
  readonly key: string;
  readonly #root: string;

  /** @param root Absolute path of a folder, which need not exist before something is written. */
  constructor(root: string, name: string) {
    this.#root = root;
    this.name = name;
    this.key = `directory ${root}`;
  }

  async size(path: string): Promise<number | undefined> {
    return await fileSize(join(this.#root, path));
  }

  async open(path: string, signal?: AbortSignal): Promise<RangeSource> {
    if ((await this.size(path)) === undefined) {
      throw missingFile(this.name, path);
    }
    return await FileSource.open(join(this.#root, path), { signal });
  }

  async write(
    path: string,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#refuseLinks(path);
    await writeFileAtomically(join(this.#root, path), chunks, { code: 'ERR_SOCI_LAYOUT', signal });
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {}

  /** A folder of the layout that is a symbolic link would take our files out of the layout. */
  async #refuseLinks(path: string): Promise<void> {
    const parts = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const folder = join(this.#root, ...parts.slice(0, depth));
      const found = await lstat(folder).catch(() => undefined);
      if (found?.isSymbolicLink() === true) {
        throw new SociError(
          'ERR_SOCI_LAYOUT',
          `${folder}: a symbolic link, expected a folder of the layout`,
          {
            data: { path: folder },
          },
        );
      }
    }
  }
}
