/**
 * The numbers of a tar header: octal or base-256 in the fixed fields (POSIX
 * ustar, and GNU's and star's extension of it), decimal in PAX records. What is
 * accepted is exactly what Go's archive/tar accepts, since a ztoc records what
 * that reader saw: `undefined` stands for its ErrHeader.
 */

/** An int64: a bigint only where a number would lose digits. */
export type Int64 = number | bigint;

const MAX_INT64 = 0x7fffffffffffffffn;
const MIN_INT64 = -0x8000000000000000n;

/** `block[start, end)` as octal; leading and trailing NULs and spaces do not count, nothing at all is 0. */
export function parseOctal(block: Uint8Array, start: number, end: number): number | undefined {
  let first = start;
  let last = end;
  while (first < last && isPadding(block[first])) first += 1;
  while (last > first && isPadding(block[last - 1])) last -= 1;
  let value = 0;
  for (let i = first; i < last; i += 1) {
    const byte = block[i] as number;
    if (byte === 0) break; // what follows a NUL inside the field is not looked at
    if (byte < 0x30 || byte > 0x37) return undefined;
    value = value * 8 + (byte - 0x30);
  }
  return value;
}

/** A fixed field that is either octal or, with its first bit set, a two's complement big-endian number. */
export function parseNumeric(block: Uint8Array, start: number, end: number): Int64 | undefined {
  const lead = block[start] as number;
  if ((lead & 0x80) === 0) return parseOctal(block, start, end);
  // -a-1 == ~a: a negative number is read as the complement of its complement.
  const negative = (lead & 0x40) !== 0;
  const mask = negative ? 0xff : 0;
  let value = 0n;
  for (let i = start; i < end; i += 1) {
    let byte = (block[i] as number) ^ mask;
    if (i === start) byte &= 0x7f;
    value = (value << 8n) | BigInt(byte);
  }
  if (value > MAX_INT64) return undefined;
  return narrow(negative ? ~value : value);
}

/** A decimal int64 with an optional sign, and nothing else. */
export function parseDecimal(text: string): Int64 | undefined {
  if (!/^[+-]?[0-9]+$/.test(text)) return undefined;
  let first = text.startsWith('-') || text.startsWith('+') ? 1 : 0;
  while (first < text.length - 1 && text[first] === '0') first += 1;
  // Longer than any int64: a peer's megabyte of digits must not reach BigInt.
  if (text.length - first > 19) return undefined;
  const magnitude = BigInt(text.slice(first));
  const value = text.startsWith('-') ? -magnitude : magnitude;
  if (value > MAX_INT64 || value < MIN_INT64) return undefined;
  return narrow(value);
}

/** Go's `uint32(int64)`: the low 32 bits. */
export function lowUint32(value: Int64): number {
  return Number(BigInt.asUintN(32, BigInt(value)));
}

function isPadding(byte: number | undefined): boolean {
  return byte === 0 || byte === 0x20;
}

function narrow(value: bigint): Int64 {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
