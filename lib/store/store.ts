/**
 * Blobs on disk, whole or in part, in a folder that any number of processes share
 * without a daemon. What it has is never trusted and never missed: a store that is
 * damaged, full, read-only or gone costs a request, not an error.
 */
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { checkInteger, checkOptions, type OptionNames } from '../arguments.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { isComputable } from '../registry/digest.js';
import { ABORTABLE_NAMES, type AbortableOptions, type RangeSource } from '../source/range-source.js';
import { type Answer, type Question, recall, remember } from './answers.js';
import { partialIn, placeOf, wholeIn } from './blob-place.js';
import { BlobUse } from './blob-use.js';
import { type Disk, type Durability, SYSTEM_DISK } from './disk.js';
import { type Collected, collect, removeBlob } from './eviction.js';
import { namedBlobs } from './named-blobs.js';
import { recallRefusal } from './proofs.js';
import { SharedRate } from './shared-rate.js';
import { blobAt, type KeptBlob, listBlobs } from './store-listing.js';
import { StoreRoom } from './store-room.js';
import { StoredBlob } from './stored-blob.js';
import { StoredSource } from './stored-source.js';
import { keepWhole, newNonce, readWhole, writeReplacing } from './whole-content.js';

export interface StoreOptions {
  /**
   * What blobs may take up on the disk; the least recently used go when it is more. A blob that is larger is read
   * through. Default: 10 GiB, or a tenth of the file system if that is less.
   */
  readonly maxBytes?: number | undefined;
  /** Have what is kept on the disk before it counts, so that a power cut costs nothing. Default false. */
  readonly sync?: boolean | undefined;
  /**
   * Bytes a second that are fetched into the store though nobody waits for them (all lanes but `'demand'`), by all
   * processes that have it open with such a bound together. Default: no bound.
   */
  readonly maxBytesPerSecond?: number | undefined;
  /** @internal */
  readonly disk?: Disk | undefined;
}

const STORE_NAMES: OptionNames<StoreOptions> = {
  maxBytes: true,
  sync: true,
  maxBytesPerSecond: true,
  disk: true,
};

export interface CollectOptions extends AbortableOptions {
  readonly maxBytes?: number | undefined;
}

const COLLECT_NAMES: OptionNames<CollectOptions> = { ...ABORTABLE_NAMES, maxBytes: true };

/** How much of a blob a store has. */
export interface BlobCompletion {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes that are there. */
  readonly present: number;
  /** All of it is there and had its digest when it became whole. */
  readonly proved: boolean;
  /**
   * The digest that it had, if all of it was there once and was another blob: it was dropped then, and is not whole
   * now.
   */
  readonly refused: string | undefined;
}

/** Keeps blobs from being evicted, by any process, until it is released or this process ends. */
export interface Pin {
  release(): Promise<void>;
}

const MAX_DEFAULT_BYTES = 10 * 2 ** 30;
const PART_OF_DISK = 1 / 10;
/** After so much of the bound was written, what is there is counted again. */
const PART_PER_COUNT = 1 / 32;
/** So much may be left uncounted when the store is closed. */
const PART_LEFT = 1 / 1024;
/** Between two attempts to change index.json. */
const NAMES_DELAY_MS = 20;
/** Failures after which a store can still be read. */
const ONLY_READ: ReadonlySet<unknown> = new Set(['EROFS', 'EACCES', 'EPERM', 'ENOSPC', 'EDQUOT']);

export class Store {
  /** Absolute path of its folder. */
  readonly root: string;
  readonly maxBytes: number;
  readonly #room: StoreRoom;
  readonly #rate: SharedRate | undefined;
  readonly #collecting = new Set<Promise<unknown>>();
  /** Bytes that were written since what is there was counted. */
  #grown = 0;
  #counted = false;
  #closed = false;

  private constructor(
    root: string,
    maxBytes: number,
    rate: SharedRate | undefined,
    makeRoom: (onGrowth: (bytes: number) => Promise<void>) => StoreRoom,
  ) {
    this.root = root;
    this.maxBytes = maxBytes;
    this.#rate = rate;
    this.#room = makeRoom(bytes => this.#grew(bytes));
  }

