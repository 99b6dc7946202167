/**
 * A ztoc cache in a folder, shared by any number of processes: one file per
 * ztoc, which appears whole or not at all and begins with the digest of what
 * follows. A file that says otherwise is as good as none.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

import { writeFileAtomically } from '../files/atomic-file.js';
import { markUsed } from '../files/cache-folder.js';
import { requireDigest, sha256Digest } from '../registry/digest.js';
import type { AbortableOptions } from '../source/range-source.js';
import { DEFAULT_ZTOC_LIMITS } from '../ztoc/limits.js';
import { type ZtocCache, type ZtocKey, ztocKeyText } from './ztoc-cache.js';

/** 'sha256:', 64 digits and a line feed. */
const HEAD_LENGTH = 72;

export class FolderZtocCache implements ZtocCache {
  readonly #folder: string;

  /** @param folder Made when the first ztoc is kept. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async get(key: ZtocKey, options: AbortableOptions = {}): Promise<Uint8Array | undefined> {
    options.signal?.throwIfAborted();
    const content = await readSmallFile(this.#path(key), HEAD_LENGTH + DEFAULT_ZTOC_LIMITS.maxZtocBytes);
    if (content === undefined || content.length <= HEAD_LENGTH) return undefined;
    const bytes = content.subarray(HEAD_LENGTH);
    const head = content.toString('latin1', 0, HEAD_LENGTH);
    if (head !== `${sha256Digest(bytes)}\n`) return undefined;
    await markUsed(this.#path(key));
    return bytes;
  }

  /** @throws SociError ERR_SOCI_OUTPUT when the file cannot be written. */
  async put(key: ZtocKey, bytes: Uint8Array, options: AbortableOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const head = Buffer.from(`${sha256Digest(bytes)}\n`);
    await writeFileAtomically(this.#path(key), [head, bytes], {
      code: 'ERR_SOCI_OUTPUT',
      signal: options.signal,
    });
  }

  #path(key: ZtocKey): string {
    const [algorithm = '', hex = ''] = requireDigest(key.layerDigest, 'layer').split(':');
    // The tool's name is anybody's text, so it goes into the file name as a digest.
    const name = sha256Digest(Buffer.from(ztocKeyText(key))).slice('sha256:'.length, 'sha256:'.length + 32);
    return join(this.#folder, algorithm, hex, `${name}.ztoc`);
  }
}

/** Undefined when there is no such regular file of at most `limit` bytes, or it cannot be read: a cache is no duty. */
async function readSmallFile(path: string, limit: number): Promise<Buffer | undefined> {
  try {
    // O_NONBLOCK: opening a fifo would otherwise wait for a writer, out of reach of any abort.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stat = await file.stat();
      // The size of a device says nothing: /dev/zero has none, and no end either.
      return !stat.isFile() || stat.size > limit ? undefined : await file.readFile();
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}
