/**
 * A ztoc: the table of contents of one layer and the places where decompression
 * can start. Made from bytes only, by decode(), which either throws or gives an
 * object whose parts all agree with each other; whether they agree with the
 * layer is for its digest, or for verifyZtoc(), to say.
 */
import { createHash } from 'node:crypto';
import { isUint8Array } from 'node:util/types';
import { checkOptions, type OptionNames } from '../arguments.js';
import type { EngineName } from '../binding.js';
import { invalidArgument, invalidText, invalidValues, SociError } from '../errors.js';
import { decodeByteString, quoteByteString, toByteString } from '../tar/byte-string.js';
import type { ByteView } from '../tar/byte-view.js';
import { type EntryFields, type EntryType, TocEntry } from '../tar/entry.js';
import { CODECS, type Compression } from './codec/codecs.js';
import type { Checkpoints, Span, SpanCodec, SpanStart } from './codec/span-codec.js';
import { encodeZtoc } from './encode.js';
import { cleanPath } from './entry-path.js';
import { FlatBuffer } from './flatbuffer-table.js';
import { checkLimit, resolveLimits, type ZtocLimits } from './limits.js';
import { PathIndex } from './path-index.js';
import { DEFAULT_ALGORITHM, Slot, ZTOC_VERSION } from './schema.js';
import { Toc } from './toc.js';

export type { Span };

export interface EntryRange {
  /** Bytes of the tar stream, half-open. */
  readonly start: number;
  readonly end: number;
  /** Half-open range of span indexes. */
  readonly firstSpan: number;
  readonly endSpan: number;
}

export interface ZtocDecodeOptions {
  readonly limits?: Partial<ZtocLimits> | undefined;
  /** 'sha256:…' that the bytes must have. */
  readonly expectedDigest?: string | undefined;
  /** @internal Instead of the registered ones. */
  readonly codecs?: readonly SpanCodec[];
}