  /**
   * Opens the store in `folder`, which is made if need be; one that nothing can be written to is read from.
   *
   * @throws SociError ERR_SOCI_STORE when there is no such folder and none can be made
   */
  static async open(folder: string, options: StoreOptions = {}): Promise<Store> {
    checkOptions('Store.open', options, STORE_NAMES);
    const { sync = false, disk = SYSTEM_DISK, maxBytesPerSecond } = options;
    if (options.maxBytes !== undefined) checkInteger('maxBytes', options.maxBytes, 0);
    if (maxBytesPerSecond !== undefined) checkInteger('maxBytesPerSecond', maxBytesPerSecond, 1);
    const root = resolve(folder);
    const durability = sync ? 'sync' : 'no sync';
    const access = await prepared(disk, root, durability);
    const capacity =
      options.maxBytes === undefined ? await disk.capacity(root).catch(() => Number.POSITIVE_INFINITY) : 0;
    const maxBytes = options.maxBytes ?? Math.min(MAX_DEFAULT_BYTES, Math.floor(capacity * PART_OF_DISK));
    const rate = maxBytesPerSecond === undefined ? undefined : new SharedRate(disk, root, maxBytesPerSecond);
    const makeRoom = (onGrowth: (bytes: number) => Promise<void>): StoreRoom =>
      new StoreRoom({ root, disk, durability, access, onGrowth });
    return new Store(root, maxBytes, rate, makeRoom);
  }

  /** Whether nothing can be kept. */
  get readOnly(): boolean {
    return this.#room.access === 'read';
  }

