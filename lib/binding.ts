/**
 * The only importer of the native addon. Everything above sees this typed
 * interface; native failures arrive as SociError with the caller's stack.
 *
 * Whatever script does to an array while a call is under way (transfer it,
 * shrink it, write to it) is safe: inputs are copied when the call is made, and
 * outputs are filled when it has ended, unless they lie in memory of
 * allocatePinned, which nobody can take away.
 */
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { isUint8Array } from 'node:util/types';
import { checkChoice, checkInteger } from './arguments.js';
import { invalidArgument, invalidValues, SociError } from './errors.js';
import { type NativeError, type OffsetSpace, translateFailure } from './native-failure.js';
import { PACKAGE_ROOT } from './package-root.js';
import { isPinned } from './pinned-memory.js';

export { allocatePinned } from './pinned-memory.js';

/** What decodes DEFLATE: stock zlib, or our own decoder, which is faster and gives the same. */
export type EngineName = 'zlib' | 'fast';

export const DEFAULT_ENGINE: EngineName = 'fast';

export interface IndexerOptions {
  readonly compression: 'gzip' | 'uncompressed';
  /** Uncompressed bytes between checkpoints, > 0. */
  readonly spanSize: number;
  /** Also hash the uncompressed stream. */
  readonly diffId: boolean;
  readonly engine: EngineName;
  /** How many may decode at once, 1 or more; beyond 4 they are not used, with the engine 'zlib' one is. */
  readonly threads: number;
  /** Cap on checkpoints kept (each holds a 32 KiB window). */
  readonly maxCheckpoints: number;
  /**
   * Instead of the rule "a block start more than spanSize after the last
   * checkpoint", take a checkpoint exactly at these positions (verify).
   * Rows of (in, out, bits), ascending in `in`.
   */
  readonly checkpointsAt?: Float64Array;
  /** The first of `checkpointsAt` is the one that v1 zinfo blobs imply: span 0 starts at byte 10, inside of the gzip header or not. */
  readonly impliedFirstCheckpoint?: boolean;
  /** Gets the tar stream, in order, from its byte 0 on. For as long as the indexer scans, nobody else may add to it. */
  readonly output?: TarOutput | undefined;
}

/** A tree writer (native-tree.ts) as whoever decodes a tar for it sees it. */
export interface TarOutput {
  readonly native: AddonTreeWriter;
}

/** What one run did. */
export interface ScanResult {
  /** Bytes scanned: less than a chunk when 4 MiB of output ended the run, or when nothing was left. */
  readonly consumed: number;
  /** Uncompressed bytes seen in total so far. */
  readonly produced: number;
  /**
   * Tar header records found, concatenated: { uint64 LE offset of the record's
   * first byte in the tar stream, uint32 LE length, bytes }. A record is one
   * 512-byte header block, or the unpadded body of an x/g/L/K extension.
   */
  readonly headers: Uint8Array | undefined;
}

export interface IndexResult {
  /** Bytes of the layer. */
  readonly compressedSize: number;
  /** Bytes of the tar stream, trailing padding included. */
  readonly uncompressedSize: number;
  /** Where Go's tar reader stops: after two zero blocks, or at the stream's end. */
  readonly tarEnd: number;
  /** SHA-256 of the layer, 32 bytes. */
  readonly layerDigest: Uint8Array;
  /** SHA-256 of the uncompressed stream, 32 bytes, if asked for. */
  readonly diffId: Uint8Array | undefined;
  /** gzip: the v2 zinfo blob. uncompressed: undefined. */
  readonly zinfo: Uint8Array | undefined;
  /** SHA-256 of every span's compressed range, 32 bytes each. */
  readonly spanDigests: Uint8Array;
}

/**
 * Bytes are pushed, and runs scan them: the next run may be asked for, and the
 * next chunk pushed, while one is under way, so that it follows at once. What
 * was scanned is hashed beside the next run. After a failure every later run
 * fails in the same way; after `finish`, whatever came of it, every call fails
 * with ERR_SOCI_INVALID_ARGUMENT.
 */
