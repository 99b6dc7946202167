/**
 * Argument checks and allocation that every RangeSource shares: a range is
 * validated against the object before memory is taken for it, so that a
 * hostile offset or length costs nothing.
 */
import { SociError } from '../errors.js';

/** The bytes [start, end) of an object. */
export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

/** @throws SociError ERR_SOCI_SOURCE_RANGE unless [offset, offset + length) lies inside an object of `size` bytes. */
export function checkByteRange(name: string, size: number, offset: number, length: number): void {
  const valid =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    length <= size - offset;
  if (!valid) {
    throw new SociError(
      'ERR_SOCI_SOURCE_RANGE',
      `${name}: cannot read ${length} bytes at offset ${offset}: the object has ${size} bytes`,
      { data: { name, offset, length, size } },
    );
  }
}

/**
 * Memory for a read, not zeroed (every byte is overwritten or the read fails)
 * and never a slice of Node's shared pool, since the addon gets its buffer.
 */
export function allocateExactly(length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
  } catch (cause) {
    throw new SociError('ERR_SOCI_NO_MEMORY', `cannot allocate ${length} bytes for one read`, {
      data: { length },
      cause,
    });
  }
}

export function closedError(name: string): SociError {
  return new SociError('ERR_SOCI_CLOSED', `${name} is closed`, { data: { name } });
}
