/**
 * One layer through: its tar is decoded and indexed as it comes, each entry changes
 * the tree, and files are written as soon as their bytes are there. That they are
 * what they are said to be is proved by the same bytes.
 */
import { fileError, type SociError } from '../errors.js';
import { type SparseMap, sparseMapOf } from '../layer/sparse-map.js';
import { completeSource, type GivenSource } from '../source/given-source.js';
import type { ReadContext } from '../span/read-context.js';
import { decodeByteString } from '../tar/byte-string.js';
import type { ParsedEntry } from '../tar/header-parser.js';
import type { Overlay } from '../tree/overlay.js';
import { indexedZtoc, sha256 } from '../ztoc/build.js';
import { cleanPath } from '../ztoc/entry-path.js';
import { EntryStore } from '../ztoc/entry-store.js';
import { type IndexPassResult, indexChunks } from '../ztoc/index-pass.js';
import { isRangeSource, type LayerInput, layerName } from '../ztoc/layer-input.js';
import { DEFAULT_ZTOC_LIMITS, type ZtocLimits } from '../ztoc/limits.js';
import type { TarSink } from '../ztoc/tar-sink.js';
import type { Ztoc } from '../ztoc/ztoc.js';
import { LayerProof, type StatedDigests } from './layer-proof.js';
import { isOutput } from './operation-executor.js';
import type { TarContents } from './tar-contents.js';
import { openTarInput } from './tar-input.js';
import type { TreeWriting } from './tree-writing.js';
import type { UnpackBounds } from './unpack-limits.js';
import type { UnpackedTree } from './unpacked-tree.js';

/** A layer to unpack. */
export interface LayerToUnpack extends StatedDigests {
  /**
   * Its bytes as stored: gzip, zstd or a plain tar, by the first of them; or the tar that somebody else decompressed,
   * which has no `digest` then.
   */
  readonly content: LayerInput;
  /** Decodes it by spans, on all threads; `content` is a RangeSource then. */
  readonly ztoc?: Ztoc | undefined;
}

/** A layer that is only asked for when it is its turn. */
export type LazyLayer = (signal: AbortSignal) => Promise<LayerToUnpack>;

/** How a ztoc is made on the way. */
export interface ZtocWanted {
  /** Uncompressed bytes between checkpoints. */
  readonly spanSize: number;
  readonly buildToolIdentifier?: string | undefined;
}

export interface LayerProgress {
  /** Bytes of the layer that have been worked through; of one with a ztoc and of zstd: of its tar. */
  readonly bytes: number;
  /** Bytes of its tar. */
  readonly unpackedBytes: number;
}

export interface LayerPassOptions {
  /** Its position, the lowest layer's being 0. */
  readonly position: number;
  readonly overlay: Overlay;
  readonly tree: UnpackedTree;
  readonly writing: TreeWriting;
  readonly contents: TarContents;
  readonly bounds: UnpackBounds;
  /** undefined: none is made. */
  readonly ztoc: ZtocWanted | undefined;
  readonly context: ReadContext;
  readonly onProgress: (progress: LayerProgress) => void;
}

export interface PassedLayer {
  readonly entries: EntryStore;
  /** SHA-256 of the stored bytes, where they were hashed. */
  readonly digest: string | undefined;
  /** SHA-256 of the tar. */
  readonly diffId: string;
  /** Bytes of the tar. */
  readonly unpackedSize: number;
  readonly ztoc: Ztoc | undefined;
  /** Why no ztoc can describe the layer. */
  readonly noZtoc: SociError | undefined;
}

/** Of names, links and xattrs of one layer, and of the windows of its checkpoints. */
const MAX_ENTRY_BYTES = 2 ** 30;
/** No tar is as long: for a layer whose checkpoints nobody wants. */
const NO_CHECKPOINTS = 2 ** 50;

export class LayerPass {
  readonly #layer: LayerToUnpack;
  readonly #options: LayerPassOptions;
  readonly #name: string;
  readonly #proof: LayerProof;
  readonly #contents: TarContents;
  readonly #entries: EntryStore;
  readonly #sparse = new Map<number, SparseMap>();
  readonly #limits: ZtocLimits;
  #unpackedBytes = 0;
  #noZtoc: SociError | undefined;