export interface NativeIndexer {
  /** Copies at most the first 1 MiB of `chunk` and returns how much; 0 while as many chunks are waiting as may. */
  push(chunk: Uint8Array): number;
  /** Scans the first chunk that is waiting, or what an earlier run left of it. At most four at a time. */
  run(): Promise<ScanResult>;
  /** Only while no run is under way and no chunk is waiting. */
  finish(): Promise<IndexResult>;
  /** Makes the run under way, and every later call, fail with ABORTED. */
  abort(): void;
}

export interface SpanDecoderOptions {
  readonly engine: EngineName;
  /** 'raw': inside a member, at a checkpoint. 'gzip': before a member's header. */
  readonly start: 'raw' | 'gzip';
  /** Unused high bits of the input's first byte that belong to the span; 0: the span starts on a byte. */
  readonly bits: number;
  /** 32768 bytes, oldest first. */
  readonly window: Uint8Array | undefined;
}

export interface DecodeResult {
  readonly consumed: number;
  /** Bytes of output discarded: fewer than asked for when the job ended first. */
  readonly skipped: number;
  readonly produced: number;
  /** A member ended, and with it the input: the stream may be over. */
  readonly ended: boolean;
}

/** Decodes one span piece by piece: `run` goes on where the last one stopped. Calls do not overlap. */
export interface NativeSpanDecoder {
  /**
   * Discards `skip` bytes of output first, then fills `output`; stops when it is full, when the input is
   * used up, or after 1 MiB of input or 4 MiB of output, skipped bytes included.
   */
  run(input: Uint8Array, output: Uint8Array, skip: number): Promise<DecodeResult>;
  abort(): void;
}

/** What a file was when it was opened, as fstat(2) says it. */
export interface FileIdentity {
  readonly size: bigint;
  readonly ino: bigint;
  /** Undefined where it means something else. */
  readonly mtimeNs: bigint | undefined;
}

/** A part of an open file. The descriptor may be closed as soon as the call was made. */
export interface FileBytes {
  readonly fd: number;
  /** In bytes. */
  readonly offset: number;
  readonly length: number;
  /** What the file must still be after it was read; undefined: not checked. */
  readonly identity?: FileIdentity | undefined;
}

/** One whole span to be read, checked and decoded. */
export type SpanJob = GzipSpanJob | RawSpanJob;

export interface GzipSpanJob extends SpanDecoderOptions, StoredSpan {
  readonly codec: 'gzip';
}

/** Of an uncompressed layer: the input is what the tar stream holds. */
export interface RawSpanJob extends StoredSpan {
  readonly codec: 'raw';
}

interface StoredSpan {
  /**
   * The span's whole stored bytes. An array is copied when the call is made, for what was hashed is what has to be
   * decoded. A part of a file is read by the job.
   */
  readonly input: Uint8Array | FileBytes;
  /** Expected SHA-256 of the input from `digestOffset` on, checked before decoding; undefined: not checked. */
  readonly digest: Uint8Array | undefined;
  readonly digestOffset: number;
  /**
   * Filled completely, or the job fails with ERR_SOCI_SPAN_LENGTH. A length asks for new memory. That, and
   * memory of `allocatePinned`, is decoded into directly; any other array is filled by copies, which the
   * thread of script makes, most of them while the job runs: the job itself may not touch what script could
   * detach. If the job fails, what it holds is unspecified, but bytes of a wrong digest are not decoded.
   */
  readonly output: Uint8Array | number;
  /**
   * One of many. Where more of them wait than there are threads, a thread takes two at a time: sooner for all of
   * them, later for the first. Default: false.
   */
  readonly bulk?: boolean | undefined;
}

