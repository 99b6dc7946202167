/** Sends what indexes list (ztocs, prefetch artifacts, the empty config), and load orders, to where they will be, each blob once. */

import { runBounded } from '../async/bounded-tasks.js';
import type { Descriptor } from '../registry/descriptor.js';
import { sha256Digest } from '../registry/digest.js';
import { OCTET_STREAM } from '../registry/media-types.js';
import type { Repository } from '../registry/repository.js';
import type { Ztoc } from '../ztoc/ztoc.js';
import { announced } from './announced-events.js';
import type { IndexEventHandler } from './index-event.js';
import { type PrefetchArtifact, prefetchBlob } from './prefetch-plan.js';
import { EMPTY_CONFIG } from './soci-index.js';

const CONCURRENCY = 4;

const CONFIG: Descriptor = {
  mediaType: OCTET_STREAM,
  digest: sha256Digest(EMPTY_CONFIG),
  size: EMPTY_CONFIG.length,
};

export class IndexBlobs {
  readonly #target: Repository;
  readonly #onEvent: IndexEventHandler;
  readonly #sent = new Set<string>();

  constructor(target: Repository, onEvent: IndexEventHandler | undefined) {
    this.#target = target;
    this.#onEvent = announced(onEvent);
  }

  async sendZtoc(ztoc: Ztoc, signal: AbortSignal | undefined): Promise<void> {
    const blob = { mediaType: OCTET_STREAM, digest: ztoc.digest, size: ztoc.bytes.length };
    await this.send(blob, ztoc.bytes, signal);
  }

  async sendZtocs(ztocs: readonly Ztoc[], signal: AbortSignal | undefined): Promise<void> {
    await runBounded(ztocs, CONCURRENCY, signal, (ztoc, abort) => this.sendZtoc(ztoc, abort));
  }

  /** Everything besides ztocs that indexes with these artifacts list. */
  async sendRest(prefetches: readonly PrefetchArtifact[], signal: AbortSignal | undefined): Promise<void> {
    const artifacts = prefetches.map(artifact => [prefetchBlob(artifact), artifact.bytes] as const);
    const blobs = [[CONFIG, EMPTY_CONFIG] as const, ...artifacts];
    await runBounded(blobs, CONCURRENCY, signal, ([blob, bytes], abort) => this.send(blob, bytes, abort));
  }

  async send(blob: Descriptor, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    if (this.#sent.has(blob.digest)) return;
    const onProgress = (sent: number): void => this.#onEvent({ type: 'blob-progress', blob, bytes: sent });
    const result = await this.#target.pushBlob(blob, bytes, { signal, onProgress });
    this.#sent.add(blob.digest);
    this.#onEvent({ type: 'blob-pushed', blob, result });
  }
}
