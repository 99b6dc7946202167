/**
 * A file of a layer, or all of its tar, as a Readable: whole spans at a time,
 * the next ones being fetched and decoded on all threads that decode while
 * these are consumed, in a few pieces of bounded size however long the stream.
 */
import { Readable } from 'node:stream';
import { settings } from '../span/settings.js';

/** Decoded bytes of a piece after the first: two spans of the usual size. A single span may be more. */
const PIECE_BYTES = 8 * 1024 * 1024;
/** With fewer pieces nothing would be fetched while one is decoded. */
const LEAST_PIECES = 2;
/** What is pushed at once, so that a consumer's back pressure takes effect. */
const CHUNK_BYTES = 256 * 1024;

/** What is streamed. Offsets are its own. */
export interface StreamedFile {
  readonly start: number;
  readonly end: number;
  /** All of a piece, or parts of it that follow each other: each is pushed as soon as it and those before it are there. */
  read(start: number, end: number, signal: AbortSignal): Promise<Uint8Array> | readonly Promise<Uint8Array>[];
  /** Where a piece from `start` of about `bytes` bytes ends, so that no span is divided. */
  pieceEnd(start: number, bytes: number): number;
}

export class FileStream extends Readable {
  readonly #open: (signal: AbortSignal) => StreamedFile | Promise<StreamedFile>;
  readonly #signal: AbortSignal | undefined;
  readonly #controller = new AbortController();
  /** Pieces under way, each as the parts of it that were not taken yet. */
  readonly #ahead: Promise<Uint8Array>[][] = [];
  readonly #onAbort = (): void => {
    this.destroy(this.#signal?.reason);
  };
  #file: StreamedFile | undefined;
  #next = 0;
  #part: Uint8Array = new Uint8Array(0);

  /** @param open looks the file up; an error of it is the stream's. Its signal fires when the stream is destroyed. */
  constructor(open: (signal: AbortSignal) => StreamedFile | Promise<StreamedFile>, signal?: AbortSignal) {
    super();
    this.#open = open;
    this.#signal = signal;
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  override _construct(callback: (error?: Error | null) => void): void {
    // Who destroyed the stream knows why it could not be opened.
    this.#construct().then(
      () => callback(),
      error => callback(this.destroyed ? null : error),
    );
  }

  override destroy(error?: Error): this {
    // Node calls _destroy only when _construct has called back.
    this.#controller.abort(error ?? new Error('the stream was destroyed'));
    return super.destroy(error);
  }

  override _read(): void {
    this.#readChunk().then(
      chunk => {
        if (!this.destroyed) this.push(chunk);
      },
      (error: Error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#controller.abort(error ?? new Error('the stream was destroyed'));
    this.#ahead.length = 0;
    this.#part = new Uint8Array(0);
    callback(error);
  }

  async #construct(): Promise<void> {
    this.#file = await this.#open(this.#controller.signal);
    this.#next = this.#file.start;
  }

  async #readChunk(): Promise<Uint8Array | null> {
    while (this.#part.length === 0) {
      this.#fetchAhead();
      const piece = this.#ahead[0];
      if (piece === undefined) return null;
      const part = piece.shift();
      if (part === undefined) this.#ahead.shift();
      else this.#part = await part;
    }
    const chunk = this.#part.subarray(0, CHUNK_BYTES);
    this.#part = this.#part.subarray(CHUNK_BYTES);
    return chunk;
  }

  #fetchAhead(): void {
    const file = this.#file;
    const pieces = Math.max(LEAST_PIECES, settings().decodeConcurrency);
    while (file !== undefined && this.#next < file.end && this.#ahead.length < pieces) {
      // The first piece is one span, so that the first byte does not wait for more than it needs.
      const end = file.pieceEnd(this.#next, this.#next === file.start ? 0 : PIECE_BYTES);
      const parts = [file.read(this.#next, end, this.#controller.signal)].flat();
      // Whoever comes to a part gets its error; when the stream is destroyed before, nobody does.
      for (const part of parts) part.catch(() => {});
      this.#ahead.push(parts);
      this.#next = end;
    }
  }
}