interface AddonSpan {
  readonly engine: EngineName;
  readonly gzipHeader: boolean;
  readonly bits: number;
  readonly window: Uint8Array | undefined;
}

interface AddonStoredBytes {
  readonly input: Uint8Array | undefined;
  readonly fd?: number;
  readonly offset?: number;
  readonly length?: number;
  readonly fileSize?: bigint | undefined;
  readonly fileInode?: bigint | undefined;
  readonly fileModified?: bigint | undefined;
}

interface AddonSpanJob extends Partial<AddonSpan>, AddonStoredBytes {
  readonly raw: boolean;
  readonly digest: Uint8Array | undefined;
  readonly digestOffset: number;
  readonly output: Uint8Array;
  /** Pinned, or known to nobody else: nobody can detach it while the addon writes to it. */
  readonly pinnedOutput: boolean;
  /** It may shrink and grow again while the addon works. */
  readonly resizableOutput: boolean;
  readonly bulk: boolean;
}

/** Named by its class in native-tree.ts, the only one that calls it. */
export interface AddonTreeWriter {
  add(offset: number, bytes: Uint8Array): void;
  release(offset: number): void;
  held(): number;
  read(offset: number, length: number): Uint8Array;
  run(batch: Uint8Array): Promise<object>;
  abort(): void;
  close(): void;
}

interface AddonAbortFlag {
  abort(): void;
}

/** What lib/posix.ts is made of. Numbers below 0 are negative errnos. */
export interface PosixCalls {
  openat2(directory: number, path: string, flags: number, mode: number, resolve: number): number;
  /** A length of 0 reaches to the end, however far the file grows. */
  lock(fd: number, mode: 'shared' | 'exclusive' | 'none', start: number, length: number): number;
  /** Start and length of a lock in the way of this one; empty when there is none. */
  findLock(
    fd: number,
    mode: 'shared' | 'exclusive',
    start: number,
    length: number,
  ): [number, number] | [] | number;
  socketPair(): [number, number] | number;
  sendDescriptors(socket: number, data: Uint8Array, descriptors: readonly number[]): number;
  /** The bytes received, then the descriptors. */
  receiveDescriptors(socket: number, buffer: Uint8Array): [number, ...number[]] | number;
  sendDatagram(path: string, data: Uint8Array): number;
  map(fd: number, offset: number, length: number): ArrayBuffer | number;
  /** Detaches a buffer of `map`. */
  unmap(buffer: ArrayBuffer): void;
}

interface Addon {
  readonly Indexer: new (options: object) => NativeIndexer;
  readonly SpanDecoder: new (options: AddonSpan) => NativeSpanDecoder;
  readonly AbortFlag: new () => AddonAbortFlag;
  readonly TreeWriter?: new (options: object) => AddonTreeWriter;
  decodeSpan(job: AddonSpanJob, flag: AddonAbortFlag | undefined): Promise<void>;
  setDecodeConcurrency(threads: number): void;
  readonly zlibVersion: string;
  readonly posix?: PosixCalls;
}

/** The package has its binding.gyp in native/: in its root npm would compile it on every installation. */
const BUILD_COMMAND = "npm explore seekable-oci -- 'cp native/binding.gyp . && npx node-gyp rebuild'";

function loadAddon(): Addon {
  const root = PACKAGE_ROOT.directory;
  try {
    // From the package as it is stored: a bundle's own folder, or a link to the package, need not see its dependencies.
    const require = createRequire(realpathSync(path.join(root, 'package.json')));
    const load = require('node-gyp-build') as (directory: string) => Addon;
    return load(root);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause);
    throw new SociError(
      'ERR_SOCI_ADDON',
      `expected a native addon for ${process.platform}-${process.arch} in ${root}, found none that loads (${reason}). ` +
        'The package holds prebuilt ones for linux-x64, linux-arm64 (glibc and musl), darwin-x64 and darwin-arm64; ' +
        `elsewhere build it with "${BUILD_COMMAND}", which needs a C++17 compiler and python3.`,
      { data: { platform: process.platform, arch: process.arch, root }, cause },
    );
  }
}

