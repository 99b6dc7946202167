/**
 * Sizes as the configuration file writes them: a number, with decimals or without, and
 * perhaps a unit of 1024s. The grammar is the reference's, down to what it refuses, so
 * that a file means the same to both.
 */

const UNITS = { gb: 2 ** 30, mb: 2 ** 20, kb: 2 ** 10, b: 1 } as const;
const SIZE = /^([0-9]+(?:\.[0-9]+)?)[\t\n\f\r ]*(gb|mb|kb|b)?$/i;
/** Longer than any size that is one, and short enough to be looked at. */
const MAX_TEXT = 64;

/** 1 TiB: more than any layer has, and far from where integers end. */
export const MAX_SIZE = 2 ** 40;

/** Whole bytes, rounded down; undefined for what is no size. The caller holds it against `MAX_SIZE`. */
export function parseSize(text: string): number | undefined {
  if (text === '') return 0;
  // Cut off here, not by the pattern, which would go over a long row of spaces once for each.
  const trimmed = text.slice(0, MAX_TEXT + 1).replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, '');
  const [, number, unit = 'b'] = (text.length <= MAX_TEXT && SIZE.exec(trimmed)) || [];
  if (number === undefined) return undefined;
  return Math.floor(Number(number) * UNITS[unit.toLowerCase() as keyof typeof UNITS]);
}

/** In the largest unit that it is a multiple of; "" for 0, as the file's default is written. */
export function formatSize(bytes: number): string {
  if (bytes === 0) return '';
  const [name, unit] = Object.entries(UNITS).find(([, unit]) => bytes % unit === 0) ?? ['b', 1];
  return `${bytes / unit}${name}`;
}
