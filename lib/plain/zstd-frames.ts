/**
 * Cuts a zstd stream (RFC 8878 §3.1) into its frames and blocks without decoding
 * anything: layers in the zstd:chunked form consist of thousands of frames,
 * which not every decoder reads on through, and a block is the most that a few
 * bytes of input can make a decoder produce at once.
 */
import { SociError } from '../errors.js';

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
/** A frame header without its magic: descriptor, window, dictionary id, content size. */
const MAX_HEADER = 14;
/** The most that zstd itself takes without being told otherwise (--long=27). */
const MAX_WINDOW = 2 ** 27;
const MAX_BLOCK = 2 ** 17;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

export interface FramePiece {
  /** A frame header, or at most one block and the checksum behind it, or a part of these. */
  readonly bytes: Uint8Array;
  /** The frame ends here. */
  readonly last: boolean;
  /** Bytes of the frame's window. */
  readonly window: number;
}

type State = 'magic' | 'skip-size' | 'header' | 'block-header' | 'pass' | 'skip' | 'behind';

export class ZstdFrames {
  readonly #name: string;
  #state: State = 'magic';
  #gathered = new Uint8Array(0);
  #left = 0;
  /** After the bytes to pass on: the last block of the frame has been seen. */
  #lastBlock = false;
  #checksum = false;
  #window = 0;
  #position = 0;
  /** Behind the last frame that is whole; undefined before the first one. */
  #wholeFrames: number | undefined;

  /** @param name of the stream, for messages */
  constructor(name: string) {
    this.#name = name;
  }

