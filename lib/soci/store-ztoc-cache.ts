/**
 * A ztoc cache in a store: a built ztoc is a blob like any other, and which one
 * was built of a layer is an answer that the store remembers.
 */

import { sha256Digest } from '../registry/digest.js';
import type { AbortableOptions } from '../source/range-source.js';
import type { Store } from '../store/store.js';
import { DEFAULT_ZTOC_LIMITS } from '../ztoc/limits.js';
import { type ZtocCache, type ZtocKey, ztocKeyText } from './ztoc-cache.js';

export class StoreZtocCache implements ZtocCache {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async get(key: ZtocKey, options: AbortableOptions = {}): Promise<Uint8Array | undefined> {
    options.signal?.throwIfAborted();
    const digest = (await this.#store.recall(questionOf(key)))?.value;
    return typeof digest === 'string'
      ? await this.#store.get(digest, DEFAULT_ZTOC_LIMITS.maxZtocBytes)
      : undefined;
  }

  async put(key: ZtocKey, bytes: Uint8Array, options: AbortableOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const digest = sha256Digest(bytes);
    await this.#store.put(digest, bytes);
    await this.#store.remember(questionOf(key), digest);
  }
}

function questionOf(key: ZtocKey): readonly string[] {
  return ['ztoc', ztocKeyText(key)];
}
