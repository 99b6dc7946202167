/**
 * Reads flatbuffer tables with every offset checked. The flatbuffers runtime
 * trusts its input and has no verifier in JavaScript, while a ztoc comes from
 * whoever may push to a registry. Nothing is read before it is asked for, so
 * overlapping or cyclic offsets cost no more than the accesses themselves.
 */
import { SociError } from '../errors.js';
import type { ByteView } from '../tar/byte-view.js';

/** A vector of `length` elements that begin at `start`; bounds are checked when it is made. */
export interface Vector {
  readonly start: number;
  readonly length: number;
}

const EMPTY_VECTOR: Vector = { start: 0, length: 0 };

export class FlatBuffer {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  /** The same bytes; strings are cut out of it. */
  readonly #text: Buffer;
  readonly #what: string;

  /** @param what the document's name in messages, e.g. 'ztoc' */
  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  /** Position of the root table. */
  root(): number {
    if (!this.#has(0, 4)) throw this.#short(0, 4, 'the root offset');
    return this.table(0, 'the root table');
  }

  /**
   * Follows the offset at `position` to a table and checks that table's vtable.
   *
   * @param what it is, for messages; which of several `index` says, so that no text is made of it before it is needed
   */
  table(position: number, what: string, index?: number): number {
    const table = this.#follow(position, what, index);
    const vtable = table - this.#view.getInt32(table, true);
    if (!this.#has(vtable, 4)) throw this.#short(vtable, 4, `the vtable of ${named(what, index)}`);
    const size = this.#view.getUint16(vtable, true);
    if (size < 4 || size % 2 !== 0) {
      throw this.#bad(`the vtable of ${named(what, index)} has ${size} bytes`, vtable);
    }
    if (!this.#has(vtable, size)) throw this.#short(vtable, size, `the vtable of ${named(what, index)}`);
    const inline = this.#view.getUint16(vtable + 2, true);
    if (!this.#has(table, inline)) throw this.#short(table, inline, named(what, index));
    return table;
  }

  /** A scalar or offset of `width` bytes: its position, or 0 when the table does not have it. */
  field(table: number, slot: number, width: number): number {
    const vtable = table - this.#view.getInt32(table, true);
    const entry = 4 + 2 * slot;
    if (entry + 2 > this.#view.getUint16(vtable, true)) return 0;
    const offset = this.#view.getUint16(vtable + entry, true);
    if (offset === 0) return 0;
    if (offset + width > this.#view.getUint16(vtable + 2, true)) {
      throw this.#bad(`field ${slot} lies outside its table`, table);
    }
    return table + offset;
  }

  int8(table: number, slot: number, fallback: number): number {
    const position = this.field(table, slot, 1);
    return position === 0 ? fallback : this.#view.getInt8(position);
  }

  int32(table: number, slot: number): number {
    const position = this.field(table, slot, 4);
    return position === 0 ? 0 : this.#view.getInt32(position, true);
  }

  uint32(table: number, slot: number): number {
    const position = this.field(table, slot, 4);
    return position === 0 ? 0 : this.#view.getUint32(position, true);
  }

  /** An int64 as a number; one that no number holds exactly is refused. */
  int64(table: number, slot: number): number {
    const position = this.field(table, slot, 8);
    if (position === 0) return 0;
    const value = this.#view.getInt32(position + 4, true) * 2 ** 32 + this.#view.getUint32(position, true);
    if (!Number.isSafeInteger(value)) throw this.#bad(`an integer beyond 2^53: ${value}`, position);
    return value;
  }

  /** Strings and byte vectors alike: a view of their bytes, empty when absent. */
  byteVector(table: number, slot: number): Uint8Array {
    const { start, length } = this.vector(table, slot, 1);
    return this.bytes.subarray(start, start + length);
  }

  /** A string as a byte string. */
  byteString(table: number, slot: number): string {
    const { start, length } = this.vector(table, slot, 1);
    return length === 0 ? '' : this.#text.toString('latin1', start, start + length);
  }

  /** Moves a view to the bytes of a string. */
  viewString(table: number, slot: number, view: ByteView): void {
    const position = this.field(table, slot, 4);
    const start = position === 0 ? 0 : this.#vector(position, 1) + 4;
    view.set(this.bytes, start, position === 0 ? 0 : start + this.#view.getUint32(start - 4, true));
  }

  /** A vector field whose elements have `width` bytes each. */
  vector(table: number, slot: number, width: number): Vector {
    const position = this.field(table, slot, 4);
    return position === 0 ? EMPTY_VECTOR : this.vectorAt(position, width);
  }

  /** Elements of a vector field, which is checked as `vector` checks it; nothing is made for it. */
  vectorLength(table: number, slot: number, width: number): number {
    const position = this.field(table, slot, 4);
    return position === 0 ? 0 : this.#view.getUint32(this.#vector(position, width), true);
  }

  /** The vector that the offset at `position` points to. */
  vectorAt(position: number, width: number): Vector {
    const at = this.#vector(position, width);
    return { start: at + 4, length: this.#view.getUint32(at, true) };
  }

  /** Where the length of a vector is, which its elements follow. */
  #vector(position: number, width: number): number {
    const at = this.#follow(position, 'a vector');
    const bytes = this.#view.getUint32(at, true) * width;
    if (!this.#has(at + 4, bytes)) throw this.#short(at + 4, bytes, 'a vector');
    return at;
  }

  #follow(position: number, what: string, index?: number): number {
    const target = position + this.#view.getUint32(position, true);
    if (!this.#has(target, 4)) throw this.#short(target, 4, named(what, index));
    return target;
  }

  #has(position: number, length: number): boolean {
    return position >= 0 && position + length <= this.bytes.length;
  }

  #short(position: number, length: number, what: string): SociError {
    return this.#bad(`${what} needs ${length} bytes`, position);
  }

  #bad(reason: string, position: number): SociError {
    const message = `not a ${this.#what}: ${reason} at byte ${position} of ${this.bytes.length}`;
    return new SociError('ERR_SOCI_ZTOC_FORMAT', message, { data: { offset: position } });
  }
}

function named(what: string, index: number | undefined): string {
  return index === undefined ? what : `${what} ${index}`;
}