const DECODE_OPTIONS: OptionNames<ZtocDecodeOptions> = { limits: true, expectedDigest: true, codecs: true };

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export class Ztoc {
  readonly version: string;
  readonly buildToolIdentifier: string;
  /** What everything that depends on the compression goes through. */
  readonly codec: SpanCodec;
  readonly compression: Compression;
  /** Bytes of the layer. */
  readonly compressedSize: number;
  /** Bytes of the tar stream up to the end of its archive; padding after that is not counted. */
  readonly uncompressedSize: number;
  /** Uncompressed bytes that were to lie between checkpoints. */
  readonly spanSize: number;
  readonly spanCount: number;
  /** The encoded ztoc itself. */
  readonly bytes: Uint8Array;
  readonly #toc: Toc;
  readonly #checkpoints: Checkpoints;
  readonly #digests: readonly string[];
  #digest: string | undefined;
  #byPath: PathIndex | undefined;

  /**
   * Keeps a view of `bytes`, which must not change afterwards.
   *
   * @throws SociError ERR_SOCI_ZTOC_FORMAT (not a ztoc), ERR_SOCI_ZTOC_INVALID
   *   (contradicts itself), ERR_SOCI_ZTOC_DIGEST, ERR_SOCI_LIMIT, ERR_SOCI_INVALID_ARGUMENT
   */
  static decode(bytes: Uint8Array, options: ZtocDecodeOptions = {}): Ztoc {
    checkOptions('Ztoc.decode', options, DECODE_OPTIONS);
    if (!isUint8Array(bytes)) throw invalidArgument('ztoc', 'a Ztoc or its bytes in a Uint8Array', bytes);
    const limits = resolveLimits(options.limits);
    checkLimit(limits, 'maxZtocBytes', bytes.length, 'bytes of ztoc');
    return new Ztoc(bytes, limits, options);
  }

  private constructor(bytes: Uint8Array, limits: ZtocLimits, options: ZtocDecodeOptions) {
    const { expectedDigest, codecs = CODECS } = options;
    this.bytes = bytes;
    if (expectedDigest !== undefined) this.#checkDigest(expectedDigest);
    const buffer = new FlatBuffer(bytes, 'ztoc');
    const root = buffer.root();
    this.version = decodeByteString(buffer.byteString(root, Slot.ztoc.version));
    if (this.version !== ZTOC_VERSION) {
      // The only version ever written. Another one may mean its fields otherwise, and would be misread silently.
      const found = JSON.stringify(this.version.slice(0, 64));
      const message = `not a ztoc of a known version: ${found}, expected "${ZTOC_VERSION}"`;
      throw new SociError('ERR_SOCI_ZTOC_FORMAT', message, {
        data: { expected: ZTOC_VERSION, found: this.version },
      });
    }
    this.buildToolIdentifier = decodeByteString(buffer.byteString(root, Slot.ztoc.buildTool));
    this.compressedSize = buffer.int64(root, Slot.ztoc.compressedSize);
    this.uncompressedSize = buffer.int64(root, Slot.ztoc.uncompressedSize);
    if (this.compressedSize < 0 || this.uncompressedSize < 0) {
      throw invalid(`sizes of ${this.compressedSize} and ${this.uncompressedSize} bytes`);
    }

    const info = optionalTable(buffer, root, Slot.ztoc.compressionInfo, 'the compression info');
    if (info === undefined) throw invalid('it has no compression info');
    const algorithm = buffer.int8(info, Slot.compressionInfo.algorithm, DEFAULT_ALGORITHM);
    this.codec = codecOf(codecs, algorithm);
    this.compression = this.codec.compression as Compression;
    const blob = buffer.byteVector(info, Slot.compressionInfo.checkpoints);
    const checkpoints = this.codec.parse(blob, this);
    checkLimit(limits, 'maxSpans', checkpoints.count, 'spans in the ztoc');
    checkpoints.verify();
    this.#checkpoints = checkpoints;
    this.spanCount = checkpoints.count;
    this.spanSize = checkpoints.spanSize;
    const maxSpanId = buffer.int32(info, Slot.compressionInfo.maxSpanId);
    if (maxSpanId !== this.spanCount - 1) {
      throw invalid(`its last span is said to be ${maxSpanId}, there are ${this.spanCount}`, {
        field: 'maxSpanId',
        expected: this.spanCount - 1,
        found: maxSpanId,
      });
    }
    this.#digests = readDigests(buffer, info, this.spanCount);
    const toc = optionalTable(buffer, root, Slot.ztoc.toc, 'the table of contents');
    this.#toc = new Toc(buffer, toc, this.uncompressedSize, limits);
  }

  /** SHA-256 of the encoded ztoc as it was decoded, 'sha256:…'. */
  get digest(): string {
    this.#digest ??= `sha256:${createHash('sha256').update(this.bytes).digest('hex')}`;
    return this.#digest;
  }

  get entryCount(): number {
    return this.#toc.length;
  }

  /** Entry `index` in the order of the tar; its strings are decoded when they are read. */
  entry(index: number): TocEntry {
    checkIndex('entry', index, this.entryCount);
    return new TocEntry(this.#toc.fields(index));
  }

  /** @internal Moves a view to the name of entry `index` as it is stored. */
  viewName(index: number, view: ByteView): void {
    checkIndex('entry', index, this.entryCount);
    this.#toc.viewName(index, view);
  }

  /** @internal Moves a view to the time of entry `index` as it is stored. */
  viewTime(index: number, view: ByteView): void {
    checkIndex('entry', index, this.entryCount);
    this.#toc.viewTime(index, view);
  }

  /** @internal The type of entry `index`. */
  typeOf(index: number): EntryType {
    checkIndex('entry', index, this.entryCount);
    return this.#toc.type(index);
  }

  /** @internal What is stored of entry `index`, strings as byte strings. */
  fields(index: number): EntryFields {
    checkIndex('entry', index, this.entryCount);
    return this.#toc.fields(index);
  }

  /** All entries, in the order of the tar. */
  *entries(): Generator<TocEntry, void, undefined> {
    for (let i = 0; i < this.entryCount; i += 1) yield new TocEntry(this.#toc.fields(i));
  }

  span(index: number): Span {
    checkIndex('span', index, this.spanCount);
    return this.#checkpoints.span(index, this.#digests[index] as string);
  }

  /** The 32 KiB of the tar stream before span `index`, oldest first, zeros before the start; a view. undefined: uncompressed. */
  window(index: number): Uint8Array | undefined {
    checkIndex('span', index, this.spanCount);
    return this.#checkpoints.window(index);
  }

  /** Where the bytes to fetch for span `index` begin; its digest covers those from `compressedStart` on. */
  fetchStart(index: number): number {
    checkIndex('span', index, this.spanCount);
    return this.#checkpoints.fetchStart(index);
  }

  /** How span `index` is decoded from `fetchStart` on. */
  spanStart(index: number, engine: EngineName): SpanStart {
    checkIndex('span', index, this.spanCount);
    return this.#checkpoints.start(index, engine);
  }

  /** @internal The checkpoints' own positions, as `IndexerOptions.checkpointsAt`. */
  checkpointRows(): Float64Array | undefined {
    return this.#checkpoints.rows();
  }

  /** An old ztoc that leaves out checkpoint 0: span 0 is said to start at byte 10, but the gzip header may be longer. */
  get impliedFirstCheckpoint(): boolean {
    return this.#checkpoints.impliedFirst;
  }

  /** The span that holds byte `offset` of the tar stream; the last one for what lies beyond. */
  spanOf(offset: number): number {
    if (!Number.isSafeInteger(offset) || offset < 0 || this.spanCount === 0) {
      const expected = `an offset in a tar stream of ${this.uncompressedSize} bytes`;
      throw invalidArgument('spanOf', expected, offset);
    }
    return this.#checkpoints.spanOf(offset);
  }

  /**
   * The entry at a path, which is made absolute and cleaned lexically on both
   * sides ('usr/x', '/usr/x' and './usr//x/' are one); of several the last holds.
   * A string is looked up as UTF-8.
   */
  locate(path: string | Uint8Array): TocEntry | undefined {
    const raw = typeof path === 'string' ? Buffer.from(path, 'utf8') : path;
    return this.locateCleaned(cleanPath(toByteString(raw)));
  }

  /**
   * @internal `locate` for a byte string that cleanPath gave.
   * @param before only entries whose data begin before this offset of the tar stream count
   */
  locateCleaned(path: string, before = Number.POSITIVE_INFINITY): TocEntry | undefined {
    this.#byPath ??= new PathIndex(this.#toc);
    const index = this.#byPath.find(path, found => this.#toc.offset(found) < before);
    return index === undefined ? undefined : this.entry(index);
  }

  /**
   * Where bytes [start, end) of an entry's data lie: in the tar stream, and in which spans.
   *
   * @throws SociError ERR_SOCI_INVALID_ARGUMENT unless 0 <= start <= end <= entry.size
   */
  locateRange(entry: TocEntry, start = 0, end: number = entry.size): EntryRange {
    const integers = Number.isSafeInteger(start) && Number.isSafeInteger(end);
    if (!integers || start < 0 || end < start || end > entry.size) {
      const name = `a range of ${quoteByteString(entry.fields.name)}`;
      throw invalidValues(name, '0 <= start <= end <= size', { start, end, size: entry.size });
    }
    const from = entry.offset + start;
    const to = entry.offset + end;
    const firstSpan = this.spanOf(from);
    return { start: from, end: to, firstSpan, endSpan: from === to ? firstSpan : this.spanOf(to - 1) + 1 };
  }

  /** Written anew as the reference writes it; equals `bytes` unless somebody else's writer chose another layout. */
  encode(): Uint8Array {
    return encodeZtoc({
      version: this.version,
      buildToolIdentifier: this.buildToolIdentifier,
      algorithm: this.codec.algorithm,
      compressedSize: this.compressedSize,
      uncompressedSize: this.uncompressedSize,
      maxSpanId: this.spanCount - 1,
      spanDigests: this.#digests,
      checkpoints: this.#checkpoints.encode(),
      entryCount: this.entryCount,
      entryAt: index => this.#toc.fields(index),
    });
  }

  #checkDigest(expected: string): void {
    if (!DIGEST.test(expected)) {
      throw invalidText('expectedDigest', "'sha256:' and 64 hex digits", String(expected));
    }
    if (this.digest === expected) return;
    throw new SociError('ERR_SOCI_ZTOC_DIGEST', `the ztoc has digest ${this.digest}, expected ${expected}`, {
      data: { expected, found: this.digest },
    });
  }
}

function codecOf(codecs: readonly SpanCodec[], algorithm: number): SpanCodec {
  const codec = codecs.find(candidate => candidate.algorithm === algorithm);
  if (codec !== undefined) return codec;
  const known = codecs.map(candidate => `${candidate.algorithm} (${candidate.compression})`).join(' and ');
  const message = `the ztoc uses compression algorithm ${algorithm}, known are ${known}`;
  throw new SociError('ERR_SOCI_ZTOC_FORMAT', message, { data: { found: algorithm } });
}

function readDigests(buffer: FlatBuffer, info: number, spanCount: number): readonly string[] {
  const vector = buffer.vector(info, Slot.compressionInfo.spanDigests, 4);
  if (vector.length !== spanCount) {
    throw invalid(`${vector.length} span digests for ${spanCount} spans`, { field: 'spanDigests' });
  }
  return Array.from({ length: spanCount }, (_, index) => {
    const { start, length } = buffer.vectorAt(vector.start + 4 * index, 1);
    const digest = length > 128 ? '' : toByteString(buffer.bytes, start, start + length);
    if (!DIGEST.test(digest)) {
      const found = length > 128 ? `${length} bytes` : JSON.stringify(digest);
      throw invalid(`the digest of span ${index} is no SHA-256: ${found}`, { field: 'spanDigests', index });
    }
    return digest;
  });
}

function optionalTable(buffer: FlatBuffer, table: number, slot: number, what: string): number | undefined {
  const position = buffer.field(table, slot, 4);
  return position === 0 ? undefined : buffer.table(position, what);
}

function checkIndex(what: string, index: number, count: number): void {
  if (Number.isSafeInteger(index) && index >= 0 && index < count) return;
  throw invalidArgument(`the number of ${what}`, `one of the ${count} that the ztoc has, from 0 on,`, index);
}

function invalid(reason: string, data: Record<string, unknown> = {}): SociError {
  return new SociError('ERR_SOCI_ZTOC_INVALID', `the ztoc contradicts itself: ${reason}`, { data });
}
