/**
 * A layer to be read once from its first byte to its last, wherever it comes
 * from. Small chunks are gathered into buffers of our own: the indexer wants
 * large jobs, and a producer may reuse its buffer as soon as it is asked for
 * the next chunk. The next buffer fills while the last one is worked on.
 */
import { addAbortListener, removeAbortListener } from '../async/abort-listeners.js';
import { invalidArgument } from '../errors.js';
import { FileSource } from '../source/file-source.js';
import type { GivenSource } from '../source/given-source.js';

/** A RangeSource, all bytes at once, a Readable, or any iterable of chunks. */
export type LayerInput = GivenSource | Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** What the indexer takes at most in one job. */
const CHUNK_SIZE = 1 << 20;

/** What messages call a layer: its source's name, if it has one. */
export function layerName(input: LayerInput): string | undefined {
  return isRangeSource(input) ? input.name : undefined;
}

export function isRangeSource(input: LayerInput): input is GivenSource {
  const candidate = (input ?? {}) as Partial<GivenSource>;
  return typeof candidate.stream === 'function' && typeof candidate.read === 'function';
}

/**
 * Chunks of at most 1 MiB, each valid until the next one is asked for. All but
 * the last are full. Leaving the loop early ends the input: a stream is
 * destroyed, an iterator's return() called, even while a chunk is awaited.
 */
export async function* layerChunks(
  input: LayerInput,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted();
  if (input instanceof Uint8Array) {
    for (let at = 0; at < input.length; at += CHUNK_SIZE) yield input.subarray(at, at + CHUNK_SIZE);
    return;
  }
  const gatherer =
    input instanceof FileSource
      ? new FileFiller(input, signal)
      : new Gatherer(isRangeSource(input) ? input.stream({ signal }) : input, signal);
  let buffer = new Uint8Array(CHUNK_SIZE);
  let spare = new Uint8Array(CHUNK_SIZE);
  try {
    let filling = gatherer.fill(buffer);
    for (;;) {
      const length = await filling;
      if (length === 0) return;
      filling = gatherer.fill(spare);
      filling.catch(() => {}); // reported when it is awaited, if it ever is
      yield buffer.subarray(0, length);
      [buffer, spare] = [spare, buffer];
    }
  } finally {
    await gatherer.close();
  }
}

/** Reads a file straight into the buffers: a new one for every chunk would keep the garbage collector busy. */
class FileFiller {
  readonly #source: FileSource;
  readonly #signal: AbortSignal | undefined;
  #position = 0;
  #filling: Promise<void> | undefined;

  constructor(source: FileSource, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#signal = signal;
  }

  async fill(buffer: Uint8Array): Promise<number> {
    const target = buffer.subarray(0, this.#source.size - this.#position);
    const offset = this.#position;
    this.#position += target.length;
    this.#filling = this.#source.readInto(target, offset, { signal: this.#signal });
    await this.#filling;
    return target.length;
  }

  /** The caller may close the source then. */
  async close(): Promise<void> {
    await this.#filling?.catch(() => {});
  }
}

class Gatherer {
  readonly #input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly #iterator: AsyncIterator<unknown> | Iterator<unknown>;
  readonly #signal: AbortSignal | undefined;
  #rest: Uint8Array = new Uint8Array(0);
  #ended = false;
  #waiting = false;
  #rejectWaiting: ((reason: unknown) => void) | undefined;

  constructor(input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, signal: AbortSignal | undefined) {
    this.#input = input;
    const iterable = typeof input === 'object' && input !== null;
    if (iterable && Symbol.asyncIterator in input) this.#iterator = input[Symbol.asyncIterator]();
    else if (iterable && Symbol.iterator in input) this.#iterator = input[Symbol.iterator]();
    else {
      const expected = 'a RangeSource, a Uint8Array, a Readable or an iterable of Uint8Arrays';
      throw invalidArgument('a layer', expected, input);
    }
    this.#signal = signal;
    addAbortListener(signal, this.#onAbort);
  }

  /** Bytes written, fewer than the buffer holds only at the input's end. */
  async fill(buffer: Uint8Array): Promise<number> {
    let length = 0;
    while (length < buffer.length) {
      if (this.#rest.length === 0) {
        if (this.#ended) break;
        this.#rest = await this.#next();
        continue;
      }
      const part = this.#rest.subarray(0, buffer.length - length);
      buffer.set(part, length);
      length += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return length;
  }

  async close(): Promise<void> {
    removeAbortListener(this.#signal, this.#onAbort);
    if (this.#ended) return;
    this.#ended = true;
    // A stream's iterator would wait for the chunk under way before it returns.
    const stream = this.#input as { destroy?: () => void };
    if (typeof stream.destroy === 'function') stream.destroy();
    const returned = Promise.resolve(this.#iterator.return?.()).catch(() => {});
    if (!this.#waiting) await returned;
  }

  async #next(): Promise<Uint8Array> {
    this.#signal?.throwIfAborted();
    this.#waiting = true;
    let result: IteratorResult<unknown>;
    try {
      result = await new Promise((resolve, reject) => {
        this.#rejectWaiting = reject;
        Promise.resolve(this.#iterator.next()).then(value => {
          this.#waiting = false;
          resolve(value);
        }, reject);
      });
    } catch (error) {
      if (this.#signal?.aborted !== true) this.#ended = true; // an iterator that threw is done
      throw error;
    }
    if (result.done === true) {
      this.#ended = true;
      return new Uint8Array(0);
    }
    if (result.value instanceof Uint8Array) return result.value;
    throw invalidArgument('the chunks of a layer', 'Uint8Arrays', result.value);
  }

  readonly #onAbort = (): void => {
    this.#rejectWaiting?.(this.#signal?.reason);
  };
}