  /** @throws SociError ERR_SOCI_DIGEST_INVALID */
  constructor(layer: LayerToUnpack, options: LayerPassOptions) {
    const { maxEntries } = options.bounds.limits;
    this.#layer = layer;
    this.#options = options;
    this.#name = layerName(layer.content) ?? `layer ${options.position}`;
    this.#proof = new LayerProof(this.#name, layer);
    this.#contents = options.contents;
    this.#limits = { ...DEFAULT_ZTOC_LIMITS, maxEntries, maxZtocBytes: MAX_ENTRY_BYTES };
    this.#entries = new EntryStore(this.#limits);
  }

  /**
   * When it settles, all has been asked of `writing`, and the layer has been proved.
   *
   * @throws SociError ERR_SOCI_DIGEST_MISMATCH, ERR_SOCI_LINK_TARGET, ERR_SOCI_LIMIT; what decoding and indexing
   *   throw; ERR_SOCI_OUTPUT; the signal's reason
   */
  async run(signal: AbortSignal): Promise<PassedLayer> {
    const { overlay, tree, context } = this.#options;
    const { content, ztoc, digest } = this.#layer;
    const entries = this.#entries;
    const sparse = this.#sparse;
    tree.begin({ contents: this.#contents, fields: i => entries.fields(i), sparse: i => sparse.get(i) });
    overlay.begin(entries);
    const { executor } = this.#contents;
    const inputOptions = { name: this.#name, ztoc, proof: this.#proof, context, executor };
    const input = await openTarInput(content, inputOptions, signal);
    const wanted = input.stored ? this.#options.ztoc : undefined;
    const hashed = ztoc === undefined || digest === undefined ? undefined : this.#hash(content, signal);
    hashed?.catch(() => {}); // awaited below, unless something else fails first
    const result = await indexChunks(() => input.chunks, input.stored ? content : this.#name, {
      codec: input.codec,
      spanSize: wanted?.spanSize ?? NO_CHECKPOINTS,
      diffId: true,
      engine: context.settings.engine,
      threads: undefined,
      limits: this.#limits,
      signal,
      onProgress: bytes => this.#options.onProgress({ bytes, unpackedBytes: this.#unpackedBytes }),
      onEntry: parsed => this.#apply(parsed),
      sink: this.#sink(),
    });
    await hashed;
    overlay.end();
    tree.endLayer();
    return this.#finish(result, { stored: input.stored, wanted });
  }

  #apply({ entry: { fields }, sparse }: ParsedEntry): void {
    if (sparse !== undefined) this.#sparse.set(this.#entries.length, sparseMapOf(fields, sparse));
    this.#entries.add(fields);
    if (this.#options.overlay.applyEntry(this.#entries.length - 1)) return;
    throw fileError('ELOOP', 'open', cleanPath(decodeByteString(fields.name)));
  }

  #sink(): TarSink {
    const { writing, bounds } = this.#options;
    const { executor } = this.#contents;
    return {
      output: isOutput(executor) ? executor : undefined,
      hasRoom: () => writing.hasRoom(this.#contents),
      whenRoom: () => writing.whenRoom(this.#contents),
      read: (offset, length) => executor.read(offset, length),
      arrived: (end, kept) => {
        const from = this.#unpackedBytes;
        bounds.take(end - from, this.#name);
        if (this.#proof.wantsTar && end > from) this.#proof.addTar(executor.read(from, end - from));
        this.#unpackedBytes = end;
        writing.arrived(this.#contents, end, kept);
      },
      onUnsupported: reason => {
        this.#noZtoc = reason;
      },
    };
  }

  /** Spans are checked by what the ztoc says, which is not what the layer's digest says. */
  async #hash(content: LayerInput, signal: AbortSignal): Promise<void> {
    if (!isRangeSource(content)) return;
    const source = completeSource(content as GivenSource);
    for await (const chunk of source.stream({ signal, lane: 'background' })) this.#proof.addStored(chunk);
  }

  #finish(
    result: IndexPassResult,
    { stored, wanted }: { readonly stored: boolean; readonly wanted: ZtocWanted | undefined },
  ): PassedLayer {
    const digest = stored ? sha256(result.layerDigest) : undefined;
    const diffId = sha256(result.diffId as Uint8Array);
    this.#proof.finish({ digest, diffId });
    const noZtoc = this.#noZtoc;
    return {
      entries: this.#entries,
      digest: this.#layer.digest ?? digest,
      diffId,
      unpackedSize: result.uncompressedSize,
      ztoc:
        wanted === undefined || noZtoc !== undefined
          ? undefined
          : indexedZtoc(result, this.#entries, { ...wanted, limits: this.#limits }),
      noZtoc,
    };
  }
}
