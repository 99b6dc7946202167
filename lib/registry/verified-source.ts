/**
 * A blob as a RangeSource whose `stream()` also proves that the bytes are the
 * blob: the end is only reported if the digest is right. Range reads pass
 * through; their reader has span digests for that.
 */
import { type FileLender, LEND_FILE } from '../source/lent-file.js';
import type { LinkEstimate } from '../source/link-estimate.js';
import type { RangeSource, ReadOptions, SourceKeeping } from '../source/range-source.js';
import type { Descriptor } from './descriptor.js';
import { ContentVerifier, hashFor } from './digest.js';

export class VerifiedSource implements RangeSource {
  readonly size: number;
  readonly name: string;
  readonly ownMemory: boolean;
  readonly keeping: SourceKeeping | undefined;
  /** @internal */
  readonly [LEND_FILE]: FileLender | undefined;
  readonly #source: RangeSource;
  readonly #digest: string;

  /** @throws SociError ERR_SOCI_DIGEST_INVALID */
  constructor(source: RangeSource, descriptor: Descriptor) {
    this.#source = source;
    // Before the first byte: what cannot be proved is not worth fetching.
    hashFor(descriptor.digest, source.name);
    this.#digest = descriptor.digest;
    this.name = source.name;
    this.size = descriptor.size;
    this.ownMemory = source.ownMemory === true;
    this.keeping = source.keeping;
    this[LEND_FILE] = source[LEND_FILE];
  }

  get link(): LinkEstimate | undefined {
    return this.#source.link;
  }

  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    return this.#source.readInto(target, offset, options);
  }

  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array> {
    return this.#source.read(offset, length, options);
  }

  async *stream(options?: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    if (options?.provedByReader === true) {
      yield* this.#source.stream(options);
      return;
    }
    const verifier = new ContentVerifier(this.#digest, this.size, this.name);
    for await (const chunk of this.#source.stream(options)) {
      verifier.update(chunk);
      yield chunk;
    }
    verifier.finish();
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** All of `source`, verified. The caller has checked that its size may be taken into memory. */
export async function readVerified(
  source: RangeSource,
  descriptor: Descriptor,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(descriptor.size);
  let filled = 0;
  for await (const chunk of new VerifiedSource(source, descriptor).stream({ signal })) {
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  return bytes;
}
