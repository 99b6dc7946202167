/**
 * Digests as the OCI image specification writes them. Names in foreign
 * manifests may use any algorithm of the grammar; bytes are trusted only under
 * one that can be computed: SHA-256, which ztocs and SOCI indexes ask for, and
 * the longer ones of its family, which layers may have as well.
 */
import { createHash, type Hash } from 'node:crypto';

import { SociError } from '../errors.js';

const GRAMMAR = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+$/;
const REGISTERED: Readonly<Record<string, RegExp>> = {
  sha256: /^[a-f0-9]{64}$/,
  sha384: /^[a-f0-9]{96}$/,
  sha512: /^[a-f0-9]{128}$/,
};
const MAX_DIGEST_LENGTH = 255;

/** Whether `text` is a digest by the specification's grammar; registered algorithms need their exact length. */
export function isDigest(text: string): boolean {
  if (text.length > MAX_DIGEST_LENGTH || !GRAMMAR.test(text)) {
    return false;
  }
  const colon = text.indexOf(':');
  const registered = Object.hasOwn(REGISTERED, text.slice(0, colon))
    ? REGISTERED[text.slice(0, colon)]
    : undefined;
  return registered === undefined || registered.test(text.slice(colon + 1));
}

/**
 * Returns `digest` when it is a SHA-256 digest.
 *
 * @param what What the digest names, for the message.
 * @throws SociError ERR_SOCI_DIGEST_INVALID for bad grammar or another algorithm.
 */
export function requireSha256(digest: string, what: string): string {
  if (isDigest(digest) && digest.startsWith('sha256:')) {
    return digest;
  }
  throw invalidDigest(digest, what, 'a sha256 digest');
}

function invalidDigest(digest: string, what: string, expected: string): SociError {
  const found = digest.slice(0, MAX_DIGEST_LENGTH);
  return new SociError(
    'ERR_SOCI_DIGEST_INVALID',
    `${what}: expected ${expected}, found ${JSON.stringify(found)}`,
    { data: { digest: found } },
  );
}

/**
 * Returns `digest` when it is one, of whatever algorithm.
 *
 * @throws SociError ERR_SOCI_DIGEST_INVALID
 */
export function requireDigest(digest: string, what: string): string {
  if (isDigest(digest)) return digest;
  throw invalidDigest(digest, what, 'a digest');
}

/** Whether bytes can be compared with `digest`. */
export function isComputable(digest: string): boolean {
  return isDigest(digest) && Object.hasOwn(REGISTERED, digestAlgorithm(digest));
}

export function digestAlgorithm(digest: string): string {
  return digest.slice(0, digest.indexOf(':'));
}

/** The hash that `digest` is the result of. @throws SociError ERR_SOCI_DIGEST_INVALID when it cannot be computed */
export function hashFor(digest: string, what: string): Hash {
  if (isComputable(digest)) return createHash(digestAlgorithm(digest));
  throw invalidDigest(digest, what, `a digest of ${Object.keys(REGISTERED).join(', ')}`);
}

/** The digest of `bytes`, e.g. `sha256:44136f…`. */
export function sha256Digest(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Compares a stream of bytes with a digest and a size, without keeping the bytes. */
export class ContentVerifier {
  readonly #hash: Hash;
  readonly #digest: string;
  readonly #size: number | undefined;
  readonly #what: string;
  #seen = 0;

  /** @param size Expected length in bytes; undefined when only the digest is known. */
  constructor(digest: string, size: number | undefined, what: string) {
    this.#hash = hashFor(digest, what);
    this.#digest = digest;
    this.#size = size;
    this.#what = what;
  }

  /** @throws SociError ERR_SOCI_DIGEST_MISMATCH as soon as there are more bytes than expected. */
  update(chunk: Uint8Array): void {
    this.#seen += chunk.length;
    if (this.#size !== undefined && this.#seen > this.#size) {
      throw this.#mismatch(`expected ${this.#size} bytes, found more`);
    }
    this.#hash.update(chunk);
  }

  /** @throws SociError ERR_SOCI_DIGEST_MISMATCH when length or digest differ. */
  finish(): void {
    if (this.#size !== undefined && this.#seen !== this.#size) {
      throw this.#mismatch(`expected ${this.#size} bytes, found ${this.#seen}`);
    }
    const actual = `${digestAlgorithm(this.#digest)}:${this.#hash.digest('hex')}`;
    if (actual !== this.#digest) {
      throw this.#mismatch(`expected ${this.#digest}, found ${actual}`);
    }
  }

  #mismatch(detail: string): SociError {
    return new SociError('ERR_SOCI_DIGEST_MISMATCH', `${this.#what}: ${detail}`, {
      data: { digest: this.#digest, size: this.#size, received: this.#seen },
    });
  }
}

/** @throws SociError ERR_SOCI_DIGEST_MISMATCH unless `bytes` are exactly what `digest` (and `size`) name. */
export function verifyContent(
  bytes: Uint8Array,
  digest: string,
  size: number | undefined,
  what: string,
): void {
  const verifier = new ContentVerifier(digest, size, what);
  verifier.update(bytes);
  verifier.finish();
}
