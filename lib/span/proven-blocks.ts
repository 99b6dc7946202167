/**
 * SHA-256 of what a layer really holds, by span and (of huge ones) block, as a
 * decoder found out that began at the layer's start: what is decoded from a
 * checkpoint later must be the same.
 */
import { SociError } from '../errors.js';
import { sameDigest, sha256 } from './span-digest.js';

export class ProvenBlocks {
  readonly #digests: Uint8Array[][] = [];

  /** Notes the next block of a span. */
  async add(span: number, bytes: Uint8Array): Promise<void> {
    const digest = await sha256(bytes);
    this.#digests[span] ??= [];
    this.#digests[span]?.push(digest);
  }

  /** @throws SociError ERR_SOCI_WINDOW_MISMATCH unless `bytes` are what the layer named `name` holds there */
  async check(name: string, span: number, block: number, bytes: Uint8Array): Promise<void> {
    const expected = this.#digests[span]?.[block];
    if (expected !== undefined && sameDigest(await sha256(bytes), expected)) return;
    throw new SociError(
      'ERR_SOCI_WINDOW_MISMATCH',
      `span ${span} of ${name} decodes to other bytes from its checkpoint than from the start of the layer: ` +
        'the ztoc was forged or does not belong to this layer',
      { data: { span } },
    );
  }
}
