/**
 * One pass of the native indexer over a layer, with the layer's entries parsed on
 * the way: what building and verifying a ztoc have in common.
 */
import { setImmediate } from 'node:timers/promises';
import {
  createIndexer,
  DEFAULT_ENGINE,
  type EngineName,
  type IndexResult,
  type NativeIndexer,
} from '../binding.js';
import { SociError } from '../errors.js';
import type { TocEntry } from '../tar/entry.js';
import { TarHeaderParser } from '../tar/header-parser.js';
import { isRangeSource, type LayerInput, layerChunks, layerName } from './layer-input.js';
import type { ZtocLimits } from './limits.js';
import type { Compression } from './schema.js';
import { sniffCompression } from './sniff-compression.js';

export interface IndexPassOptions {
  readonly engine: EngineName | undefined;
  /** undefined: sniffed. */
  readonly compression: Compression | undefined;
  readonly spanSize: number;
  readonly diffId: boolean;
  /** Instead of the rule: rows of (in, out, bits). */
  readonly checkpointsAt?: Float64Array;
  /** The first row is the checkpoint that version 1 blobs imply. */
  readonly impliedFirstCheckpoint?: boolean;
  readonly limits: ZtocLimits;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((bytes: number) => void) | undefined;
  /** Called for every entry in the order of the tar; what it throws ends the pass. */
  readonly onEntry: (entry: TocEntry) => void;
}

export interface IndexPassResult extends IndexResult {
  readonly compression: Compression;
}

/** Bytes of a checkpoint in the zinfo blob, which maxZtocBytes has to hold. */
const CHECKPOINT_SIZE = 32_785;

/** ms of parsing at a time. */
const PARSE_SLICE = 10;

/** Errors of the layer carry its name. An aborted pass rejects with the signal's reason. */
export async function indexLayer(input: LayerInput, options: IndexPassOptions): Promise<IndexPassResult> {
  try {
    return await run(input, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    const name = layerName(input);
    if (name === undefined || !(error instanceof SociError) || error.message.includes(name)) throw error;
    throw new SociError(error.code, `${name}: ${error.message}`, {
      data: { ...error.data, layer: name },
      cause: error,
    });
  }
}

async function run(input: LayerInput, options: IndexPassOptions): Promise<IndexPassResult> {
  const { signal } = options;
  let compression = options.compression;
  let indexer: NativeIndexer | undefined;
  const abort = (): void => indexer?.abort();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const records = new RecordReader(options.onEntry);
    let total = 0;
    for await (const chunk of layerChunks(input, signal)) {
      compression ??= sniffCompression(chunk);
      indexer ??= start(compression, options);
      await feedAll(indexer, chunk, records);
      signal?.throwIfAborted();
      total += chunk.length;
      options.onProgress?.(total);
    }
    compression ??= 'uncompressed'; // no byte at all
    indexer ??= start(compression, options);
    await records.parse();
    const result = await indexer.finish().catch(error => {
      throw records.explain(error);
    });
    signal?.throwIfAborted();
    checkComplete(input, result.compressedSize);
    return { ...result, compression };
  } catch (error) {
    indexer?.abort();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** A plain tar that ends early between two entries would look whole. */
function checkComplete(input: LayerInput, found: number): void {
  if (!isRangeSource(input) || input.size === found) return;
  const message = `the source gave ${found} bytes, it is said to have ${input.size}`;
  throw new SociError('ERR_SOCI_SOURCE_SHORT', message, { data: { expected: input.size, found } });
}

function start(compression: Compression, options: IndexPassOptions): NativeIndexer {
  const { limits, checkpointsAt, impliedFirstCheckpoint = false } = options;
  const fitting = Math.floor(limits.maxZtocBytes / CHECKPOINT_SIZE);
  return createIndexer({
    compression,
    spanSize: options.spanSize,
    diffId: options.diffId,
    engine: options.engine ?? DEFAULT_ENGINE,
    maxCheckpoints: compression === 'gzip' ? Math.min(limits.maxSpans, fitting) : limits.maxSpans,
    ...(checkpointsAt === undefined ? {} : { checkpointsAt, impliedFirstCheckpoint }),
  });
}

/** A feed stops early when the chunk expands far: then the rest is fed again. */
async function feedAll(indexer: NativeIndexer, chunk: Uint8Array, records: RecordReader): Promise<void> {
  let rest = chunk;
  while (rest.length > 0) {
    const feeding = indexer.feed(rest);
    feeding.catch(() => {}); // reported when it is awaited
    // What the last feed found is parsed here while the next one works on the pool.
    try {
      await records.parse();
    } catch (error) {
      indexer.abort();
      await feeding.catch(() => {});
      throw error;
    }
    const { consumed, headers, produced } = await feeding;
    records.put(headers, produced);
    rest = rest.subarray(consumed);
  }
}

/** Unpacks the indexer's header records: { uint64 LE offset, uint32 LE length, bytes } each. */
class RecordReader {
  readonly #parser = new TarHeaderParser();
  #records: Uint8Array | undefined;
  #streamEnd = 0;
  readonly #onEntry: (entry: TocEntry) => void;

  constructor(onEntry: (entry: TocEntry) => void) {
    this.#onEntry = onEntry;
  }

  /** @param produced bytes of the tar stream so far */
  put(records: Uint8Array | undefined, produced: number): void {
    this.#records = records;
    this.#streamEnd = produced;
  }

  /** Parses what was put last, which may be nothing but headers, without holding up the event loop for long. */
  async parse(): Promise<void> {
    const records = this.#records;
    if (records === undefined) return;
    this.#records = undefined;
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    let at = 0;
    let since = performance.now();
    while (at < records.length) {
      if (performance.now() - since > PARSE_SLICE) {
        await setImmediate();
        since = performance.now();
      }
      const offset = Number(view.getBigUint64(at, true));
      const length = view.getUint32(at + 8, true);
      const start = at + 12;
      at = start + length;
      // An empty extension has no bytes to wait for.
      if (length === 0) continue;
      const entry = this.#parser.push({ offset, bytes: records.subarray(start, at) });
      if (entry !== undefined) this.#onEntry(entry);
    }
  }

  /** A header error that comes at the stream's end, after every record parsed, is about what is missing. */
  explain(error: unknown): unknown {
    if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_TAR_HEADER') return error;
    const offset = this.#streamEnd;
    if (error.data['offset'] !== offset) return error;
    const expected = this.#parser.position;
    const due =
      expected > offset ? `the next header was due at ${expected}` : `inside the header at ${expected}`;
    const message = `the tar stream ends at byte ${offset}, in the middle of an entry: ${due}`;
    return new SociError('ERR_SOCI_LAYER_TRUNCATED', message, { data: { offset, expected }, cause: error });
  }
}
