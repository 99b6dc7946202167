/**
 * A repository whose small content is kept in a folder: manifests, indexes,
 * configs and ztocs that are asked for by digest, which nobody need fetch twice.
 * What comes from the folder has the digest that was asked for, each time, or is
 * fetched again. Tags are always asked of the repository itself.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../files/atomic-file.js';
import { fetchedBlobsIn, markUsed } from '../files/cache-folder.js';
import { behindShelf, type ContentShelf } from './content-shelf.js';
import { sha256Digest } from './digest.js';
import type { Repository } from './repository.js';

export class KeptContent implements ContentShelf {
  readonly #folder: string;
  #wrote = false;

  /** @param root The cache folder. */
  constructor(root: string) {
    this.#folder = fetchedBlobsIn(root);
  }

  /** Whether anything was kept that was not there before. */
  get wrote(): boolean {
    return this.#wrote;
  }

  /** `repository`, asked only for what is not kept. It is closed by whoever opened it. */
  over(repository: Repository): Repository {
    return behindShelf(this, repository);
  }

  /** Undefined unless there is a regular file of at most `limit` bytes with this digest. */
  async read(
    digest: string,
    limit: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    signal?.throwIfAborted();
    const path = this.#path(digest);
    if (path === undefined) return undefined;
    try {
      // O_NONBLOCK: opening a fifo would otherwise wait for a writer, out of reach of any abort.
      const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      try {
        const stat = await file.stat();
        if (!stat.isFile() || stat.size > limit) return undefined;
        const bytes = await file.readFile();
        if (sha256Digest(bytes) !== digest) return undefined;
        await markUsed(path);
        return bytes;
      } finally {
        await file.close();
      }
    } catch {
      return undefined;
    }
  }

  /** A cache is no duty: what cannot be kept is fetched again. */
  async keep(digest: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const path = this.#path(digest);
    if (path === undefined) return;
    try {
      await writeFileAtomically(path, [bytes], { code: 'ERR_SOCI_OUTPUT', signal });
      this.#wrote = true;
    } catch {
      signal?.throwIfAborted();
    }
  }

  #path(digest: string): string | undefined {
    const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(digest) ?? [];
    return hex === undefined ? undefined : join(this.#folder, hex);
  }
}
