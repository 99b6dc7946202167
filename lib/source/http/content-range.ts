/**
 * `Content-Range` of RFC 9110 §14.4, byte ranges only, exactly as written
 * there: a server that cannot format it is not trusted with offsets. The last
 * position is inclusive on the wire and half-open here.
 */

export interface ContentRange {
  /** Half-open range of the object; undefined for the unsatisfied form of a 416 reply. */
  readonly range: { readonly start: number; readonly end: number } | undefined;
  /** Bytes of the whole object; undefined for `*`. */
  readonly total: number | undefined;
}

const SATISFIED = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/i;
const UNSATISFIED = /^bytes \*\/(\d{1,16})$/i;

/** Undefined when the value is missing, malformed, contradicts itself or leaves the safe integers. */
export function parseContentRange(value: string | undefined): ContentRange | undefined {
  if (value === undefined) return undefined;
  const unsatisfied = UNSATISFIED.exec(value);
  if (unsatisfied) {
    const total = Number(unsatisfied[1]);
    return Number.isSafeInteger(total) ? { range: undefined, total } : undefined;
  }
  const match = SATISFIED.exec(value);
  if (!match) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2]) + 1;
  const total = match[3] === '*' ? undefined : Number(match[3]);
  if (!Number.isSafeInteger(end) || end <= start) return undefined;
  if (total !== undefined && (!Number.isSafeInteger(total) || end > total)) return undefined;
  return { range: { start, end }, total };
}
