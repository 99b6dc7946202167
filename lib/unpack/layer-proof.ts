/**
 * Whether a layer is what it is said to be: the digest of its stored bytes, and
 * that of its tar (the diffID of the image's config). The indexer computes both as
 * SHA-256; what is stated otherwise is hashed here, from the same bytes.
 */
import type { Hash } from 'node:crypto';
import { SociError } from '../errors.js';
import { digestAlgorithm, hashFor } from '../registry/digest.js';

export interface StatedDigests {
  /** Of the stored bytes. */
  readonly digest?: string | undefined;
  /** Of the tar. */
  readonly diffId?: string | undefined;
}

/** As the indexer computes them; undefined: those bytes did not pass it. */
export interface IndexedDigests {
  readonly digest: string | undefined;
  readonly diffId: string;
}

export class LayerProof {
  readonly #name: string;
  readonly #stated: StatedDigests;
  readonly #stored: Hash | undefined;
  readonly #tar: Hash | undefined;
  #storedSeen = false;

  /** @throws SociError ERR_SOCI_DIGEST_INVALID for a digest that cannot be computed */
  constructor(name: string, stated: StatedDigests) {
    const { digest, diffId } = stated;
    this.#name = name;
    this.#stated = stated;
    this.#stored = digest === undefined ? undefined : hashFor(digest, name);
    const tar = diffId === undefined ? undefined : hashFor(diffId, name);
    this.#tar = diffId !== undefined && isIndexed(diffId) ? undefined : tar;
  }

  /** Whether the stored bytes are to be passed here even if they pass the indexer. */
  get wantsStored(): boolean {
    const { digest } = this.#stated;
    return digest !== undefined && !isIndexed(digest);
  }

  /** Whether the bytes of the tar are to be passed here. */
  get wantsTar(): boolean {
    return this.#tar !== undefined;
  }

  addStored(chunk: Uint8Array): void {
    this.#storedSeen = true;
    this.#stored?.update(chunk);
  }

  addTar(chunk: Uint8Array): void {
    this.#tar?.update(chunk);
  }

  /** All bytes have passed. @throws SociError ERR_SOCI_DIGEST_MISMATCH */
  finish(indexed: IndexedDigests): void {
    const { digest, diffId } = this.#stated;
    if (digest !== undefined) {
      const found = this.#storedSeen ? hexOf(this.#stored as Hash, digest) : indexed.digest;
      if (found !== digest) throw this.#mismatch('a layer with the digest', digest, found);
    }
    if (diffId === undefined) return;
    const found = this.#tar === undefined ? indexed.diffId : hexOf(this.#tar, diffId);
    if (found !== diffId) throw this.#mismatch("a tar with the digest (the config's diffID)", diffId, found);
  }

  #mismatch(what: string, expected: string, found: string | undefined): SociError {
    return new SociError(
      'ERR_SOCI_DIGEST_MISMATCH',
      `${this.#name}: expected ${what} ${expected}, found ${found}`,
      { data: { digest: expected, expected, found } },
    );
  }
}

function isIndexed(digest: string): boolean {
  return digestAlgorithm(digest) === 'sha256';
}

function hexOf(hash: Hash, digest: string): string {
  return `${digestAlgorithm(digest)}:${hash.digest('hex')}`;
}
