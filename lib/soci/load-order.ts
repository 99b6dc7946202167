/**
 * The load order of one workload of one image: which ranges of which files to
 * load, in which order, how urgently. Ranges are of files, not of layers or
 * spans, so that a document outlives every index of the image. It is anybody's
 * document: all of it is checked here, and what is written passes the same check.
 */
import { SociError } from '../errors.js';
import { isDigest } from '../registry/digest.js';
import { encodeJson, type Json, members } from './canonical-json.js';

export const LOAD_ORDER_TYPE = 'application/vnd.seekable-oci.load-order.v1+json';

const VERSION = '1.0';
/** Bytes of a document; its loads, and the longest path as Linux has it (PATH_MAX). */
export const MAX_LOAD_ORDER_BYTES = 16 * 2 ** 20;
export const MAX_LOADS = 100_000;
const MAX_PATH_BYTES = 4096;
const MAX_RUNS = 1_000_000;
/** The least urgent, as in RFC 9218 §4.1: 0 to 7, 7 being background. */
const MAX_URGENCY = 7;
const WORKLOAD = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Bytes [start, end) of a file. */
export interface Load {
  /** Of a regular file, absolute, links resolved. */
  readonly path: string;
  /** Bytes of the whole file. */
  readonly size: number;
  readonly start: number;
  readonly end: number;
  /** As in RFC 9218: 0 is the most urgent, 7 can wait for everything else. */
  readonly urgency: number;
  /** In how many of the runs it was read; undefined where nothing was recorded. */
  readonly runs?: number | undefined;
  /** Milliseconds from the start of a run, the median of those that read it. */
  readonly ms?: number | undefined;
}

export interface LoadOrder {
  /** Digest of the image manifest. */
  readonly image: string;
  readonly workload: string;
  /** Runs that were recorded; 0: it was derived without any. */
  readonly runs: number;
  /** The first is to be loaded first: by urgency, and within one as they stand. No two of them overlap. */
  readonly loads: readonly Load[];
}

export function isWholeFile({ start, end, size }: Pick<Load, 'start' | 'end' | 'size'>): boolean {
  return start === 0 && end === size;
}

/** The canonical bytes; equal load orders have equal digests. @throws SociError as `parseLoadOrder` */
export function encodeLoadOrder(order: LoadOrder): Uint8Array {
  const where = 'the load order';
  checkOrder(order, where);
  const { image, workload, runs } = order;
  const bytes = encodeJson(
    members([
      ['version', VERSION],
      ['image', image],
      ['workload', workload],
      ['runs', runs],
      ['loads', order.loads.map(loadMembers)],
    ]),
  );
  checkSize(bytes, where);
  return bytes;
}

function loadMembers(load: Load): Json {
  const { path, size, start, end, urgency, runs, ms } = load;
  const range = isWholeFile(load) ? undefined : { start, end };
  return members([
    ['path', path],
    ['size', size],
    ['start', range?.start],
    ['end', range?.end],
    ['urgency', urgency],
    ['runs', runs],
    ['ms', ms],
  ]);
}

/**
 * Reads a document, canonical or not.
 *
 * @param where What to call it in messages.
 * @throws SociError ERR_SOCI_LOAD_ORDER_FORMAT; ERR_SOCI_LIMIT for more than 16 MiB or 100,000 loads
 */
export function parseLoadOrder(bytes: Uint8Array, where: string): LoadOrder {
  checkSize(bytes, where);
  const { version, ...rest } = jsonObject(bytes, where);
  // First of all, since another version may have other members.
  if (version !== VERSION) throw malformed(where, 'version', `"${VERSION}"`, version);
  knownOnly(rest, ['image', 'workload', 'runs', 'loads'], where);
  const { image, workload, runs, loads: listed } = rest;
  if (!Array.isArray(listed)) throw malformed(where, 'loads', 'an array', listed);
  checkCount(listed, where);
  const loads = listed.map((load: unknown, at): Load => {
    const place = `loads[${at}]`;
    const given = object(load, where, place);
    knownOnly(given, ['path', 'size', 'start', 'end', 'urgency', 'runs', 'ms'], where, `${place}.`);
    if ((given['start'] === undefined) !== (given['end'] === undefined)) {
      throw malformed(where, place, 'start and end, or neither of them', given['start'] ?? given['end']);
    }
    return { start: 0, end: given['size'], ...given } as Load;
  });
  const order = { image, workload, runs, loads } as LoadOrder;
  checkOrder(order, where);
  return order;
}

function checkOrder(order: LoadOrder, where: string): void {
  const { image, workload, runs, loads } = order;
  if (typeof image !== 'string' || !isDigest(image)) {
    throw malformed(where, 'image', 'the digest of an image manifest', image);
  }
  if (!isWorkload(workload)) throw malformed(where, 'workload', WORKLOAD_FORM, workload);
  checkNumber(runs, { where, member: 'runs', least: 0, most: MAX_RUNS });
  checkCount(loads, where);
  let urgency = 0;
  for (const [at, load] of loads.entries()) {
    checkLoad(load, runs, where, `loads[${at}]`);
    if (load.urgency < urgency) {
      throw malformed(
        where,
        `loads[${at}].urgency`,
        `at least ${urgency}, that of the one before`,
        load.urgency,
      );
    }
    urgency = load.urgency;
  }
  checkOverlaps(loads, where);
}

