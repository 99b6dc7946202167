/**
 * A run that something else recorded, held against the image: a log of strace,
 * JSON lines, or a list of paths. What is not of the image (/proc, sockets, files
 * that were made meanwhile) is counted and left out.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import { invalidText, SociError } from '../errors.js';
import type { Image } from '../image/image.js';
import { MAX_TRACE_READS, type Trace, type TraceRead } from '../image/recording.js';
import { isLoadPath } from '../soci/load-order.js';
import type { AbortableOptions } from '../source/range-source.js';
import { shebangOf } from './command-chain.js';
import { DynamicLinker, type LoadedObject } from './dynamic-linker.js';
import { type FoundFile, ImageFiles } from './image-files.js';
import { linesOf } from './lines.js';
import { type GivenRead, StraceLog } from './strace-log.js';

export interface ImportTraceOptions extends AbortableOptions {
  /** What stands before the image's paths in the log, e.g. the folder that was the root. Default '/'. */
  readonly root?: string | undefined;
}

/** As the kernel follows shebangs (BINPRM_MAX_RECURSION), and as much of a file as it looks at. */
const MAX_INTERPRETERS = 5;
const SHEBANG_BYTES = 256;

const IMPORT_NAMES: OptionNames<ImportTraceOptions> = { signal: true, root: true };

export interface ImportedTrace {
  readonly trace: Trace;
  /** Reads of what is no file of the image. */
  readonly leftOut: number;
}

/**
 * @param log Each line: what `strace -f -y -ttt` writes; or an object `{ path, start, end, ms }` in JSON, of which only
 *   `path` is required; or a path, which begins with '/'. The first line that is not empty says which.
 * @throws SociError ERR_SOCI_LOAD_ORDER_FORMAT for a line of JSON that is none; ERR_SOCI_LIMIT for more than a million
 *   reads; whatever reading the image or the log fails with
 */
export async function importTrace(
  image: Image,
  log: AsyncIterable<Uint8Array>,
  options: ImportTraceOptions = {},
): Promise<ImportedTrace> {
  checkOptions('importTrace', options, IMPORT_NAMES);
  const { signal, root = '/' } = options;
  if (!root.startsWith('/')) throw invalidText('root', 'an absolute path', root);
  const files = await ImageFiles.of(image, { signal, maxLookups: MAX_TRACE_READS });
  const imported = new Import(files, root.replace(/\/+$/, ''));
  let read: ((line: string, number: number) => GivenRead | undefined) | undefined;
  let number = 0;
  for await (const line of linesOf(log)) {
    signal?.throwIfAborted();
    number += 1;
    if (line.trim() === '') continue;
    read ??= readerFor(line);
    const given = read(line, number);
    if (given !== undefined) await imported.add(given);
  }
  const reads = imported.reads.sort((a, b) => a.ms - b.ms);
  return { trace: { image: image.manifest.descriptor.digest, reads }, leftOut: imported.leftOut };
}

function readerFor(line: string): (line: string, number: number) => GivenRead | undefined {
  if (line.startsWith('{')) return jsonRead;
  if (line.startsWith('/')) return path => ({ path, ms: 0 });
  const log = new StraceLog();
  return text => log.line(text);
}

function jsonRead(line: string, number: number): GivenRead {
  const isCount = (value: unknown): boolean =>
    value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw malformed(number);
  }
  const { path, start, end, ms = 0 } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof path !== 'string' || ![start, end, ms].every(isCount)) throw malformed(number);
  return { path, start: start as number | undefined, end: end as number | undefined, ms: ms as number };
}

function malformed(line: number): SociError {
  return new SociError(
    'ERR_SOCI_LOAD_ORDER_FORMAT',
    `line ${line} of the trace: expected {"path":TEXT,"start":BYTE,"end":BYTE,"ms":TIME}, of which only path is required`,
    { data: { line } },
  );
}

class Import {
  readonly reads: TraceRead[] = [];
  leftOut = 0;
  readonly #files: ImageFiles;
  readonly #root: string;
  /** Of paths as they are written. */
  readonly #found = new Map<string, FoundFile | undefined>();
  readonly #programs = new Map<string, readonly LoadedObject[]>();

  constructor(files: ImageFiles, root: string) {
    this.#files = files;
    this.#root = root;
  }

  async add(given: GivenRead): Promise<void> {
    const file = await this.#file(given);
    if (file === undefined || !isLoadPath(file.path)) {
      this.leftOut += 1;
      return;
    }
    if (given.executed) await this.#addProgram(file, given.ms);
    else this.#add(file, given.start ?? 0, given.end ?? file.size, given.ms);
  }

  /** What the kernel reads: scripts up to the program that runs them, that and its linker. What that loads it says itself. */
  async #addProgram(file: FoundFile, ms: number, depth = 0): Promise<void> {
    const objects =
      this.#programs.get(file.path) ?? (await new DynamicLinker(this.#files, new Map()).mappedByKernel(file));
    this.#programs.set(file.path, objects);
    for (const { file: mapped, elf } of objects) {
      for (const { start, end } of elf.segments) this.#add(mapped, start, end, ms);
    }
    if (objects.length > 0) return;
    this.#add(file, 0, file.size, ms);
    const [interpreter] = shebangOf(await this.#files.read(file, 0, SHEBANG_BYTES)) ?? [];
    const next = interpreter === undefined ? undefined : await this.#files.find(interpreter);
    if (next !== undefined && depth < MAX_INTERPRETERS) await this.#addProgram(next, ms, depth + 1);
  }

  #add({ path, size }: FoundFile, start: number, end: number, ms: number): void {
    if (start >= Math.min(end, size)) return;
    if (this.reads.length >= MAX_TRACE_READS) {
      throw new SociError('ERR_SOCI_LIMIT', `the trace has more than ${MAX_TRACE_READS} reads of files`, {
        data: { limit: MAX_TRACE_READS },
      });
    }
    this.reads.push({ path, size, start, end: Math.min(end, size), ms });
  }

  async #file({ path, executed }: GivenRead): Promise<FoundFile | undefined> {
    // What is executed is written as the program says it, everything else as the tracer sees it.
    const below = path.startsWith(`${this.#root}/`);
    if (!below && !executed) return undefined;
    const inside = below ? path.slice(this.#root.length) : path;
    if (!this.#found.has(inside)) this.#found.set(inside, await this.#files.find(inside));
    return this.#found.get(inside);
  }
}