  /**
   * The blob as a source: what is there comes from the disk, what is missing from `source`, which is closed with it.
   * What neither can be kept nor is there is read through.
   */
  async open(
    { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
    source: RangeSource,
    options: AbortableOptions = {},
  ): Promise<RangeSource> {
    this.#begin('Store.open', options);
    if (!isComputable(digest) || size === 0 || source.size !== size) return source;
    const place = placeOf(this.root, { digest, size });
    const there = await blobAt(this.#room.disk, place).catch(() => undefined);
    if (there?.state !== 'whole' && size > this.maxBytes) return source;
    return new StoredSource(await StoredBlob.open(this.#room, place), source, this.#rate);
  }

  /** @internal A small blob, or undefined unless it is there whole with this digest and at most `limit` bytes. */
  async get(digest: string, limit: number): Promise<Uint8Array | undefined> {
    return await readWhole(this.#room, digest, limit);
  }

  /** @internal Keeps a small blob, whose digest has been computed. */
  async put(digest: string, bytes: Uint8Array): Promise<void> {
    this.#begin('put', {});
    if (bytes.length <= this.maxBytes) await keepWhole(this.#room, digest, bytes);
  }

  /** @internal */
  async recall(question: Question): Promise<Answer | undefined> {
    return await recall(this.#room, question);
  }

  /** @internal */
  async remember(question: Question, value: unknown): Promise<void> {
    this.#begin('remember', {});
    await remember(this.#room, question, value);
  }

  /** How much of a blob is there, by what is written about it. */
  async completion(
    { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
    options: AbortableOptions = {},
  ): Promise<BlobCompletion> {
    this.#begin('completion', options);
    if (!isComputable(digest)) return { digest, size, present: 0, proved: false, refused: undefined };
    return await this.#with({ digest, size }, async blob => {
      const refused = blob.isWhole ? undefined : await recallRefusal(this.#room, digest);
      return { digest, size, present: await blob.presentBytes(), proved: blob.isWhole, refused };
    });
  }

  /** All blobs, the least recently used first. @throws SociError ERR_SOCI_STORE */
  async list(options: AbortableOptions = {}): Promise<KeptBlob[]> {
    this.#begin('list', options);
    return await worded(this.root, 'read', () => listBlobs(this.#room.disk, this.root));
  }

  /**
   * Digests of what index.json names, and of what that refers to: none of it is evicted.
   *
   * @throws SociError ERR_SOCI_STORE
   */
  async named(options: AbortableOptions = {}): Promise<ReadonlySet<string>> {
    this.#begin('named', options);
    return await worded(this.root, 'read', () => namedBlobs(this.#room));
  }

  /** @internal Changes index.json while no other process does. @throws SociError ERR_SOCI_STORE; what `work` throws */
  async changeNames(signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> {
    const use = await BlobUse.begin(this.#room.disk, join(this.root, 'use', 'index.json'), 'use');
    if (use === undefined) throw unusable(this.root, 'written', new Error('no file can be made in it'));
    try {
      while (!(await use.alone('writing', work))) await delay(NAMES_DELAY_MS, undefined, { signal });
    } finally {
      await use.close();
    }
  }

  /** Keeps blobs, those too that are not there yet, from being evicted. */
  async pin(digests: readonly string[], options: AbortableOptions = {}): Promise<Pin> {
    this.#begin('pin', options);
    const { disk } = this.#room;
    const places = digests.filter(isComputable).map(digest => placeOf(this.root, { digest, size: 0 }));
    const uses = await Promise.all(places.map(({ use }) => BlobUse.begin(disk, use, 'pin')));
    return {
      release: async () => void (await Promise.all(uses.splice(0).map(use => use?.close()))),
    };
  }

  /**
   * Removes the least recently used blobs until no more than `maxBytes` (default: the store's) are there, which happens
   * by itself while the store grows.
   *
   * @throws SociError ERR_SOCI_STORE
   */
  async collect(options: CollectOptions = {}): Promise<Collected> {
    checkOptions('collect', options, COLLECT_NAMES);
    const { maxBytes = this.maxBytes, signal } = options;
    checkInteger('maxBytes', maxBytes, 0);
    this.#begin('collect', { signal });
    return await worded(this.root, 'write', () => collect(this.#room, maxBytes));
  }

  /**
   * Removes a blob, unless a process has pinned it.
   *
   * @returns whether it is gone
   * @throws SociError ERR_SOCI_STORE
   */
  async remove(digest: string, options: AbortableOptions = {}): Promise<boolean> {
    this.#begin('remove', options);
    if (!isComputable(digest)) return true;
    return await worded(this.root, 'write', () => removeBlob(this.#room, digest, 'in use'));
  }

  /**
   * Reads all of a blob that is there and compares it with its digest, or with what was written. What is wrong is
   * forgotten.
   *
   * @returns bytes that were wrong
   */
  async verify(
    { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
    options: AbortableOptions = {},
  ): Promise<number> {
    this.#begin('verify', options);
    if (!isComputable(digest)) return 0;
    return await this.#with({ digest, size }, blob => blob.verify());
  }

  /** Settles when the store is within its bound. Close what was opened of it first. Twice is no error. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#rate?.close();
    await Promise.all(this.#collecting);
    // What is less is counted by the next one who writes.
    if (this.#grown > this.maxBytes * PART_LEFT) await this.#collectQuietly();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #begin(caller: string, options: AbortableOptions): void {
    checkOptions(caller, options, ABORTABLE_NAMES);
    options.signal?.throwIfAborted();
    if (this.#closed) throw new SociError('ERR_SOCI_CLOSED', `the store ${this.root} is closed`);
  }

  async #with<T>(
    wanted: Pick<Descriptor, 'digest' | 'size'>,
    work: (blob: StoredBlob) => Promise<T>,
  ): Promise<T> {
    const blob = await StoredBlob.open(this.#room, placeOf(this.root, wanted));
    try {
      return await work(blob);
    } finally {
      await blob.close();
    }
  }

  async #grew(bytes: number): Promise<void> {
    this.#grown += bytes;
    // What other processes have left is not known before the first time.
    if (this.#counted && this.#grown < this.maxBytes * PART_PER_COUNT) return;
    if (this.#collecting.size === 0) {
      const work = this.#collectQuietly().finally(() => this.#collecting.delete(work));
      this.#collecting.add(work);
    }
    await Promise.all(this.#collecting);
  }

  async #collectQuietly(): Promise<void> {
    this.#grown = 0;
    this.#counted = true;
    try {
      await collect(this.#room, this.maxBytes);
    } catch (error) {
      this.#room.failed('evict', this.root, error);
    }
  }
}

/** A folder of the image layout, or one that can be read as such. @throws SociError ERR_SOCI_STORE */
async function prepared(disk: Disk, root: string, durability: Durability): Promise<'read' | 'update'> {
  const layout = join(root, 'oci-layout');
  try {
    await disk.makeFolder(root);
    // Written each time, since whether anything can be written is what has to be known.
    if (durability === 'sync') {
      for (const folder of [wholeIn(root, 'sha256'), partialIn(root, 'sha256')]) {
        await disk.makeFolder(folder);
        await disk.syncFolder(dirname(folder));
      }
    }
    const room = { root, disk, durability, access: 'update', onGrowth: async () => {} } as const;
    const text = Buffer.from('{"imageLayoutVersion":"1.0.0"}');
    await writeReplacing(new StoreRoom(room), join(root, `.oci-layout.${newNonce()}.tmp`), layout, text);
    return 'update';
  } catch (error) {
    const there = await disk.stat(layout).catch(() => undefined);
    if (there !== undefined && ONLY_READ.has((error as NodeJS.ErrnoException).code)) return 'read';
    throw unusable(root, 'opened', error);
  }
}

async function worded<T>(root: string, purpose: 'read' | 'write', work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unusable(root, purpose === 'read' ? 'read' : 'written', error);
  }
}

function unusable(root: string, done: string, cause: unknown): SociError {
  if (cause instanceof SociError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  return new SociError('ERR_SOCI_STORE', `the store ${root} cannot be ${done}: ${message}`, {
    data: { path: root, reason: code },
    cause,
  });
}
