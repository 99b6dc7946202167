/**
 * Which requests a read makes. Spans that are cached or already under way cost
 * nothing; of the others, neighbours are joined into runs, and each run is one
 * request. Pure, so that `explain` and the reader cannot disagree.
 */
import { compressedLength, decodedLength, type SpanTable } from './span-table.js';

/** What a read finds when it comes to a span. */
export type SpanState = 'missing' | 'cached' | 'in-flight' | 'huge';

export interface RunLimits {
  /** Compressed bytes of one request. */
  readonly requestBytes: number;
  /** Bytes that the spans of one request decode to. */
  readonly decodedBytes: number;
}

/**
 * Spans of one request. Each costs some KiB while it is under way, however
 * short it is: a ztoc may cut a layer into spans of one byte.
 */
const MAX_RUN_SPANS = 256;

/** Consecutive spans in one state, `end` exclusive: one request if they are missing. */
export interface Step {
  readonly state: SpanState;
  readonly first: number;
  readonly end: number;
}

/** The spans that hold bytes of [start, end) of the tar stream, `end` exclusive. An empty range needs none. */
export function spansOf(table: SpanTable, start: number, end: number): { first: number; end: number } {
  if (end <= start) return { first: 0, end: 0 };
  return { first: table.spanOf(start), end: table.spanOf(end - 1) + 1 };
}

/** Consecutive spans, `end` exclusive, of which some may have been dealt with. */
export interface Interval {
  first: number;
  readonly end: number;
}

/** The spans of ascending ranges of the tar stream as intervals without overlap, touching ones merged. */
export function spanIntervals(
  table: SpanTable,
  ranges: readonly { readonly start: number; readonly end: number }[],
): Interval[] {
  const intervals: Interval[] = [];
  for (const range of ranges) {
    const { first, end } = spansOf(table, range.start, range.end);
    const last = intervals.at(-1);
    if (first === end) continue;
    if (last === undefined || first > last.end) intervals.push({ first, end });
    else intervals[intervals.length - 1] = { first: last.first, end: Math.max(last.end, end) };
  }
  return intervals;
}

/**
 * What to do about the spans from `from` on, not going beyond `to`. Only
 * missing spans are joined. A run has at least one span, whatever the limits.
 */
export function nextStep(
  table: SpanTable,
  from: number,
  to: number,
  stateOf: (index: number) => SpanState,
  limits: RunLimits,
): Step {
  const state = stateOf(from);
  if (state !== 'missing') return { state, first: from, end: from + 1 };
  let requestBytes = compressedLength(table.span(from));
  let decodedBytes = decodedLength(table.span(from));
  let end = from + 1;
  const last = Math.min(to, from + MAX_RUN_SPANS);
  while (end < last && stateOf(end) === 'missing') {
    const span = table.span(end);
    requestBytes += compressedLength(span);
    decodedBytes += decodedLength(span);
    if (requestBytes > limits.requestBytes || decodedBytes > limits.decodedBytes) break;
    end++;
  }
  return { state, first: from, end };
}

/** All steps for the spans [first, end), as they stand now. */
export function planSteps(
  table: SpanTable,
  first: number,
  end: number,
  stateOf: (index: number) => SpanState,
  limits: RunLimits,
): Step[] {
  const steps: Step[] = [];
  for (let at = first; at < end; ) {
    const step = nextStep(table, at, end, stateOf, limits);
    steps.push(step);
    at = step.end;
  }
  return steps;
}

/** The bytes of the layer that a run is fetched from, half-open; spans that share a byte share it here too. */
export function runRange(table: SpanTable, first: number, end: number): { start: number; end: number } {
  return { start: table.fetchStart(first), end: table.span(end - 1).compressedEnd };
}
