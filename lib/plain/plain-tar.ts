/**
 * A table of contents for any plain tar, made in one pass over its bytes: a ztoc
 * of an uncompressed layer, and beside it what no ztoc can say of sparse files.
 * The same pass hashes the stream, so that the table is known to be that of the
 * layer's diffID.
 */
import { createHash, type Hash } from 'node:crypto';
import { SociError } from '../errors.js';
import { type SparseMap, sparseMapOf } from '../layer/sparse-map.js';
import { LENIENT } from '../tar/policy.js';
import { TarWalk } from '../tar/tar-walk.js';
import { BUILD_TOOL_IDENTIFIER } from '../ztoc/build-tool.js';
import { RAW } from '../ztoc/codec/raw.js';
import { encodeTarZinfo } from '../ztoc/codec/tar-zinfo.js';
import { encodeZtoc } from '../ztoc/encode.js';
import { EntryStore } from '../ztoc/entry-store.js';
import { resolveLimits, type ZtocLimits } from '../ztoc/limits.js';
import { ZTOC_VERSION } from '../ztoc/schema.js';
import { Ztoc } from '../ztoc/ztoc.js';
import type { UnpackBudget } from './unpack-budget.js';

/** The file is local: a span is what one read takes, not what a request is worth. */
const SPAN_SIZE = 2 ** 20;

export interface PlainTarTable {
  readonly ztoc: Ztoc;
  /** By entry. */
  readonly sparse: ReadonlyMap<number, SparseMap>;
}

export class PlainTarPass {
  readonly #limits: ZtocLimits;
  readonly #budget: UnpackBudget;
  readonly #name: string;
  readonly #algorithm: string;
  readonly #hash: Hash;
  #spanHash = createHash('sha256');
  readonly #spanDigests: string[] = [];
  readonly #entries: EntryStore;
  readonly #sparse = new Map<number, SparseMap>();
  readonly #walk = new TarWalk(LENIENT, ({ entry: { fields }, sparse }) => {
    if (sparse !== undefined) this.#sparse.set(this.#entries.length, sparseMapOf(fields, sparse));
    this.#entries.add(fields);
  });
  #bytes = 0;

  /**
   * @param budget what the bytes of the tar stream are taken from
   * @param algorithm of the diffID
   */
  constructor(
    name: string,
    budget: UnpackBudget,
    limits: Partial<ZtocLimits> | undefined,
    algorithm = 'sha256',
  ) {
    this.#name = name;
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
    this.#budget = budget;
    this.#limits = resolveLimits(limits);
    this.#entries = new EntryStore(this.#limits);
  }

  /** @throws SociError ERR_SOCI_LIMIT, ERR_SOCI_TAR_HEADER, ERR_SOCI_TAR_UNSUPPORTED */
  push(chunk: Uint8Array): void {
    this.#budget.take(chunk.length, this.#name);
    this.#hash.update(chunk);
    this.#hashSpans(chunk);
    this.#bytes += chunk.length;
    this.#walk.push(chunk);
  }

  /** The stream is not kept after all. */
  discard(): void {
    this.#budget.giveBack(this.#bytes);
    this.#bytes = 0;
  }

  /** @throws SociError ERR_SOCI_DIGEST_MISMATCH unless the stream has the digest `diffId`; ERR_SOCI_LAYER_TRUNCATED */
  finish(diffId: string): PlainTarTable {
    const found = `${this.#algorithm}:${this.#hash.digest('hex')}`;
    if (found !== diffId) {
      throw new SociError(
        'ERR_SOCI_DIGEST_MISMATCH',
        `${this.#name}: expected a tar stream of ${diffId} (the config's diff_ids), found ${found}`,
        { data: { digest: diffId, found, received: this.#bytes } },
      );
    }
    return this.table();
  }

  /** As `finish`, of a stream that nobody states a digest of. @throws SociError ERR_SOCI_LAYER_TRUNCATED */
  table(): PlainTarTable {
    const tarEnd = this.#walk.finish();
    if (this.#bytes % SPAN_SIZE !== 0) this.#endSpan();
    const bytes = encodeZtoc({
      version: ZTOC_VERSION,
      buildToolIdentifier: BUILD_TOOL_IDENTIFIER,
      algorithm: RAW.algorithm,
      compressedSize: this.#bytes,
      uncompressedSize: tarEnd,
      maxSpanId: this.#spanDigests.length - 1,
      spanDigests: this.#spanDigests,
      checkpoints: encodeTarZinfo({ spanSize: SPAN_SIZE, size: this.#bytes }),
      entryCount: this.#entries.length,
      entryBytes: this.#entries.bytes,
      entryAt: index => this.#entries.at(index),
    });
    return { ztoc: Ztoc.decode(bytes, { limits: this.#limits }), sparse: this.#sparse };
  }

  #hashSpans(chunk: Uint8Array): void {
    let at = this.#bytes;
    for (let rest = chunk; rest.length > 0; ) {
      const part = rest.subarray(0, SPAN_SIZE - (at % SPAN_SIZE));
      this.#spanHash.update(part);
      at += part.length;
      if (at % SPAN_SIZE === 0) this.#endSpan();
      rest = rest.subarray(part.length);
    }
  }

  #endSpan(): void {
    this.#spanDigests.push(`sha256:${this.#spanHash.digest('hex')}`);
    this.#spanHash = createHash('sha256');
  }
}