const addon = loadAddon();

/** Of the zlib that decodes: the one compiled with the addon, never Node's own. */
export const zlibVersion: string = addon.zlibVersion;

/** undefined but on Linux. */
export const posixCalls: PosixCalls | undefined = addon.posix;

/** undefined on Windows. */
export const treeWriterClass: (new (options: object) => AddonTreeWriter) | undefined = addon.TreeWriter;

/** On how many threads at once `decodeSpan` and span decoders work, further calls waiting; 1 at first. */
export function setDecodeConcurrency(threads: number): void {
  checkInteger('threads', threads, 1);
  addon.setDecodeConcurrency(threads);
}

/** Where a call came from, for errors that surface after it returned. */
interface CallSite {
  stack?: string;
}

function callSite(callee: (...args: never[]) => unknown): CallSite {
  const site: CallSite = {};
  Error.captureStackTrace(site, callee);
  return site;
}

/** The error that stands for what the addon threw or rejected with. */
function fromNative(error: unknown, space: OffsetSpace, site: CallSite): Error {
  const translated = translateFailure(error as NativeError, space);
  if (translated === undefined) return error as Error;
  const frames = site.stack?.indexOf('\n    at ') ?? -1;
  translated.stack = `${translated.name}: ${translated.message}${frames < 0 ? '' : site.stack?.slice(frames)}`;
  return translated;
}

function now<T>(space: OffsetSpace, callee: (...args: never[]) => unknown, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(error, space, callSite(callee));
  }
}

async function later<T>(
  space: OffsetSpace,
  callee: (...args: never[]) => unknown,
  call: () => Promise<T>,
): Promise<T> {
  const site = callSite(callee);
  try {
    return await call();
  } catch (error) {
    throw fromNative(error, space, site);
  }
}

function checkEngine(engine: EngineName): void {
  checkChoice('engine', engine, ['zlib', 'fast']);
}

function checkBytes(name: string, value: Uint8Array | undefined, length: number): void {
  if (value === undefined || (isUint8Array(value) && value.length === length)) return;
  const expected = `a Uint8Array of ${length} bytes`;
  throw isUint8Array(value)
    ? invalidValues(name, expected, { length: value.length })
    : invalidArgument(name, expected, value);
}

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
export function createIndexer(options: IndexerOptions): NativeIndexer {
  return new Indexer(options);
}

class Indexer implements NativeIndexer {
  readonly #native: NativeIndexer;

  constructor(options: IndexerOptions) {
    const { compression, spanSize, diffId, engine, threads, maxCheckpoints } = options;
    const { checkpointsAt, impliedFirstCheckpoint, output } = options;
    checkChoice('compression', compression, ['gzip', 'uncompressed']);
    checkInteger('spanSize', spanSize, 1);
    checkInteger('threads', threads, 1);
    checkInteger('maxCheckpoints', maxCheckpoints, 1);
    checkEngine(engine);
    const native = {
      gzip: compression === 'gzip',
      spanSize,
      diffId,
      engine,
      threads,
      maxCheckpoints,
      checkpointsAt,
      impliedFirstCheckpoint: impliedFirstCheckpoint ?? false,
      output: output?.native,
    };
    this.#native = now('layer', createIndexer, () => new addon.Indexer(native));
  }

