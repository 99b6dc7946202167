/**
 * The tar headers that an indexer finds, read as they come. Where the layer itself
 * is wanted and not only its ztoc, the first entry that a ztoc cannot describe ends
 * the ztoc and not the pass: from there on all is read that containerd unpacks.
 */
import { setImmediate } from 'node:timers/promises';
import { SociError } from '../errors.js';
import { type ParsedEntry, TarHeaderParser, type TarRecord } from '../tar/header-parser.js';
import { LENIENT } from '../tar/policy.js';
import type { TarSink } from './tar-sink.js';

/** ms of parsing at a time. */
const PARSE_SLICE = 10;

/** Unpacks the indexer's header records: { uint64 LE offset, uint32 LE length, bytes } each. */
export class HeaderRecords {
  #parser = new TarHeaderParser();
  #streamEnd = 0;
  readonly #onEntry: (entry: ParsedEntry) => void;
  readonly #sink: TarSink | undefined;
  /** Those of the entry under way, until a ztoc cannot describe one. */
  #records: TarRecord[] | undefined = [];

  constructor(onEntry: (entry: ParsedEntry) => void, sink: TarSink | undefined) {
    this.#onEntry = onEntry;
    this.#sink = sink;
    if (sink === undefined) this.#records = undefined;
  }

  /**
   * Without holding up the event loop for long: it may be nothing but headers.
   * @param produced bytes of the tar stream so far
   */
  async parse(records: Uint8Array | undefined, produced: number): Promise<void> {
    this.#streamEnd = produced;
    if (records !== undefined) await this.#parseAll(records);
    this.#readMap();
    const kept = this.#parser.expectsHeader ? produced : Math.min(this.#parser.position, produced);
    this.#sink?.arrived(produced, kept);
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

  async #parseAll(records: Uint8Array): Promise<void> {
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
      this.#readMap();
      this.#push({ offset, bytes: bytes.subarray(start, at) });
    }
  }

  #push(record: TarRecord): void {
    this.#records?.push(record);
    let found: ParsedEntry | undefined;
    try {
      found = this.#parser.push(record);
    } catch (error) {
      found = this.#leniently(error);
    }
    if (found === undefined) return;
    if (this.#records !== undefined) this.#records.length = 0;
    this.#onEntry(found);
  }

  /** Reads the entry again that a ztoc cannot describe. @throws what is no reason to go on */
  #leniently(error: unknown): ParsedEntry | undefined {
    const records = this.#records;
    const unsupported = error instanceof SociError && error.code === 'ERR_SOCI_TAR_UNSUPPORTED';
    if (!unsupported || records === undefined) throw error;
    this.#records = undefined;
    this.#sink?.onUnsupported(error);
    this.#parser = new TarHeaderParser(records[0]?.offset, LENIENT);
    return records.map(record => this.#parser.push(record)).at(-1);
  }

  /** The map of a sparse file is in front of its data, where no header is looked for. */
  #readMap(): void {
    const parser = this.#parser;
    while (parser.mapInData && parser.position + parser.expectedLength <= this.#streamEnd) {
      const { position: offset, expectedLength } = parser;
      const found = parser.push({ offset, bytes: this.#sink?.read(offset, expectedLength) ?? NOTHING });
      if (found !== undefined) this.#onEntry(found);
    }
  }
}

const NOTHING = new Uint8Array(0);
