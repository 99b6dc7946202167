/**
 * Where everything is in a store's folder: whole blobs as the OCI image layout
 * has them, and beside them what they are made of while they are not whole.
 */
import { join } from 'node:path';
import { digestAlgorithm } from '../registry/digest.js';

/** Where a blob is kept, and what it must be. */
export interface BlobPlace {
  readonly digest: string;
  readonly size: number;
  /** Once all of it is there. */
  readonly whole: string;
  /** A sparse file, as long as it is not. */
  readonly data: string;
  /** Which blocks of that are there. */
  readonly journal: string;
  /** Who is at it, and when it was used last. */
  readonly use: string;
}

export const JOURNAL_SUFFIX = '.journal';

/** @param digest one that is computable, so that it leads nowhere else */
export function placeOf(root: string, { digest, size }: Pick<BlobPlace, 'digest' | 'size'>): BlobPlace {
  const algorithm = digestAlgorithm(digest);
  const hex = digest.slice(algorithm.length + 1);
  const data = join(partialIn(root, algorithm), hex);
  return {
    digest,
    size,
    whole: join(wholeIn(root, algorithm), hex),
    data,
    journal: data + JOURNAL_SUFFIX,
    use: join(usesIn(root, algorithm), hex),
  };
}

export function wholeIn(root: string, algorithm: string): string {
  return join(root, 'blobs', algorithm);
}

export function partialIn(root: string, algorithm: string): string {
  return join(root, 'partial', algorithm);
}

export function usesIn(root: string, algorithm: string): string {
  return join(root, 'use', algorithm);
}

/** Answers that are remembered: tags, referrers, built ztocs. */
export function answersIn(root: string): string {
  return join(root, 'answers');
}
