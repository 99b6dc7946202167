/**
 * A gzip writer that never ends a DEFLATE block, as igzip -0 does, and Go 1.27's
 * compress/gzip where data are homogeneous: one block with the fixed code (RFC
 * 1951, section 3.2.6), literals and matches of a greedy search.
 */
import { crc32 } from 'node:zlib';

const MIN_MATCH = 4;
const MAX_MATCH = 258;
const MAX_DISTANCE = 32_768;
const HASH_BITS = 15;

class BitWriter {
  readonly #bytes: Buffer;
  #length = 0;
  #held = 0;
  #bits = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.alloc(capacity);
  }

  /** The lowest bit first. */
  put(value: number, bits: number): void {
    this.#held |= value << this.#bits;
    this.#bits += bits;
    while (this.#bits >= 8) {
      this.#bytes[this.#length++] = this.#held & 0xff;
      this.#held >>>= 8;
      this.#bits -= 8;
    }
  }

  /** A code word, whose highest bit comes first. */
  putCode(code: number, bits: number): void {
    for (let bit = bits - 1; bit >= 0; bit--) this.put((code >>> bit) & 1, 1);
  }

  finish(): Buffer {
    if (this.#bits > 0) this.put(0, 8 - this.#bits);
    return this.#bytes.subarray(0, this.#length);
  }
}

function putSymbol(bits: BitWriter, symbol: number): void {
  if (symbol < 144) bits.putCode(0x30 + symbol, 8);
  else if (symbol < 256) bits.putCode(0x190 + symbol - 144, 9);
  else if (symbol < 280) bits.putCode(symbol - 256, 7);
  else bits.putCode(0xc0 + symbol - 280, 8);
}

/** Lengths and distances are told by classes: `step` of them for each number of extra bits. */
function classOf(value: number, step: number): { symbol: number; extra: number; bits: number } {
  const bits = Math.max(0, Math.floor(Math.log2(Math.max(1, value))) - Math.log2(step));
  const symbol = bits * step + (value >>> bits);
  return { symbol, extra: value & ((1 << bits) - 1), bits };
}

function putMatch(bits: BitWriter, length: number, distance: number): void {
  if (length === MAX_MATCH) putSymbol(bits, 285);
  else {
    const { symbol, extra, bits: more } = classOf(length - 3, 4);
    putSymbol(bits, 257 + symbol);
    bits.put(extra, more);
  }
  const { symbol, extra, bits: more } = classOf(distance - 1, 2);
  bits.putCode(symbol, 5);
  bits.put(extra, more);
}

/** All of `data` as one gzip member of one block. */
export function oneBlockGzip(data: Buffer): Buffer {
  const bits = new BitWriter(data.length * 2 + 64);
  const last = new Int32Array(1 << HASH_BITS).fill(-1);
  bits.put(0b011, 3);
  for (let at = 0; at < data.length; ) {
    let length = 0;
    let from = -1;
    if (at + MIN_MATCH <= data.length) {
      const hash = Math.imul(data.readUInt32LE(at), 0x9e3779b1) >>> (32 - HASH_BITS);
      from = last[hash] as number;
      last[hash] = at;
      const most = Math.min(MAX_MATCH, data.length - at);
      if (from >= 0 && at - from <= MAX_DISTANCE) {
        while (length < most && data[from + length] === data[at + length]) length++;
      }
    }
    if (length < MIN_MATCH) putSymbol(bits, data[at++] as number);
    else {
      putMatch(bits, length, at - from);
      at += length;
    }
  }
  putSymbol(bits, 256);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(data), 0);
  trailer.writeUInt32LE(data.length % 2 ** 32, 4);
  return Buffer.concat([Buffer.from('1f8b08000000000000ff', 'hex'), bits.finish(), trailer]);
}
