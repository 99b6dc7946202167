/** Blobs and sources for tests of the store. */
import { createHash } from 'node:crypto';
import { subscribe } from '../../lib/observe/channels.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import { FilledSource, type ReadOptions } from '../../lib/source/range-source.js';

export interface Sample {
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly size: number;
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Bytes without a pattern, the same for the same seed. */
export function sample(size: number, seed = 1): Sample {
  const bytes = new Uint8Array(size);
  let state = seed >>> 0 || 1;
  for (let at = 0; at < size; at++) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  return { bytes, digest: digestOf(bytes), size };
}

/** A source that says what was read of it, and may be made to lie or fail. */
export class Origin extends FilledSource {
  readonly name = 'origin';
  readonly size: number;
  readonly reads: { readonly offset: number; readonly length: number; readonly fresh: boolean }[] = [];
  streams = 0;
  closed = 0;
  /** What arrives instead of the bytes. */
  intercept: ((bytes: Uint8Array, offset: number) => Uint8Array | Promise<Uint8Array>) | undefined;
  readonly #inner: BufferSource;

  constructor({ bytes }: Pick<Sample, 'bytes'>) {
    super();
    this.size = bytes.length;
    this.#inner = new BufferSource(bytes);
  }

  get fetched(): number {
    return this.reads.reduce((sum, { length }) => sum + length, 0);
  }

  override async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    this.reads.push({ offset, length, fresh: options.fresh === true });
    const bytes = new Uint8Array(await this.#inner.read(offset, length, options));
    return (await this.intercept?.(bytes, offset)) ?? bytes;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    target.set(await this.read(offset, target.length, options));
  }

  override async *stream(options?: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    this.streams++;
    for (let at = 0; at < this.size; at += 100_000) {
      yield await this.#inner.read(at, Math.min(100_000, this.size - at), options);
    }
  }

  async close(): Promise<void> {
    this.closed++;
    await this.#inner.close();
  }
}

/** Everything that stores publish from now on, as `damage 4096`, `completed`, `failure write ENOSPC`. */
export function watchStores(t: { teardown(work: () => void): void }): string[] {
  const heard: string[] = [];
  const endings = [
    subscribe('seekable-oci:store:damage', ({ bytes }) => heard.push(`damage ${bytes}`)),
    subscribe('seekable-oci:store:blob', ({ outcome }) => heard.push(outcome)),
    subscribe('seekable-oci:store:failure', ({ operation, reason }) =>
      heard.push(`failure ${operation} ${reason}`),
    ),
  ];
  t.teardown(() => {
    for (const end of endings) end();
  });
  return heard;
}
