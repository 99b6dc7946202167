/**
 * Blobs on disk, whole or in part, in a folder that any number of processes share
 * without a daemon. What it has is never trusted and never missed: a store that is
 * damaged, full, read-only or gone costs a request, not an error.
 */
import { join, resolve } from 'node:path';
import { checkInteger, checkOptions, type OptionNames } from '../arguments.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { isComputable } from '../registry/digest.js';
import type { RangeSource } from '../source/range-source.js';
import { type Answer, type Question, recall, remember } from './answers.js';
import { placeOf } from './blob-place.js';
import { BlobUse } from './blob-use.js';
import { type Disk, SYSTEM_DISK } from './disk.js';
import { type Collected, collect, removeBlob } from './eviction.js';
import { namedBlobs } from './named-blobs.js';
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
  /** @internal */
  readonly disk?: Disk | undefined;
}

const STORE_NAMES: OptionNames<StoreOptions> = { maxBytes: true, sync: true, disk: true };

/** How much of a blob a store has. */
export interface BlobCompletion {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes that are there. */
  readonly present: number;
  /** All of it is there and had its digest when it became whole. */
  readonly proved: boolean;
}

/** Keeps blobs from being evicted, by any process, until it is released or this process ends. */
export interface Pin {
  release(): Promise<void>;
}

const MAX_DEFAULT_BYTES = 10 * 2 ** 30;
const PART_OF_DISK = 1 / 10;
/** After so much of the bound was written, what is there is counted again. */
const PART_PER_COUNT = 1 / 32;
/** Failures after which a store can still be read. */
const ONLY_READ: ReadonlySet<unknown> = new Set(['EROFS', 'EACCES', 'EPERM', 'ENOSPC', 'EDQUOT']);

export class Store {
  /** Absolute path of its folder. */
  readonly root: string;
  readonly maxBytes: number;
  readonly #room: StoreRoom;
  readonly #collecting = new Set<Promise<unknown>>();
  /** Bytes that were written since what is there was counted. */
  #grown = 0;
  #counted = false;
  #closed = false;

  private constructor(
    root: string,
    maxBytes: number,
    makeRoom: (onGrowth: (bytes: number) => void) => StoreRoom,
  ) {
    this.root = root;
    this.maxBytes = maxBytes;
    this.#room = makeRoom(bytes => this.#grew(bytes));
  }

  /**
   * Opens the store in `folder`, which is made if need be; one that nothing can be written to is read from.
   *
   * @throws SociError ERR_SOCI_STORE when there is no such folder and none can be made
   */
  static async open(folder: string, options: StoreOptions = {}): Promise<Store> {
    checkOptions('Store.open', options, STORE_NAMES);
    const { sync = false, disk = SYSTEM_DISK } = options;
    if (options.maxBytes !== undefined) checkInteger('maxBytes', options.maxBytes, 0);
    const root = resolve(folder);
    const access = await prepared(disk, root);
    const capacity = options.maxBytes === undefined ? await disk.capacity(root).catch(() => 0) : 0;
    const maxBytes = options.maxBytes ?? Math.min(MAX_DEFAULT_BYTES, Math.floor(capacity * PART_OF_DISK));
    const durability = sync ? 'sync' : 'no sync';
    return new Store(root, maxBytes, onGrowth => new StoreRoom({ root, disk, durability, access, onGrowth }));
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
  ): Promise<RangeSource> {
    this.#checkOpen();
    if (!isComputable(digest) || size === 0 || source.size !== size) return source;
    const place = placeOf(this.root, { digest, size });
    const there = await blobAt(this.#room.disk, place).catch(() => undefined);
    if (there?.state !== 'whole' && size > this.maxBytes) return source;
    return new StoredSource(await StoredBlob.open(this.#room, place), source);
  }

  /** A small blob, or undefined unless it is there whole with this digest and at most `limit` bytes. */
  async get(digest: string, limit: number): Promise<Uint8Array | undefined> {
    return await readWhole(this.#room, digest, limit);
  }

  /** Keeps a small blob, whose digest has been computed. */
  async put(digest: string, bytes: Uint8Array): Promise<void> {
    this.#checkOpen();
    if (bytes.length <= this.maxBytes) await keepWhole(this.#room, digest, bytes);
  }

  /** @internal */
  async recall(question: Question): Promise<Answer | undefined> {
    return await recall(this.#room, question);
  }

  /** @internal */
  async remember(question: Question, value: unknown): Promise<void> {
    this.#checkOpen();
    await remember(this.#room, question, value);
  }

  /** How much of a blob is there, by what is written about it. */
  async completion({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): Promise<BlobCompletion> {
    if (!isComputable(digest)) return { digest, size, present: 0, proved: false };
    const blob = await StoredBlob.open(this.#room, placeOf(this.root, { digest, size }));
    try {
      return { digest, size, present: await blob.presentBytes(), proved: blob.isWhole };
    } finally {
      await blob.close();
    }
  }

  /** All blobs, the least recently used first. @throws SociError ERR_SOCI_STORE */
  async list(): Promise<KeptBlob[]> {
    return await worded(this.root, 'read', () => listBlobs(this.#room.disk, this.root));
  }

  /** Digests of what index.json names, and what that refers to: none of it is evicted. @throws SociError ERR_SOCI_STORE */
  async named(): Promise<ReadonlySet<string>> {
    return await worded(this.root, 'read', () => namedBlobs(this.#room));
  }

  /** Keeps blobs, those too that are not there yet, from being evicted. */
  async pin(digests: readonly string[]): Promise<Pin> {
    this.#checkOpen();
    const computable = digests.filter(isComputable);
    const uses = await Promise.all(
      computable.map(digest =>
        BlobUse.begin(this.#room.disk, placeOf(this.root, { digest, size: 0 }).use, 'pin'),
      ),
    );
    return {
      release: async () => void (await Promise.all(uses.splice(0).map(use => use?.close()))),
    };
  }

  /**
   * Removes the least recently used blobs until no more than `maxBytes` are there, which happens by itself while the
   * store grows.
   *
   * @throws SociError ERR_SOCI_STORE
   */
  async collect(maxBytes: number = this.maxBytes): Promise<Collected> {
    checkInteger('maxBytes', maxBytes, 0);
    return await worded(this.root, 'write', () => collect(this.#room, maxBytes));
  }

  /** Removes a blob, unless a process has pinned it. @returns whether it is gone. @throws SociError ERR_SOCI_STORE */
  async remove(digest: string): Promise<boolean> {
    if (!isComputable(digest)) return true;
    return await worded(this.root, 'write', () => removeBlob(this.#room, digest, 'in use'));
  }

  /** Settles when the store is within its bound. Close what was opened of it first. Twice is no error. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#collecting);
    if (this.#grown > 0) await this.#collectQuietly();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new SociError('ERR_SOCI_CLOSED', `the store ${this.root} is closed`);
  }

  #grew(bytes: number): void {
    this.#grown += bytes;
    // What other processes have left is not known before the first time.
    const few = this.#counted && this.#grown < this.maxBytes * PART_PER_COUNT;
    if (few || this.#collecting.size > 0) return;
    const work = this.#collectQuietly().finally(() => this.#collecting.delete(work));
    this.#collecting.add(work);
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
async function prepared(disk: Disk, root: string): Promise<'read' | 'update'> {
  const layout = join(root, 'oci-layout');
  try {
    await disk.makeFolder(root);
    // Written each time, since whether anything can be written is what has to be known.
    const room = { root, disk, durability: 'no sync', access: 'update', onGrowth: () => {} } as const;
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
