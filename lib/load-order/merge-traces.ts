/**
 * One load order of several recorded runs of a workload: what every run reads
 * comes first, in the order in which the runs read it, then what most of them do,
 * and what hardly one does last. It depends on what the traces say alone, not on
 * the order in which they are given.
 */
import { invalidArgument, SociError } from '../errors.js';
import type { Trace } from '../image/recording.js';
import type { Load, LoadOrder } from '../soci/load-order.js';
import { earliestReads, type FileRead } from './earliest-reads.js';

/** Ranges are rounded to what a kernel reads at least, so that runs that differ by a few bytes agree. */
const BLOCK_BYTES = 4096;
const MAX_TRACES = 1000;

/** How urgent a range is by the share of runs that read it, as RFC 9218 counts; what remains can wait for all else. */
const URGENCIES: readonly { readonly urgency: number; readonly isFor: (share: number) => boolean }[] = [
  { urgency: 1, isFor: share => share === 1 },
  { urgency: 3, isFor: share => share >= 0.5 },
  { urgency: 5, isFor: share => share > 0.1 },
];
const LAST_URGENCY = 7;

interface TracedFile {
  readonly size: number;
  /** By the place of the trace among all; most files are in few. */
  readonly reads: Map<number, FileRead[]>;
}

/**
 * @param traces Of the same image, 1 to 1000 of them.
 * @throws SociError ERR_SOCI_LOAD_ORDER_MISMATCH for traces of different images; ERR_SOCI_INVALID_ARGUMENT for none
 */
export function mergeTraces(traces: readonly Trace[], workload: string): LoadOrder {
  const [first] = traces;
  if (first === undefined || traces.length > MAX_TRACES) {
    throw invalidArgument('traces', `1 to ${MAX_TRACES} of them`, traces.length);
  }
  const files = new Map<string, TracedFile>();
  for (const [run, { image, reads }] of traces.entries()) {
    if (image !== first.image) throw mismatch('image', first.image, image);
    for (const { path, size, start, end, ms } of reads) {
      if (end <= start) continue;
      const file = files.get(path) ?? { size, reads: new Map<number, FileRead[]>() };
      if (file.size !== size) throw mismatch(path, `${file.size} bytes`, `${size} bytes`);
      files.set(path, file);
      const read = { ...blocks(start, end, size), ms };
      const before = file.reads.get(run);
      if (before === undefined) file.reads.set(run, [read]);
      else before.push(read);
    }
  }
  const loads = [...files].flatMap(([path, file]) => loadsOf(path, file, traces.length));
  return { image: first.image, workload, runs: traces.length, loads: joined(loads.sort(byOrder)) };
}

/** A load order of one run, as the trace that it was made of. @throws SociError ERR_SOCI_INVALID_ARGUMENT for others */
export function traceOf(order: LoadOrder): Trace {
  if (order.runs !== 1) throw invalidArgument('the load order', 'one of a single run', order.runs);
  const reads = order.loads.map(({ path, size, start, end, ms = 0 }) => ({ path, size, start, end, ms }));
  return { image: order.image, reads: reads.sort((a, b) => a.ms - b.ms) };
}

function blocks(start: number, end: number, size: number): { start: number; end: number } {
  const from = Math.floor(start / BLOCK_BYTES) * BLOCK_BYTES;
  return { start: from, end: Math.min(size, Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES) };
}

function loadsOf(path: string, { size, reads }: TracedFile, runs: number): Load[] {
  const inTime = Array.from(reads.values(), each => each.sort((a, b) => a.ms - b.ms));
  return earliestReads(inTime).map(({ start, end, times }) => {
    times.sort((a, b) => a - b);
    // The lower one of two in the middle: a time that some run had.
    const ms = times[(times.length - 1) >> 1] as number;
    return { path, size, start, end, urgency: urgencyOf(times.length, runs), runs: times.length, ms };
  });
}

function urgencyOf(count: number, runs: number): number {
  return URGENCIES.find(({ isFor }) => isFor(count / runs))?.urgency ?? LAST_URGENCY;
}

function byOrder(a: Load, b: Load): number {
  const [before, after] = [a.ms as number, b.ms as number];
  if (a.urgency !== b.urgency) return a.urgency - b.urgency;
  if (before !== after) return before - after;
  return a.path === b.path ? a.start - b.start : a.path < b.path ? -1 : 1;
}

/** Neighbours in the file that are neighbours in the order are one, told by what holds for all of it. */
function joined(loads: readonly Load[]): Load[] {
  const all: Load[] = [];
  for (const load of loads) {
    const last = all.at(-1);
    const goesOn = last?.path === load.path && last.end === load.start && last.urgency === load.urgency;
    if (!goesOn) all.push(load);
    else all[all.length - 1] = { ...last, end: load.end, runs: Math.min(last.runs ?? 0, load.runs ?? 0) };
  }
  return all;
}

function mismatch(what: string, expected: string, found: string): SociError {
  return new SociError(
    'ERR_SOCI_LOAD_ORDER_MISMATCH',
    `traces of one image: ${what}: expected ${expected} as in the first, found ${found}`,
    { data: { what, expected, found } },
  );
}