  /** @throws SociError ERR_SOCI_ZSTD_DATA; ERR_SOCI_LIMIT for a window of more than 128 MiB */
  *push(chunk: Uint8Array): Generator<FramePiece, void, undefined> {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#state === 'behind') return;
      if (this.#state === 'pass' || this.#state === 'skip') {
        const bytes = rest.subarray(0, this.#left);
        rest = rest.subarray(bytes.length);
        this.#position += bytes.length;
        this.#left -= bytes.length;
        const last = this.#left === 0 && this.#lastBlock;
        if (this.#state === 'pass') yield { bytes, last, window: this.#window };
        if (this.#left === 0) this.#state = last || this.#state === 'skip' ? 'magic' : 'block-header';
        const skipped = this.#left === 0 && this.#state === 'magic' && this.#wholeFrames !== undefined;
        if (last || skipped) this.#wholeFrames = this.#position;
        continue;
      }
      const missing = this.#needed() - this.#gathered.length;
      const taken = rest.subarray(0, missing);
      this.#gathered = Buffer.concat([this.#gathered, taken]);
      this.#position += taken.length;
      rest = rest.subarray(missing);
      if (this.#gathered.length < this.#needed()) continue;
      const piece = this.#take(this.#gathered);
      if (piece !== undefined) yield piece;
    }
  }

  /** Where bytes begin that are no frame: known after `finish`. */
  get trailing(): number | undefined {
    return this.#state === 'behind' ? this.#wholeFrames : undefined;
  }

  /** @throws SociError ERR_SOCI_LAYER_TRUNCATED inside of a frame */
  finish(): void {
    if (this.#state === 'behind') return;
    if (this.#state === 'magic' && this.#gathered.length === 0) return;
    // Too little for the start of another frame is no frame.
    if (this.#wholeFrames !== undefined && this.#state !== 'block-header' && this.#state !== 'pass') {
      this.#state = 'behind';
      return;
    }
    throw new SociError('ERR_SOCI_LAYER_TRUNCATED', `${this.#name} ends in the middle of a zstd frame`);
  }

  #needed(): number {
    if (this.#state === 'block-header') return 3;
    if (this.#state === 'skip-size') return 4;
    if (this.#state === 'magic') return 4;
    // Magic and descriptor, then as much as the descriptor says.
    return this.#gathered.length < 5 ? 5 : headerLength(this.#gathered[4] as number);
  }

  #take(bytes: Uint8Array): FramePiece | undefined {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    switch (this.#state) {
      case 'magic': {
        const magic = view.getUint32(0, true);
        if (magic === FRAME_MAGIC) {
          this.#state = 'header';
          return undefined;
        }
        if ((magic & 0xfffffff0) >>> 0 !== SKIPPABLE_MAGIC && this.#wholeFrames !== undefined) {
          this.#state = 'behind';
          return undefined;
        }
        if ((magic & 0xfffffff0) >>> 0 !== SKIPPABLE_MAGIC)
          throw this.#bad(`no frame begins with ${hex(bytes)}`);
        this.#gathered = new Uint8Array(0);
        this.#state = 'skip-size';
        return undefined;
      }
      case 'skip-size':
        this.#gathered = new Uint8Array(0);
        this.#left = view.getUint32(0, true);
        this.#lastBlock = false;
        this.#state = this.#left === 0 ? 'magic' : 'skip';
        return undefined;
      case 'header':
        return this.#takeHeader(bytes);
      default:
        return this.#takeBlockHeader(bytes);
    }
  }

  #takeHeader(bytes: Uint8Array): FramePiece | undefined {
    const descriptor = bytes[4] as number;
    if (bytes.length < headerLength(descriptor)) return undefined;
    if ((descriptor & 0x08) !== 0) throw this.#bad('a reserved bit is set');
    if ((descriptor & 0x03) !== 0) throw this.#bad('it needs a dictionary');
    const window = windowSize(bytes);
    if (window > MAX_WINDOW) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${this.#name}: a zstd frame with a window of ${window} bytes, at most ${MAX_WINDOW} are taken`,
        { data: { limit: MAX_WINDOW, found: window } },
      );
    }
    this.#window = window;
    this.#checksum = (descriptor & 0x04) !== 0;
    this.#gathered = new Uint8Array(0);
    this.#state = 'block-header';
    return { bytes, last: false, window };
  }

  #takeBlockHeader(bytes: Uint8Array): FramePiece {
    const header = (bytes[0] as number) | ((bytes[1] as number) << 8) | ((bytes[2] as number) << 16);
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === BLOCK_RESERVED || size > MAX_BLOCK)
      throw this.#bad(`a block of type ${type} and ${size} bytes`);
    this.#lastBlock = (header & 1) !== 0;
    this.#left = (type === BLOCK_RLE ? 1 : size) + (this.#lastBlock && this.#checksum ? 4 : 0);
    this.#gathered = new Uint8Array(0);
    const last = this.#left === 0 && this.#lastBlock;
    if (last) this.#wholeFrames = this.#position;
    this.#state = last ? 'magic' : this.#left === 0 ? 'block-header' : 'pass';
    return { bytes, last, window: this.#window };
  }

  #bad(reason: string): SociError {
    return new SociError('ERR_SOCI_ZSTD_DATA', `${this.#name}: not a zstd stream: ${reason}`);
  }
}

/** RFC 8878 §3.1.1.1, magic included. */
function headerLength(descriptor: number): number {
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] as number;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  return Math.min(5 + (singleSegment ? 0 : 1) + dictionary + contentSize, 4 + MAX_HEADER);
}

function windowSize(header: Uint8Array): number {
  const descriptor = header[4] as number;
  if ((descriptor & 0x20) === 0) {
    const exponent = (header[5] as number) >> 3;
    const mantissa = (header[5] as number) & 7;
    return 2 ** (10 + exponent) * (1 + mantissa / 8);
  }
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  switch (descriptor >> 6) {
    case 0:
      return view.getUint8(5);
    case 1:
      return view.getUint16(5, true) + 256;
    case 2:
      return view.getUint32(5, true);
    default:
      return Number(view.getBigUint64(5, true));
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Whether a stream begins with a frame, or with one to skip, as zstd:chunked layers may. */
export function isZstd(head: Uint8Array): boolean {
  if (head.length < 4) return false;
  const magic = Buffer.from(head.buffer, head.byteOffset, 4).readUInt32LE();
  return magic === FRAME_MAGIC || (magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC;
}
