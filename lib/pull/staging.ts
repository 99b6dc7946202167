/**
 * The folder beside a target where a pull keeps what is not complete: a store of
 * blobs, so that the next attempt goes on where this one was, and two pulls into
 * one target fetch everything once; and files that are in the making. Whoever
 * finishes last removes it.
 */
import { randomBytes } from 'node:crypto';
import { readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SociError } from '../errors.js';
import { worded } from '../files/atomic-file.js';
import { makeFolders } from '../files/folders.js';
import { BlobUse } from '../store/blob-use.js';
import { SYSTEM_DISK } from '../store/disk.js';
import { Store } from '../store/store.js';

/** Between two attempts to begin while another pull removes what it has finished with. */
const RETRY_MS = 20;
const OWNER_ONLY = 0o700;

export interface StagingOptions {
  readonly sync: boolean;
  readonly signal: AbortSignal;
}

export class Staging {
  readonly folder: string;
  readonly #above: string | undefined;
  readonly #use: BlobUse;
  readonly #options: StagingOptions;
  #store: Promise<Store> | undefined;

  private constructor(folder: string, above: string | undefined, use: BlobUse, options: StagingOptions) {
    this.folder = folder;
    this.#above = above;
    this.#use = use;
    this.#options = options;
  }

  /**
   * @param folder is made, with those above it; one that it had to be made in goes with it, if nothing else is there
   * @throws SociError ERR_SOCI_OUTPUT
   */
  static async open(folder: string, options: StagingOptions): Promise<Staging> {
    const { signal } = options;
    const above = dirname(folder);
    const isNew = (await stat(above).catch(() => undefined)) === undefined;
    for (;;) {
      await worded(folder, { code: 'ERR_SOCI_OUTPUT' }, async () => {
        await makeFolders(above);
        await makeFolders(folder, OWNER_ONLY);
      });
      const path = join(folder, 'use', 'pull');
      const use = await BlobUse.begin(SYSTEM_DISK, path, 'use');
      if (use !== undefined) return new Staging(folder, isNew ? above : undefined, use, options);
      // What cannot be made at all is no matter of waiting.
      await worded(folder, { code: 'ERR_SOCI_OUTPUT' }, async () => {
        await makeFolders(dirname(path), OWNER_ONLY);
        await (await SYSTEM_DISK.open(path, 'update')).close();
      });
      await delay(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  /**
   * Where blobs are kept until they are complete: without a bound, since none of them is to spare.
   *
   * @throws SociError ERR_SOCI_OUTPUT
   */
  store(): Promise<Store> {
    const { sync } = this.#options;
    const options = { maxBytes: Number.MAX_SAFE_INTEGER, sync };
    this.#store ??= Store.open(join(this.folder, 'store'), options).catch((cause: SociError) => {
      throw new SociError('ERR_SOCI_OUTPUT', cause.message, { data: cause.data, cause });
    });
    return this.#store;
  }

  /** @param outcome 'finished': nothing of what is there will be wanted again */
  async close(outcome: 'finished' | 'interrupted'): Promise<void> {
    const store = await this.#store?.catch(() => undefined);
    const isEmpty =
      outcome === 'interrupted' && ((await store?.list().catch(() => undefined)) ?? []).length === 0;
    await store?.close();
    if (outcome === 'finished' || isEmpty) {
      await this.#use.alone('use', () => this.#remove());
      if (this.#above !== undefined) await rmdir(this.#above).catch(() => undefined);
    }
    await this.#use.close();
  }

  /** Out of the way at once: whoever begins anew meanwhile has another folder, and nothing of his is removed. */
  async #remove(): Promise<void> {
    const above = dirname(this.folder);
    const gone = `${basename(this.folder)}.gone-`;
    await rename(this.folder, join(above, `${gone}${randomBytes(6).toString('hex')}`));
    // With what others had no time to remove.
    const names = await readdir(above);
    for (const name of names.filter(name => name.startsWith(gone))) {
      await rm(join(above, name), { recursive: true, force: true }).catch(() => undefined);
    }
  }
}
