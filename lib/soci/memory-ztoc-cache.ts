/** A ztoc cache for one process: the least recently used go when there is no more room. */
import { LRUCache } from 'lru-cache';

import { type ZtocCache, type ZtocKey, ztocKeyText } from './ztoc-cache.js';

const DEFAULT_MAX_BYTES = 256 * 2 ** 20;

export class MemoryZtocCache implements ZtocCache {
  readonly #ztocs: LRUCache<string, Uint8Array>;

  /** @param maxBytes Of all ztocs together. Default 256 MiB. */
  constructor(maxBytes: number = DEFAULT_MAX_BYTES) {
    this.#ztocs = new LRUCache({ maxSize: maxBytes, sizeCalculation: bytes => Math.max(bytes.length, 1) });
  }

  async get(key: ZtocKey): Promise<Uint8Array | undefined> {
    return this.#ztocs.get(ztocKeyText(key));
  }

  async put(key: ZtocKey, bytes: Uint8Array): Promise<void> {
    this.#ztocs.set(ztocKeyText(key), bytes);
  }
}
