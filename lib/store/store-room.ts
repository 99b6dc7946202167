/**
 * What all blobs of a store share: its disk, whether that takes anything at
 * present, how much has been added to it, and which blobs have been found to be
 * lies. A disk that fails is left alone for a while: the store is no duty.
 */
import type { SociError } from '../errors.js';
import { publish, type StoreFailureEvent } from '../observe/channels.js';
import type { Disk, Durability } from './disk.js';

/** How long nothing is kept after the disk has failed to. */
const PAUSE_MS = 30_000;

export interface StoreRoomOptions {
  readonly root: string;
  readonly disk: Disk;
  readonly durability: Durability;
  readonly access: 'read' | 'update';
  /** Called with the bytes that have come to the disk; what it returns settles when more may come. */
  readonly onGrowth: (bytes: number) => Promise<void>;
}

export class StoreRoom {
  readonly root: string;
  readonly disk: Disk;
  readonly durability: Durability;
  readonly #access: 'read' | 'update';
  readonly #onGrowth: (bytes: number) => Promise<void>;
  readonly #refusals = new Map<string, SociError>();
  /** How often each blob is open. */
  readonly #open = new Map<string, number>();
  #failedAt = Number.NEGATIVE_INFINITY;
  #failure: unknown;

  constructor(options: StoreRoomOptions) {
    this.root = options.root;
    this.disk = options.disk;
    this.durability = options.durability;
    this.#access = options.access;
    this.#onGrowth = options.onGrowth;
  }

  /** 'update' as long as the disk takes what is given to it. */
  get access(): 'read' | 'update' {
    return performance.now() - this.#failedAt < PAUSE_MS ? 'read' : this.#access;
  }

  /** Why nothing is kept at present, where the disk is the reason. */
  get failure(): unknown {
    return this.access === this.#access ? undefined : this.#failure;
  }

  /** Settles when more may be written: whoever writes much waits for that, or the store outgrows its bound. */
  grew(bytes: number): Promise<void> {
    return this.#onGrowth(bytes);
  }

  failed(operation: StoreFailureEvent['operation'], subject: string, error: unknown): void {
    if (operation === 'write' || operation === 'open') {
      this.#failedAt = performance.now();
      this.#failure = error;
    }
    const { code, message } = error as NodeJS.ErrnoException;
    publish('seekable-oci:store:failure', () => ({ operation, subject, reason: code ?? message }));
  }

  enter(digest: string): void {
    this.#open.set(digest, (this.#open.get(digest) ?? 0) + 1);
  }

  /** Who opens a blob after all have left it may try again. */
  leave(digest: string): void {
    const left = (this.#open.get(digest) ?? 0) - 1;
    if (left > 0) this.#open.set(digest, left);
    else {
      this.#open.delete(digest);
      this.#refusals.delete(digest);
    }
  }

  /** Why nothing of a blob is handed out any more. */
  refusal(digest: string): SociError | undefined {
    return this.#refusals.get(digest);
  }

  /** All that have it open learn that it was not what they took it for. */
  refuse(digest: string, error: SociError): void {
    if (this.#open.has(digest)) this.#refusals.set(digest, error);
  }
}
