/**
 * One pass of the native indexer over a layer, with the layer's entries parsed on
 * the way: what building and verifying a ztoc have in common.
 */
import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { addAbortListener, removeAbortListener } from '../async/abort-listeners.js';
import {
  DEFAULT_ENGINE,
  type EngineName,
  type IndexResult,
  type NativeIndexer,
  type ScanResult,
} from '../binding.js';
import { SociError } from '../errors.js';
import type { TocEntry } from '../tar/entry.js';
import { TarHeaderParser } from '../tar/header-parser.js';
import { RAW } from './codec/raw.js';
import type { SpanCodec } from './codec/span-codec.js';
import { isRangeSource, type LayerInput, layerChunks, layerName } from './layer-input.js';
import type { ZtocLimits } from './limits.js';
import { sniffCodec } from './sniff-compression.js';

export interface IndexPassOptions {
  readonly engine: EngineName | undefined;
  /** undefined: sniffed. */
  readonly codec: SpanCodec | undefined;
  readonly spanSize: number;
  readonly diffId: boolean;
  /** How many decode; undefined: as many as this machine has, 4 at most. */
  readonly threads: number | undefined;
  /** Instead of the rule: rows of (in, out, bits). */
  readonly checkpointsAt?: Float64Array | undefined;
  /** The first row is the checkpoint that version 1 blobs imply. */
  readonly impliedFirstCheckpoint?: boolean;
  readonly limits: ZtocLimits;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((bytes: number) => void) | undefined;
  /** Called for every entry in the order of the tar; what it throws ends the pass. */
  readonly onEntry: (entry: TocEntry) => void;
}

export interface IndexPassResult extends IndexResult {
  readonly codec: SpanCodec;
}

const DEFAULT_THREADS = Math.min(availableParallelism(), 4);

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
  let { codec } = options;
  let scan: LayerScan | undefined;
  const reading = new AbortController();
  const stopReading = (): void => reading.abort(signal?.reason);
  const abort = (): void => {
    scan?.abort();
    stopReading();
  };
  const begin = (as: SpanCodec): LayerScan => new LayerScan(start(as, options), options, stopReading);
  signal?.throwIfAborted();
  addAbortListener(signal, abort);
  try {
    for await (const chunk of layerChunks(input, reading.signal)) {
      codec ??= sniffCodec(chunk);
      scan ??= begin(codec);
      await scan.write(chunk);
    }
    codec ??= RAW; // no byte at all
    scan ??= begin(codec);
    const result = await scan.finish();
    signal?.throwIfAborted();
    checkComplete(input, result.compressedSize);
    return { ...result, codec };
  } catch (error) {
    // What is wrong with the layer lies before whatever ended the reading, and may be the reason for it.
    const earlier = await scan?.failure();
    await scan?.end();
    throw earlier ?? error;
  } finally {
    removeAbortListener(signal, abort);
  }
}

/** A plain tar that ends early between two entries would look whole. */
function checkComplete(input: LayerInput, found: number): void {
  if (!isRangeSource(input) || input.size === found) return;
  const message = `the source gave ${found} bytes, it is said to have ${input.size}`;
  throw new SociError('ERR_SOCI_SOURCE_SHORT', message, { data: { expected: input.size, found } });
}

function start(codec: SpanCodec, options: IndexPassOptions): NativeIndexer {
  const {
    spanSize,
    diffId,
    engine = DEFAULT_ENGINE,
    threads = DEFAULT_THREADS,
    limits,
    checkpointsAt,
    impliedFirstCheckpoint,
  } = options;
  const positions =
    checkpointsAt === undefined
      ? {}
      : { checkpointsAt, impliedFirstCheckpoint: impliedFirstCheckpoint ?? false };
  return codec.createIndexer({ spanSize, diffId, engine, threads, ...positions }, limits);
}

/** Runs under way at once: one that scans, and those that follow it without waiting for us. */
const RUNS = 4;
/** Results that were not looked at, each of which may hold 4 MiB of headers: beyond, nothing more is scanned. */
const MAX_RESULTS = 6;

interface Run {
  readonly result: Promise<ScanResult>;
  settled: boolean;
}

