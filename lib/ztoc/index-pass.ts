/**
 * One pass of the native indexer over a layer, with the layer's entries parsed on
 * the way: what building and verifying a ztoc have in common.
 */
import { availableParallelism } from 'node:os';
import { addAbortListener, removeAbortListener } from '../async/abort-listeners.js';
import {
  DEFAULT_ENGINE,
  type EngineName,
  type IndexResult,
  type NativeIndexer,
  type ScanResult,
} from '../binding.js';
import { SociError } from '../errors.js';
import type { ParsedEntry } from '../tar/header-parser.js';
import { RAW } from './codec/raw.js';
import type { SpanCodec } from './codec/span-codec.js';
import { HeaderRecords } from './header-records.js';
import { isRangeSource, type LayerInput, layerChunks, layerName } from './layer-input.js';
import type { ZtocLimits } from './limits.js';
import { sniffCodec } from './sniff-compression.js';
import type { TarSink } from './tar-sink.js';

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
  readonly onEntry: (entry: ParsedEntry) => void;
  /** Who takes the tar itself. */
  readonly sink?: TarSink | undefined;
}

export interface IndexPassResult extends IndexResult {
  readonly codec: SpanCodec;
}

const DEFAULT_THREADS = Math.min(availableParallelism(), 4);

/** Errors of the layer carry its name. An aborted pass rejects with the signal's reason. */
export async function indexLayer(input: LayerInput, options: IndexPassOptions): Promise<IndexPassResult> {
  return await indexChunks(signal => layerChunks(input, signal), input, options);
}

/**
 * The same of a layer whose bytes are given otherwise, or decoded: of chunks, each of which need not be valid longer
 * than until the next one is asked for.
 *
 * @param open gives them, until its signal fires
 * @param input the layer that they are, or are of: its name, and its size if it is one
 */
export async function indexChunks(
  open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  input: LayerInput | string,
  options: IndexPassOptions,
): Promise<IndexPassResult> {
  try {
    const result = await run(open, options);
    if (typeof input !== 'string') checkComplete(input, result.compressedSize);
    return result;
  } catch (error) {
    options.signal?.throwIfAborted();
    const name = typeof input === 'string' ? input : layerName(input);
    if (name === undefined || !(error instanceof SociError) || error.message.includes(name)) throw error;
    throw new SociError(error.code, `${name}: ${error.message}`, {
      data: { ...error.data, layer: name },
      cause: error,
    });
  }
}

async function run(
  open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  options: IndexPassOptions,
): Promise<IndexPassResult> {
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
    for await (const chunk of open(reading.signal)) {
      codec ??= sniffCodec(chunk);
      scan ??= begin(codec);
      await scan.write(chunk);
    }
    codec ??= RAW; // no byte at all
    scan ??= begin(codec);
    const result = await scan.finish();
    signal?.throwIfAborted();
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
    sink,
  } = options;
  const positions =
    checkpointsAt === undefined
      ? {}
      : { checkpointsAt, impliedFirstCheckpoint: impliedFirstCheckpoint ?? false };
  return codec.createIndexer(
    { spanSize, diffId, engine, threads, output: sink?.output, ...positions },
    limits,
  );
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
  readonly #records: HeaderRecords;
  readonly #sink: TarSink | undefined;
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
    this.#records = new HeaderRecords(options.onEntry, options.sink);
    this.#sink = options.sink;
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
    while (this.#runs.length > 0 || this.#waiting > 0) await this.#step();
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
    const hasRoom = (): boolean => this.#sink?.hasRoom() ?? true;
    while (this.#active < RUNS && this.#runs.length < MAX_RESULTS && this.#waiting > 0 && hasRoom()) {
      this.#run();
    }
  }

  #run(): void {
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

  async #step(): Promise<void> {
    try {
      if (this.#runs.length === 0) {
        await this.#sink?.whenRoom();
        this.#keepRunning();
        // Nobody makes room: what is held is waited for with what comes next.
        if (this.#runs.length === 0) this.#run();
      }
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
