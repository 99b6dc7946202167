/** The files of an OCI layout, wherever they are: in a folder here, in a tar archive in archive-files.ts. */
import { lstat, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { SociError } from '../errors.js';
import { type AtomicFileOptions, worded, writeFileAtomically } from '../files/atomic-file.js';
import { makeFolders } from '../files/folders.js';
import { FileTurn, makeLockFile } from '../files/locked-file.js';
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
  /** Does `work`, which changes what is listed, while no other process does so. Default: as if there were none. */
  alone?<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  commit(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** What makes a folder a layout. Its lock is what changes of the list take turns at. */
export const LAYOUT_FILE = 'oci-layout';
export const LAYOUT_TEXT = '{"imageLayoutVersion":"1.0.0"}';

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
  readonly #sync: boolean;

  /**
   * @param root Absolute path of a folder, which need not exist before something is written.
   * @param options.sync Have each file on the disk before its name points to it. Default true.
   */
  constructor(root: string, name: string, { sync = true }: Pick<AtomicFileOptions, 'sync'> = {}) {
    this.#root = root;
    this.#sync = sync;
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
    await refuseLinks(this.#root, path);
    const options = { code: 'ERR_SOCI_LAYOUT', sync: this.#sync, signal } as const;
    await writeFileAtomically(join(this.#root, path), chunks, options);
  }

  async alone<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const path = join(this.#root, LAYOUT_FILE);
    await worded(path, { code: 'ERR_SOCI_LAYOUT' }, async () => {
      await makeFolders(this.#root);
      await makeLockFile(path, LAYOUT_TEXT);
    });
    const turn = await FileTurn.take(path, signal);
    try {
      return await work();
    } finally {
      await turn.end();
    }
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {}
}

/** A folder of the layout that is a symbolic link would take our files out of it. @param path in the layout at `root` */
export async function refuseLinks(root: string, path: string): Promise<void> {
  const parts = path.split('/').slice(0, -1);
  for (let depth = 1; depth <= parts.length; depth++) {
    const folder = join(root, ...parts.slice(0, depth));
    const found = await lstat(folder).catch(() => undefined);
    if (found?.isSymbolicLink() === true) {
      throw new SociError('ERR_SOCI_LAYOUT', `${folder}: a symbolic link, expected a folder of the layout`, {
        data: { path: folder },
      });
    }
  }
}