/** Keeps the indexer busy, and reads the headers that it found last while it scans on. */
class LayerScan {
  readonly #indexer: NativeIndexer;
  readonly #records: RecordReader;
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: ((bytes: number) => void) | undefined;
  readonly #onFailure: () => void;
  readonly #runs: Run[] = [];
  /** Bytes pushed that no run is known to have scanned. */
  #waiting = 0;
  /** Runs under way. */
  #active = 0;
  #scanned = 0;
  #failure: unknown;

  /** @param onFailure called as soon as a run has failed: more input is of no use */
  constructor(indexer: NativeIndexer, options: IndexPassOptions, onFailure: () => void) {
    this.#indexer = indexer;
    this.#records = new RecordReader(options.onEntry);
    this.#signal = options.signal;
    this.#onProgress = options.onProgress;
    this.#onFailure = onFailure;
  }

  /** Settles when all of `chunk` was copied. */
  async write(chunk: Uint8Array): Promise<void> {
    // Where chunks come slowly, the last ones were scanned long ago.
    while (this.#runs[0]?.settled) await this.#step();
    for (let rest = chunk; rest.length > 0; ) {
      const pushed = this.#indexer.push(rest);
      this.#waiting += pushed;
      rest = rest.subarray(pushed);
      this.#keepRunning();
      if (rest.length > 0) await this.#step();
    }
  }

  async finish(): Promise<IndexResult> {
    while (this.#runs.length > 0) await this.#step();
    return await this.#indexer.finish().catch(error => {
      throw this.#records.explain(error);
    });
  }

  abort(): void {
    this.#indexer.abort();
  }

  /** The first thing that is wrong with what was written, in the order of the layer. */
  async failure(): Promise<unknown> {
    try {
      while (this.#failure === undefined && this.#runs.length > 0) await this.#step();
    } catch {
      // It is kept.
    }
    return this.#failure;
  }

  /** Settles when nothing is under way any more; what was, failed. */
  async end(): Promise<void> {
    this.abort();
    await Promise.allSettled(this.#runs.map(({ result }) => result));
  }

  /** A run stops early when its chunk expands far; the next one goes on with it. */
  #keepRunning(): void {
    while (this.#active < RUNS && this.#runs.length < MAX_RESULTS && this.#waiting > 0) {
      const run: Run = { result: this.#indexer.run(), settled: false };
      const settled = ({ consumed }: ScanResult): void => {
        run.settled = true;
        this.#active--;
        this.#waiting -= consumed;
        this.#keepRunning();
      };
      run.result.then(settled, this.#onFailure); // the failure is reported when it is awaited
      this.#active++;
      this.#runs.push(run);
    }
  }

  async #step(): Promise<void> {
    try {
      const { consumed, headers, produced } = await (this.#runs.shift() as Run).result;
      this.#signal?.throwIfAborted();
      this.#scanned += consumed;
      this.#keepRunning();
      this.#onProgress?.(this.#scanned);
      await this.#records.parse(headers, produced);
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }
}

/** Unpacks the indexer's header records: { uint64 LE offset, uint32 LE length, bytes } each. */
class RecordReader {
  readonly #parser = new TarHeaderParser();
  #streamEnd = 0;
  readonly #onEntry: (entry: TocEntry) => void;

  constructor(onEntry: (entry: TocEntry) => void) {
    this.#onEntry = onEntry;
  }

  /**
   * Without holding up the event loop for long: it may be nothing but headers.
   * @param produced bytes of the tar stream so far
   */
  async parse(records: Uint8Array | undefined, produced: number): Promise<void> {
    this.#streamEnd = produced;
    if (records === undefined) return;
    // As a Buffer, of which the parser cuts strings without more ado.
    const bytes = Buffer.from(records.buffer, records.byteOffset, records.byteLength);
    let at = 0;
    let since = performance.now();
    while (at < records.length) {
      if (performance.now() - since > PARSE_SLICE) {
        await setImmediate();
        since = performance.now();
      }
      const offset = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
      const length = bytes.readUInt32LE(at + 8);
      const start = at + 12;
      at = start + length;
      // An empty extension has no bytes to wait for.
      if (length === 0) continue;
      const found = this.#parser.push({ offset, bytes: bytes.subarray(start, at) });
      if (found !== undefined) this.#onEntry(found.entry);
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
