/** A file of a layer, or all of its tar, as a Readable, read ahead in whole spans. */
import { Readable } from 'node:stream';
import { addAbortListener, removeAbortListener } from '../async/abort-listeners.js';
import { type PiecewiseFile, ReadAhead } from './read-ahead.js';

/** What is pushed at once, so that a consumer's back pressure takes effect. */
const CHUNK_BYTES = 256 * 1024;

export type StreamedFile = PiecewiseFile<Uint8Array>;

export class FileStream extends Readable {
  readonly #open: (signal: AbortSignal) => StreamedFile | Promise<StreamedFile>;
  readonly #signal: AbortSignal | undefined;
  readonly #controller = new AbortController();
  readonly #onAbort = (): void => {
    this.destroy(this.#signal?.reason);
  };
  #ahead: ReadAhead<Uint8Array> | undefined;
  #part: Uint8Array = new Uint8Array(0);

  /** @param open looks the file up; an error of it is the stream's. Its signal fires when the stream is destroyed. */
  constructor(open: (signal: AbortSignal) => StreamedFile | Promise<StreamedFile>, signal?: AbortSignal) {
    super();
    this.#open = open;
    this.#signal = signal;
    if (signal?.aborted) this.#onAbort();
    else addAbortListener(signal, this.#onAbort);
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
    removeAbortListener(this.#signal, this.#onAbort);
    this.#controller.abort(error ?? new Error('the stream was destroyed'));
    this.#ahead = undefined;
    this.#part = new Uint8Array(0);
    callback(error);
  }

  async #construct(): Promise<void> {
    this.#ahead = new ReadAhead(await this.#open(this.#controller.signal), this.#controller.signal);
  }

  async #readChunk(): Promise<Uint8Array | null> {
    while (this.#part.length === 0) {
      const part = await this.#ahead?.next();
      if (part === undefined) return null;
      this.#part = part;
    }
    const chunk = this.#part.subarray(0, CHUNK_BYTES);
    this.#part = this.#part.subarray(CHUNK_BYTES);
    return chunk;
  }
}
