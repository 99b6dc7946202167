/**
 * Reads of files out of what `strace -f -y -ttt` writes (strace(1)): with `-y`
 * each descriptor stands with its path. Calls that read, map or execute files
 * count; where a read begins follows from those before it and from lseek. All
 * other lines, and what is cut off, say nothing.
 */

/** Of a file, as somebody wrote it down; without a range all of it. */
export interface GivenRead {
  readonly path: string;
  readonly start?: number | undefined;
  readonly end?: number | undefined;
  readonly ms: number;
  /** The kernel maps it, and the linker that it names. */
  readonly executed?: true | undefined;
}

/** Open files and calls that are not finished, of all threads together. */
const MAX_OPEN = 65_536;
const LINE = /^(?:\[pid +(\d+)\] +|(\d+) +(?=[\d<a-z]))?(?:(\d+\.\d+|\d\d:\d\d:\d\d(?:\.\d+)?) +)?(.*)$/s;
const UNFINISHED = '<unfinished ...>';
const RESUMED = /^<\.\.\. (\w+) resumed>,? ?(.*)$/s;
const CALL = /^(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)(?:<((?:[^<>\\]|\\.)*)>)?/s;
const DESCRIPTOR = /^(\d+)<((?:[^<>\\]|\\.)*)>/;
const MAPPING = /^[^,]+, (\d+), [^,]+, [^,]+, \d+<((?:[^<>\\]|\\.)*)>, (0x[0-9a-f]+|\d+)$/s;
const LAST_NUMBER = /, (\d+)$/;
const QUOTED = /^"((?:[^"\\]|\\.)*)"/s;

export class StraceLog {
  readonly #positions = new Map<string, number>();
  readonly #unfinished = new Map<string, string>();
  #began: number | undefined;

  /** What a line says to have been read. */
  line(text: string): GivenRead | undefined {
    const [, thread, other, time, rest = ''] = LINE.exec(text) ?? [];
    const call = this.#whole(thread ?? other ?? '', rest);
    const ms = this.#since(time);
    return call === undefined ? undefined : this.#call(call, ms);
  }

  /** A call that is written in two parts, as it is when another thread's stands between them. */
  #whole(thread: string, text: string): string | undefined {
    if (text.endsWith(UNFINISHED)) {
      if (this.#unfinished.size < MAX_OPEN)
        this.#unfinished.set(thread, text.slice(0, -UNFINISHED.length).trimEnd());
      return undefined;
    }
    const [, name, rest = ''] = RESUMED.exec(text) ?? [];
    if (name === undefined) return text;
    const begun = this.#unfinished.get(thread);
    this.#unfinished.delete(thread);
    return begun?.startsWith(`${name}(`) ? begun + rest : undefined;
  }

  #since(time: string | undefined): number {
    if (time === undefined) return 0;
    const [hours = 0, minutes = 0, seconds = 0] = time.includes(':')
      ? time.split(':').map(Number)
      : [0, 0, time];
    // In microseconds, as strace writes them: fractions of milliseconds would not add up.
    const now = Math.round((Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e6);
    this.#began ??= now;
    // Past midnight, or a clock that was set back.
    return Math.max(0, Math.floor((now - this.#began) / 1000));
  }

  #call(text: string, ms: number): GivenRead | undefined {
    const [, name, args = '', result = '', resultPath] = CALL.exec(text) ?? [];
    if (name === undefined || result.startsWith('-')) return undefined;
    const value = Number(result);
    if (name === 'execve') {
      const path = QUOTED.exec(args)?.[1];
      return path === undefined ? undefined : { path: unescaped(path), ms, executed: true };
    }
    if (name === 'mmap') {
      const [, length, path, offset] = MAPPING.exec(args) ?? [];
      return path === undefined ? undefined : rangeOf(path, Number(offset), Number(length), ms);
    }
    if (name === 'open' || name === 'openat' || name === 'openat2') {
      if (resultPath !== undefined) this.#moveTo(`${value}<${resultPath}>`, 0);
      return undefined;
    }
    const [key, , path] = DESCRIPTOR.exec(args) ?? [];
    if (key === undefined || path === undefined) return undefined;
    if (name === 'pread64') return rangeOf(path, Number(LAST_NUMBER.exec(args)?.[1]), value, ms);
    if (name === 'lseek') this.#moveTo(key, value);
    if (name === 'close') this.#positions.delete(key);
    if (name !== 'read' && name !== 'readv') return undefined;
    const start = this.#positions.get(key) ?? 0;
    this.#moveTo(key, start + value);
    return rangeOf(path, start, value, ms);
  }

  #moveTo(key: string, position: number): void {
    if (this.#positions.size < MAX_OPEN || this.#positions.has(key)) this.#positions.set(key, position);
  }
}

function rangeOf(path: string, start: number, length: number, ms: number): GivenRead | undefined {
  const end = start + length;
  if (!path.startsWith('/') || !Number.isSafeInteger(end) || length <= 0) return undefined;
  return { path: unescaped(path), start, end, ms };
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', v: '\v', f: '\f' };

/** A path as strace quotes it: C escapes, bytes that are no ASCII in octal. */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  const bytes = text.replace(/\\([0-7]{1,3}|.)/gs, (_, escaped: string) =>
    /^[0-7]/.test(escaped)
      ? String.fromCharCode(Number.parseInt(escaped, 8) & 0xff)
      : (ESCAPES[escaped] ?? escaped),
  );
  return Buffer.from(bytes, 'latin1').toString();
}
