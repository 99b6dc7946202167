/**
 * Gets operations executed: in batches, side by side as far as their paths allow,
 * files in pieces where they are large, each as soon as its contents have come.
 * What has come and was not written yet is bounded by whoever feeds it asking
 * `hasRoom`.
 */

import { constants } from 'node:os';
import type { SparseMap } from '../layer/sparse-map.js';
import { type BatchResult, TREE_FLAG, TREE_OPERATION } from '../native-tree.js';
import type { Operation } from './operations.js';
import { PathReservations } from './path-reservations.js';
import type { TarContents } from './tar-contents.js';
import { WriteBatch } from './write-batch.js';
import { writeFailed } from './write-failure.js';

/** Contents that one operation writes at most. */
const PIECE_BYTES = 2 ** 20;
/** Batches that are not over, beyond which nothing more is taken in. */
const MAX_BATCHES = 64;
/** Files that are written in pieces at the same time; the executor has room for twice as many. */
const MAX_OPEN_FILES = 32;

/** Where the bytes of a file lie in the tar. */
export interface FileContents {
  readonly offset: number;
  /** In the tar. */
  readonly size: number;
  /** Of a file with holes. */
  readonly sparse: SparseMap | undefined;
}

export interface SkippedAttributes {
  owners: number;
  xattrs: number;
  devices: number;
}

/** What waits for its contents, or stands behind something that does. */
interface Waiting {
  readonly operation: Operation;
  readonly file?: FileWriting | undefined;
  readonly contents: TarContents;
}

/** A file that is written in pieces. */
interface FileWriting extends FileContents {
  /** Of the next piece, in the file's bytes as the tar has them. */
  done: number;
  begun: WriteBatch | undefined;
  readonly pieces: Set<WriteBatch>;
  id: number;
}

export class TreeWriting {
  readonly #directory: string;
  readonly #maxHeldBytes: () => number;
  readonly #onFailure: (failure: unknown) => void;
  readonly #reservations = new PathReservations();
  readonly #waiting: Waiting[] = [];
  #open: WriteBatch | undefined;
  #files = 0;
  /** Files whose end is not over. */
  #openFiles = 0;
  #inOrder = false;
  /** Batches that are not over, the open one included. */
  readonly #batches = new Set<WriteBatch>();
  /** Those of them that are executed. */
  #running = 0;
  #failure: { readonly reason: unknown } | undefined;
  #listeners: (() => void)[] = [];
  /** What could not be set and was left out, since we are not privileged. */
  readonly skipped: SkippedAttributes = { owners: 0, xattrs: 0, devices: 0 };

  /**
   * @param directory for messages
   * @param maxHeldBytes of contents, asked for anew each time
   * @param onFailure called once, when something cannot be written: more input is of no use
   */
  constructor(directory: string, maxHeldBytes: () => number, onFailure: (failure: unknown) => void) {
    this.#directory = directory;
    this.#maxHeldBytes = maxHeldBytes;
    this.#onFailure = onFailure;
  }

  /** An operation without contents, after all that were asked for before it at its path and its target's. */
  perform(operation: Operation, contents: TarContents): void {
    this.#waiting.push({ operation, contents });
    this.#proceed();
  }

  /** @param operation of kind `file`, without its contents */
  writeFile(operation: Operation, file: FileContents, contents: TarContents): void {
    const { offset: tarOffset, size: length, sparse } = file;
    if (sparse === undefined && length <= PIECE_BYTES) {
      this.#waiting.push({ operation: { ...operation, tarOffset, length }, contents });
    } else {
      const writing = {
        ...file,
        done: 0,
        begun: undefined,
        pieces: new Set<WriteBatch>(),
        id: ++this.#files,
      };
      this.#waiting.push({ operation, contents, file: writing });
    }
    this.#proceed();
  }

  /**
   * More of the tar has come.
   *
   * @param position where it ends
   * @param kept what comes from here on is still needed, whatever batches name
   */
  arrived(contents: TarContents, position: number, kept: number): void {
    contents.arrive(position, kept);
    this.#proceed();
    this.#claim(contents);
  }

  /** Whether more of the tar may come. */
  hasRoom({ executor }: TarContents): boolean {
    return this.#batches.size < MAX_BATCHES && executor.heldBytes < this.#maxHeldBytes();
  }

  /** Settles when there is room, or nothing that could make some. @throws what cannot be written */
  async whenRoom(contents: TarContents): Promise<void> {
    while (!this.hasRoom(contents) && this.#isBusy()) await this.#change();
    this.#throwIfFailed();
  }

  /** Settles when all that was asked for is done. @throws what cannot be written */
  async settled(): Promise<void> {
    while (this.#isBusy()) await this.#change();
    this.#throwIfFailed();
  }

  /** From now on each batch waits for the one before it. */
  inOrder(): void {
    this.#close();
    this.#inOrder = true;
  }

  /** What was not begun is left undone, and `settled` throws the reason. */
  abort(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { reason };
    this.#waiting.length = 0;
    this.#open = undefined;
    for (const batch of this.#batches) {
      batch.contents.executor.abort();
      if (!batch.started) this.#end(batch);
    }
    this.#onFailure(reason);
  }

  /** Whether something is under way once all has been begun that can be. */
  #isBusy(): boolean {
    this.#close();
    return this.#running > 0;
  }

  /** What waits is in the order of the tar, so that nothing behind the first can have all of its contents without it. */
  #proceed(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const { operation, contents, file } = first;
      const { tarOffset = 0, length = 0 } = operation;
      if (file === undefined && length > 0 && tarOffset + length > contents.arrived) return;
      if (file !== undefined && !this.#writePieces(operation, file, contents)) return;
      if (file === undefined) this.#add(operation, contents);
      this.#waiting.shift();
    }
  }

