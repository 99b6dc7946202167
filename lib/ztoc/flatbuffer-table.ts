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
    this.#need(0, 4, 'the root offset');
    return this.table(0, 'the root table');
  }

  /** Follows the offset at `position` to a table and checks that table's vtable. */
  table(position: number, what: string): number {
    const table = this.#follow(position, what);
    const vtable = table - this.#view.getInt32(table, true);
    this.#need(vtable, 4, `the vtable of ${what}`);
    const size = this.#view.getUint16(vtable, true);
    if (size < 4 || size % 2 !== 0) throw this.#bad(`the vtable of ${what} has ${size} bytes`, vtable);
    this.#need(vtable, size, `the vtable of ${what}`);
    this.#need(table, this.#view.getUint16(vtable + 2, true), what);
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
    const { start, length } = this.vector(table, slot, 1);
    view.set(this.bytes, start, start + length);
  }

  /** A vector field whose elements have `width` bytes each. */
  vector(table: number, slot: number, width: number): Vector {
    const position = this.field(table, slot, 4);
    return position === 0 ? EMPTY_VECTOR : this.vectorAt(position, width);
  }

  /** The vector that the offset at `position` points to. */
  vectorAt(position: number, width: number): Vector {
    const at = this.#follow(position, 'a vector');
    const length = this.#view.getUint32(at, true);
    this.#need(at + 4, length * width, 'a vector');
    return { start: at + 4, length };
  }

  #follow(position: number, what: string): number {
    const target = position + this.#view.getUint32(position, true);
    this.#need(target, 4, what);
    return target;
  }

  #need(position: number, length: number, what: string): void {
    if (position >= 0 && position + length <= this.bytes.length) return;
    throw this.#bad(`${what} needs ${length} bytes`, position);
  }

  #bad(reason: string, position: number): SociError {
    const message = `not a ${this.#what}: ${reason} at byte ${position} of ${this.bytes.length}`;
    return new SociError('ERR_SOCI_ZTOC_FORMAT', message, { data: { offset: position } });
  }
}
