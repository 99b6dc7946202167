/**
 * Ztocs that this installation has built itself, so that a layer is indexed
 * once. A layer's digest, the span size and the tool decide a ztoc's bytes; what
 * others have built has no place here.
 */
import type { AbortableOptions } from '../source/range-source.js';

export interface ZtocKey {
  /** 'sha256:…' of the layer as it is stored. */
  readonly layerDigest: string;
  /** Uncompressed bytes between checkpoints. */
  readonly spanSize: number;
  readonly buildToolIdentifier: string;
}

/** A cache may forget at any time. What it returns is decoded and checked against the layer's size by its caller. */
export interface ZtocCache {
  get(key: ZtocKey, options?: AbortableOptions): Promise<Uint8Array | undefined>;
  put(key: ZtocKey, bytes: Uint8Array, options?: AbortableOptions): Promise<void>;
}

/** The same text for the same key, and for no other. */
export function ztocKeyText({ layerDigest, spanSize, buildToolIdentifier }: ZtocKey): string {
  return JSON.stringify([layerDigest, spanSize, buildToolIdentifier]);
}