/** What names of workloads look like, for messages. */
export const WORKLOAD_FORM = 'a name of 1 to 128 letters, digits, and . _ / - behind the first of those';

export function isWorkload(name: unknown): name is string {
  return typeof name === 'string' && WORKLOAD.test(name);
}

function checkLoad(load: Load, ofRuns: number, where: string, place: string): void {
  const { path, size, start, end, urgency, runs, ms } = load;
  if (!isLoadPath(path)) {
    throw malformed(where, `${place}.path`, 'an absolute path, without links, dots or NULs,', path);
  }
  checkNumber(size, { where, member: `${place}.size`, least: 1 });
  checkNumber(start, { where, member: `${place}.start`, least: 0, most: size - 1 });
  checkNumber(end, { where, member: `${place}.end`, least: start + 1, most: size });
  checkNumber(urgency, { where, member: `${place}.urgency`, least: 0, most: MAX_URGENCY });
  if (ofRuns > 0) {
    checkNumber(runs, { where, member: `${place}.runs`, least: 1, most: ofRuns });
    checkNumber(ms, { where, member: `${place}.ms`, least: 0 });
  } else if (runs !== undefined || ms !== undefined) {
    throw malformed(where, place, 'neither runs nor ms where nothing was recorded', runs ?? ms);
  }
}

/** Whether a path can stand in a document: one that is no text, which images may have, cannot. */
export function isLoadPath(path: unknown): path is string {
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) return false;
  if (path.length > MAX_PATH_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES) return false;
  const names = path.slice(1).split('/');
  return !names.some(name => name === '' || name === '.' || name === '..') && !LONE_SURROGATE.test(path);
}

/** @throws SociError where two loads have bytes in common, or differ over the size of a file */
function checkOverlaps(loads: readonly Load[], where: string): void {
  const byPath = new Map<string, Load[]>();
  for (const load of loads) {
    const others = byPath.get(load.path);
    if (others === undefined) byPath.set(load.path, [load]);
    else others.push(load);
  }
  for (const [path, ranges] of byPath) {
    ranges.sort((a, b) => a.start - b.start);
    for (const [at, { start, size }] of ranges.entries()) {
      const before = ranges[at - 1];
      if (before === undefined) continue;
      if (size !== before.size) throw malformed(where, path, `a size of ${before.size} everywhere`, size);
      if (start < before.end) throw malformed(where, path, `no range before byte ${before.end} again`, start);
    }
  }
}

interface NumberRule {
  readonly where: string;
  readonly member: string;
  readonly least: number;
  readonly most?: number;
}

function checkNumber(
  value: unknown,
  { where, member, least, most = Number.MAX_SAFE_INTEGER }: NumberRule,
): void {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return;
  const upTo = most === Number.MAX_SAFE_INTEGER ? ` from ${least} on` : ` of ${least} to ${most}`;
  throw malformed(where, member, `an integer${upTo}`, value);
}

function jsonObject(bytes: Uint8Array, where: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SociError(
      'ERR_SOCI_LOAD_ORDER_FORMAT',
      `${where}: expected a load order, found no JSON in UTF-8`,
      {
        data: { where },
        cause,
      },
    );
  }
  return object(value, where, 'the document');
}

function object(value: unknown, where: string, member: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw malformed(where, member, 'an object', value);
}

function knownOnly(found: object, known: readonly string[], where: string, place = ''): void {
  const other = Object.keys(found).find(name => !known.includes(name));
  if (other !== undefined) throw malformed(where, `${place}${other.slice(0, 100)}`, 'no such member', other);
}

function checkSize({ length }: Uint8Array, where: string): void {
  if (length > MAX_LOAD_ORDER_BYTES) throw tooMuch(where, 'bytes', MAX_LOAD_ORDER_BYTES, length);
}

function checkCount({ length }: readonly unknown[], where: string): void {
  if (length > MAX_LOADS) throw tooMuch(where, 'loads', MAX_LOADS, length);
}

function tooMuch(where: string, what: string, limit: number, found: number): SociError {
  return new SociError('ERR_SOCI_LIMIT', `${where}: ${found} ${what}, a load order has at most ${limit}`, {
    data: { where, limit, found },
  });
}

function malformed(where: string, member: string, expected: string, found: unknown): SociError {
  const shown = found === undefined ? 'nothing' : (JSON.stringify(found)?.slice(0, 120) ?? typeof found);
  const place = member.length > 200 ? `${member.slice(0, 200)}…` : member;
  const message = `${where}: ${place}: expected ${expected}, found ${shown}`;
  return new SociError('ERR_SOCI_LOAD_ORDER_FORMAT', message, { data: { where, member: place } });
}
