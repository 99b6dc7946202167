/**
 * A file of a layer as a Readable: whole spans at a time, the next ones being
 * fetched and decoded while this one is consumed, in a few pieces of bounded
 * size however large the file is.
 */
import { Readable } from 'node:stream';

/** Pieces under way beside the one that is being consumed. */
const READ_AHEAD = 2;
/** Decoded bytes of a piece after the first; a single span may be more. */
const PIECE_BYTES = 8 * 1024 * 1024;
/** What is pushed at once, so that a consumer's back pressure takes effect. */
const CHUNK_BYTES = 256 * 1024;

/** A file opened for streaming. Offsets are those of the file. */
export interface StreamedFile {
  readonly start: number;
  readonly end: number;
  read(start: number, end: number, signal: AbortSignal): Promise<Uint8Array>;
  /** Where a piece from `start` of about `bytes` bytes ends, so that no span is divided. */
  pieceEnd(start: number, bytes: number): number;
}

export class FileStream extends Readable {
  readonly #open: (signal: AbortSignal) => StreamedFile | Promise<StreamedFile>;
  readonly #signal: AbortSignal | undefined;
  readonly #controller = new AbortController();
  readonly #ahead: Promise<Uint8Array>[] = [];
  readonly #onAbort = (): void => {
    this.destroy(this.#signal?.reason);
  };
  #file: StreamedFile | undefined;
  #next = 0;
  #piece: Uint8Array = new Uint8Array(0);

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
    this.#piece = new Uint8Array(0);
    callback(error);
  }

  async #construct(): Promise<void> {
    this.#file = await this.#open(this.#controller.signal);
    this.#next = this.#file.start;
  }

  async #readChunk(): Promise<Uint8Array | null> {
    if (this.#piece.length === 0) {
      this.#fetchAhead();
      const piece = this.#ahead.shift();
      if (piece === undefined) return null;
      this.#fetchAhead();
      this.#piece = await piece;
    }
    const chunk = this.#piece.subarray(0, CHUNK_BYTES);
    this.#piece = this.#piece.subarray(CHUNK_BYTES);
    return chunk;
  }

  #fetchAhead(): void {
    const file = this.#file;
    while (file !== undefined && this.#next < file.end && this.#ahead.length < READ_AHEAD) {
      // The first piece is one span, so that the first byte does not wait for more than it needs.
      const end = file.pieceEnd(this.#next, this.#next === file.start ? 0 : PIECE_BYTES);
      const piece = file.read(this.#next, end, this.#controller.signal);
      // Whoever comes to this piece gets the error; when the stream is destroyed before, nobody does.
      piece.catch(() => {});
      this.#ahead.push(piece);
      this.#next = end;
    }
  }
}
