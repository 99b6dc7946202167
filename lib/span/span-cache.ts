/**
 * Decoded spans kept for later reads, least recently used first out, bounded
 * in bytes and shared by every layer that is open in a context. Keys are
 * content, so that images that share a layer share its spans. What is in here was
 * verified on its way in, and nobody outside span/ gets hold of it: readers
 * copy, so that no caller can change what the next one reads.
 */
import { LRUCache } from 'lru-cache';

/** What an entry takes beside its bytes: the array, its buffer, the key, the place in the list. */
export const ENTRY_BYTES = 512;

/** A span of one ztoc, as far as one policy trusts it; of a huge span one block. See LayerSpans. */
export type SpanKey = `${string}:${number}` | `${string}:${number}/${number}`;

export class SpanCache {
  #entries: LRUCache<SpanKey, Uint8Array> | undefined;

  constructor(maxBytes: number) {
    this.resize(maxBytes);
  }

  /** Bytes held, ENTRY_BYTES for each entry included. */
  get size(): number {
    return this.#entries?.calculatedSize ?? 0;
  }

  has(key: SpanKey): boolean {
    return this.#entries?.has(key) ?? false;
  }

  get(key: SpanKey): Uint8Array | undefined {
    return this.#entries?.get(key);
  }

  /** Keeps `bytes`, unless they alone exceed the bound. Empty spans are not worth an entry. */
  set(key: SpanKey, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#entries?.set(key, bytes);
  }

  /** Drops the least recently used entry; false when there is none. */
  evictOne(): boolean {
    return this.#entries?.pop() !== undefined;
  }

  clear(): void {
    this.#entries?.clear();
  }

  resize(maxBytes: number): void {
    const kept = this.#entries?.dump() ?? [];
    // lru-cache takes a size of 0 for "unbounded".
    this.#entries =
      maxBytes === 0
        ? undefined
        : new LRUCache({ maxSize: maxBytes, sizeCalculation: bytes => bytes.length + ENTRY_BYTES });
    this.#entries?.load(kept);
  }
}