  push(chunk: Uint8Array): number {
    return now('layer', this.push, () => this.#native.push(chunk));
  }

  run(): Promise<ScanResult> {
    return later('layer', this.run, () => this.#native.run());
  }

  finish(): Promise<IndexResult> {
    return later('layer', this.finish, () => this.#native.finish());
  }

  abort(): void {
    this.#native.abort();
  }
}

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
export function createSpanDecoder(options: SpanDecoderOptions): NativeSpanDecoder {
  return new SpanDecoder(options);
}

class SpanDecoder implements NativeSpanDecoder {
  readonly #native: NativeSpanDecoder;

  constructor(options: SpanDecoderOptions) {
    const span = addonSpan(options);
    this.#native = now('span', createSpanDecoder, () => new addon.SpanDecoder(span));
  }

  run(input: Uint8Array, output: Uint8Array, skip: number): Promise<DecodeResult> {
    return later('span', this.run, () => this.#native.run(input, output, skip));
  }

  abort(): void {
    this.#native.abort();
  }
}

/**
 * Reads one span, checks its digest and decodes it, in one job of the pool: spans of much more than 4 MiB
 * belong to a span decoder. Resolves to the output.
 *
 * @throws SociError ERR_SOCI_SPAN_DIGEST, ERR_SOCI_SPAN_LENGTH, ERR_SOCI_DEFLATE_DATA, ERR_SOCI_GZIP_HEADER,
 * ERR_SOCI_GZIP_CHECKSUM, ERR_SOCI_LAYER_TRAILING_DATA; ERR_SOCI_SOURCE_SHORT, ERR_SOCI_SOURCE_CHANGED,
 * ERR_SOCI_SOURCE_IO of a file; the signal's reason
 */
export async function decodeSpan(job: SpanJob, options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
  const site = callSite(decodeSpan);
  const { signal } = options;
  signal?.throwIfAborted();
  const prepared = addonSpanJob(job);
  const flag = signal && new addon.AbortFlag();
  const abort = () => flag?.abort();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await addon.decodeSpan(prepared, flag);
    signal?.throwIfAborted();
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw fromNative(error, 'span', site);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  return prepared.output;
}

function addonSpan(options: SpanDecoderOptions): AddonSpan {
  const { engine, start, bits, window } = options;
  checkEngine(engine);
  checkChoice('start', start, ['raw', 'gzip']);
  checkInteger('bits', bits, 0, 7);
  checkBytes('window', window, 32768);
  return { engine, gzipHeader: start === 'gzip', bits, window };
}

function addonSpanJob(job: SpanJob): AddonSpanJob {
  const { codec, input, digest, digestOffset, output, bulk = false } = job;
  checkChoice('codec', codec, ['gzip', 'raw']);
  const start = codec === 'gzip' ? addonSpan(job) : undefined;
  const stored = storedBytes(input);
  checkBytes('digest', digest, 32);
  checkInteger('digestOffset', digestOffset, 0, input.length);
  const own = typeof output === 'number';
  const array = own ? allocate(output) : output;
  if (!isUint8Array(array)) throw invalidArgument('output', 'a Uint8Array or a length', array);
  return {
    ...start,
    ...stored,
    raw: codec === 'raw',
    digest,
    digestOffset,
    output: array,
    pinnedOutput: own || isPinned(array),
    // ECMAScript 2024, which the types do not know yet.
    resizableOutput: (array.buffer as { resizable?: boolean }).resizable === true,
    bulk,
  };
}

function storedBytes(input: Uint8Array | FileBytes): AddonStoredBytes {
  if (isUint8Array(input)) return { input };
  const { fd, offset, length, identity } = input;
  if (fd === undefined) throw invalidArgument('input', 'a Uint8Array or a part of a file', input);
  checkInteger('fd', fd, 0, 2 ** 31 - 1);
  checkInteger('offset', offset, 0);
  checkInteger('length', length, 0);
  return {
    input: undefined,
    fd,
    offset,
    length,
    fileSize: identity?.size,
    fileInode: identity?.ino,
    fileModified: identity?.mtimeNs,
  };
}

function allocate(length: number): Uint8Array {
  checkInteger('output', length, 0);
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new SociError('ERR_SOCI_NO_MEMORY', `not enough memory for a span of ${length} bytes`, { cause });
  }
}
