/**
 * The times that nearly all ztocs hold, whole seconds in UTC
 * ('2024-02-29T12:34:56Z'), read out of their bytes: a tree is made of hundreds
 * of thousands of them, and a string and a regular expression for each would be
 * a third of its cost. All others are for parseTime.
 */
import type { ByteView } from './byte-view.js';
import { daysOf } from './time.js';

const LENGTH = 20;
const DASH = 0x2d;
const COLON = 0x3a;
const UPPER_T = 0x54;
const UPPER_Z = 0x5a;
const ZERO = 0x30;

export class UtcSeconds {
  /** Files of one layer are mostly of a few days; as yyyymmdd. */
  #lastDate = Number.NaN;
  #lastDays: number | undefined;

  /** Seconds since 1970; undefined for a text of another form, or of no time. */
  of({ bytes, start, end }: ByteView): number | undefined {
    const hasForm =
      end - start === LENGTH &&
      bytes[start + 4] === DASH &&
      bytes[start + 7] === DASH &&
      bytes[start + 10] === UPPER_T &&
      bytes[start + 13] === COLON &&
      bytes[start + 16] === COLON &&
      bytes[start + 19] === UPPER_Z;
    if (!hasForm) return undefined;
    const year = twoDigits(bytes, start) * 100 + twoDigits(bytes, start + 2);
    const days = this.#days(year, twoDigits(bytes, start + 5), twoDigits(bytes, start + 8));
    const hour = twoDigits(bytes, start + 11);
    const minute = twoDigits(bytes, start + 14);
    const second = twoDigits(bytes, start + 17);
    // NaN, what is no two digits, is not below anything.
    const exists = hour < 24 && minute < 60 && second < 60;
    return days === undefined || !exists ? undefined : days * 86_400 + hour * 3600 + minute * 60 + second;
  }

  #days(year: number, month: number, day: number): number | undefined {
    const date = year * 10_000 + month * 100 + day;
    if (Number.isNaN(date)) return undefined;
    if (date !== this.#lastDate) {
      this.#lastDays = daysOf(year, month, day);
      this.#lastDate = date;
    }
    return this.#lastDays;
  }
}

/** NaN unless both are digits. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = (bytes[at] as number) - ZERO;
  const ones = (bytes[at + 1] as number) - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? 10 * tens + ones : Number.NaN;
}