  /** As far as they have come. @returns whether that was the last one */
  #writePieces(operation: Operation, file: FileWriting, contents: TarContents): boolean {
    const { path } = operation;
    if (file.begun === undefined) {
      if (this.#openFiles >= MAX_OPEN_FILES) {
        this.#close();
        return false;
      }
      this.#openFiles++;
      const { flags = 0 } = operation;
      const begin = {
        kind: TREE_OPERATION.BEGIN_FILE,
        flags: flags & TREE_FLAG.REPLACE,
        path,
        file: file.id,
      };
      file.begun = this.#add(begin, contents);
    }
    while (file.done < file.size) {
      const piece = Math.min(PIECE_BYTES, file.size - file.done);
      if (file.offset + file.done + piece > contents.arrived) return false;
      this.#writePiece(path, file, piece, contents);
      file.done += piece;
    }
    const position = file.sparse?.size ?? file.size;
    const flags = (operation.flags ?? 0) & ~TREE_FLAG.REPLACE;
    const end = { ...operation, kind: TREE_OPERATION.END_FILE, flags, file: file.id, position };
    this.#add(end, contents, [file.begun, ...file.pieces]).filesEnded++;
    return true;
  }

  #writePiece(path: string, file: FileWriting, length: number, contents: TarContents): void {
    const { offset, done, sparse } = file;
    const kind = TREE_OPERATION.PIECE;
    const tarOffset = offset + done;
    const runs = sparse?.inTar(tarOffset, tarOffset + length) ?? [{ tarOffset, position: done, length }];
    for (const run of runs) {
      const batch = this.#add({ kind, path: '', file: file.id, ...run }, contents, [
        file.begun as WriteBatch,
      ]);
      batch.named.set(batch.operations.length - 1, path);
      file.pieces.add(batch);
    }
  }

  /** @param after batches that are over before this operation begins; those of its paths are so anyway */
  #add(operation: Operation, contents: TarContents, after: readonly WriteBatch[] = []): WriteBatch {
    const { kind, path, link = '', recursive = false } = operation;
    if (this.#open !== undefined && (this.#open.contents !== contents || !this.#open.hasRoomFor(operation)))
      this.#close();
    const batch = this.#open ?? this.#begin(contents);
    batch.add(operation);
    for (const before of after) batch.waitFor(before);
    if (kind === TREE_OPERATION.REMOVE)
      this.#reservations.reserveRemoval(path, batch, { directory: recursive });
    else if (kind !== TREE_OPERATION.PIECE) this.#reservations.reserve(path, batch);
    if (kind === TREE_OPERATION.HARD_LINK) this.#reservations.reserve(link, batch);
    return batch;
  }

  #begin(contents: TarContents): WriteBatch {
    const batch = new WriteBatch(contents);
    if (this.#inOrder) for (const before of this.#batches) batch.waitFor(before);
    this.#open = batch;
    this.#batches.add(batch);
    contents.begin(batch);
    return batch;
  }

  /** The open batch gets no more operations. */
  #close(): void {
    const batch = this.#open;
    this.#open = undefined;
    if (batch === undefined) return;
    this.#claim(batch.contents);
    if (batch.ready) this.#run(batch);
  }

  #claim(contents: TarContents): void {
    const first = this.#waiting[0];
    if (first !== undefined && first.contents !== contents) return;
    const { file, operation } = first ?? {};
    const next = file === undefined ? operation?.tarOffset : file.offset + file.done;
    contents.claim(Math.min(next ?? contents.kept, contents.kept));
  }

  async #run(batch: WriteBatch): Promise<void> {
    batch.started = true;
    this.#running++;
    try {
      const result = await batch.contents.executor.run(batch.encode());
      if (this.#failure === undefined) this.#check(batch, result);
    } catch (error) {
      this.abort(error);
    } finally {
      this.#running--;
      this.#end(batch);
    }
  }

  #check(batch: WriteBatch, { failed, skippedOwners, skippedXattrs, skippedDevices }: BatchResult): void {
    if (failed !== undefined) {
      const operation = batch.operations[failed.operation];
      const path = batch.named.get(failed.operation) ?? operation?.path ?? '';
      throw writeFailed(this.#directory, path, failed);
    }
    // What hides something must not be left out: something else would be there.
    const dispensable = batch.operations.filter(
      ({ kind, required }) => kind === TREE_OPERATION.NODE && !required,
    );
    if (skippedDevices > dispensable.length) {
      const whiteout = batch.operations.find(({ required }) => required === true);
      const errno = constants.errno.EPERM;
      throw writeFailed(this.#directory, whiteout?.path ?? '', { operation: 0, call: 'mknod', errno });
    }
    this.skipped.owners += skippedOwners;
    this.skipped.xattrs += skippedXattrs;
    this.skipped.devices += skippedDevices;
  }

  #end(batch: WriteBatch): void {
    this.#batches.delete(batch);
    this.#reservations.release(batch);
    this.#openFiles -= batch.filesEnded;
    for (const next of batch.end()) if (next !== this.#open && this.#failure === undefined) this.#run(next);
    if (batch.filesEnded > 0) this.#proceed();
    batch.contents.end();
    for (const listener of this.#listeners.splice(0)) listener();
  }

  #change(): Promise<void> {
    return new Promise(resolve => this.#listeners.push(resolve));
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }
}
