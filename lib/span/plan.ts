/**
 * Which requests a read makes. Spans that are cached or already under way cost
 * nothing; of the others, neighbours are joined into runs, over gaps too where
 * that is cheaper than another request, and each run is fetched together. Pure,
 * so that `explain` and the reader cannot disagree.
 */
import { decodedLength, type SpanTable } from './span-table.js';

/** What a read finds when it comes to a span. */
export type SpanState = 'missing' | 'cached' | 'in-flight' | 'huge';

export interface RunLimits {
  /** Compressed bytes of one request. */
  readonly requestBytes: number;
  /** Bytes that the spans of one request decode to. */
  readonly decodedBytes: number;
  /** Compressed bytes that nobody wants and a request may read over to reach the next span. Default 0. */
  readonly gapBytes?: number | undefined;
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

/** Consecutive spans, `end` exclusive. */
export interface Interval {
  readonly first: number;
  readonly end: number;
}

/** What to do about some of the spans that a read wants: ascending, one unless they are missing. */
export interface WantedStep {
  readonly state: SpanState;
  readonly spans: readonly [number, ...number[]];
}

export type StateOf = (index: number) => SpanState;

/** The spans of one request as it grows; at least one, whatever the limits. */
class Run {
  readonly spans: [number, ...number[]];
  readonly #table: SpanTable;
  readonly #limits: RunLimits;
  readonly #start: number;
  #last: number;
  #end: number;
  #decodedBytes: number;

  constructor(table: SpanTable, first: number, limits: RunLimits) {
    this.#table = table;
    this.#limits = limits;
    this.spans = [first];
    this.#last = first;
    this.#start = table.fetchStart(first);
    const span = table.span(first);
    this.#end = span.compressedEnd;
    this.#decodedBytes = decodedLength(span);
  }

  /** Whether span `index`, behind the others, is near enough. */
  reaches(index: number): boolean {
    if (index >= this.spans[0] + MAX_RUN_SPANS) return false;
    return index === this.#last + 1 || this.#gap(index) <= (this.#limits.gapBytes ?? 0);
  }

  /** Whether nothing in front of span `index` that would be read over is on its way already. */
  isClear(index: number, stateOf: StateOf): boolean {
    for (let between = this.#last + 1; between < index; between++) {
      if (stateOf(between) === 'in-flight') return false;
    }
    return true;
  }

  /** Adds span `index`, which it reaches, unless that is too much. */
  add(index: number): boolean {
    const span = this.#table.span(index);
    const decodedBytes = this.#decodedBytes + decodedLength(span);
    if (span.compressedEnd - this.#start > this.#limits.requestBytes) return false;
    if (decodedBytes > this.#limits.decodedBytes) return false;
    this.spans.push(index);
    this.#last = index;
    this.#end = span.compressedEnd;
    this.#decodedBytes = decodedBytes;
    return true;
  }

  #gap(index: number): number {
    return this.#table.fetchStart(index) - this.#end;
  }
}

/** The bytes [start, end) of the tar stream. */
export interface TarRange {
  readonly start: number;
  readonly end: number;
}

/** The spans of ascending ranges of the tar stream as intervals without overlap, touching ones merged. */
export function spanIntervals(table: SpanTable, ranges: readonly TarRange[]): Interval[] {
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
 * missing spans are joined, and no gap is bridged.
 */
export function nextStep(
  table: SpanTable,
  from: number,
  to: number,
  stateOf: StateOf,
  limits: RunLimits,
): Step {
  const state = stateOf(from);
  let end = from + 1;
  if (state === 'missing') {
    const run = new Run(table, from, limits);
    while (end < to && stateOf(end) === 'missing' && run.reaches(end) && run.add(end)) end++;
  }
  return { state, first: from, end };
}

/** What to do first about the spans in `wanted`, ascending and some, from which it is taken out. */
export function takeStep(
  table: SpanTable,
  wanted: Interval[],
  stateOf: StateOf,
  limits: RunLimits,
): WantedStep {
  const { first: from } = wanted[0] as Interval;
  const state = stateOf(from);
  const step: WantedStep =
    state === 'missing'
      ? { state, spans: missingRun(table, wanted, stateOf, limits) }
      : { state, spans: [from] };
  take(wanted, step.spans);
  return step;
}

/** The first span that is wanted and those that are fetched with it. */
function missingRun(
  table: SpanTable,
  wanted: readonly Interval[],
  stateOf: StateOf,
  limits: RunLimits,
): WantedStep['spans'] {
  const from = (wanted[0] as Interval).first;
  const run = new Run(table, from, limits);
  for (const { first, end } of wanted) {
    for (let index = Math.max(first, from + 1); index < end; index++) {
      if (!run.reaches(index)) return run.spans;
      if (stateOf(index) !== 'missing') continue;
      if (!run.isClear(index, stateOf) || !run.add(index)) return run.spans;
    }
  }
  return run.spans;
}

/** Takes spans, ascending, out of the intervals that they are in. */
function take(wanted: Interval[], spans: readonly number[]): void {
  const left: Interval[] = [];
  let taken = 0;
  let passed = 0;
  for (const { first, end } of wanted) {
    if (taken === spans.length) break;
    passed++;
    let from = first;
    for (let span = spans[taken]; span !== undefined && span < end; span = spans[++taken]) {
      if (from < span) left.push({ first: from, end: span });
      from = span + 1;
    }
    if (from < end) left.push({ first: from, end });
  }
  wanted.splice(0, passed, ...left);
}

/** Missing spans, ascending, as the runs that they are fetched in. */
export function missingRuns(
  table: SpanTable,
  spans: readonly number[],
  stateOf: StateOf,
  limits: RunLimits,
): (readonly [number, ...number[]])[] {
  const runs: (readonly [number, ...number[]])[] = [];
  let run: Run | undefined;
  for (const index of spans) {
    if (run?.reaches(index) && run.isClear(index, stateOf) && run.add(index)) continue;
    run = new Run(table, index, limits);
    runs.push(run.spans);
  }
  return runs;
}

/** All steps for the spans [first, end), as they stand now. */
export function planSteps(
  table: SpanTable,
  first: number,
  end: number,
  stateOf: StateOf,
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
