/**
 * From a path to the entry that holds the data: hard links are followed always
 * (they are the same file), symbolic links on request, also those among the
 * directories on the way. Everything stays inside the layer: an absolute target
 * begins at the layer's root, and '..' never climbs above it.
 */
import { fileError, type SociError } from '../errors.js';
import { quoteByteString, toByteString } from '../tar/byte-string.js';
import type { TocEntry } from '../tar/entry.js';
import { cleanPath } from '../ztoc/entry-path.js';
import type { Ztoc } from '../ztoc/ztoc.js';

/** As Linux: links followed in one lookup. */
const MAX_LINKS = 40;
/** Bytes of a path and of the link targets on its way, each step of which costs what was walked before; Linux allows 4096. */
const MAX_WALKED_BYTES = 16384;
/** Bytes of implied directories kept: so many and some for each byte of name. Deep paths would take the square of their size. */
const IMPLIED_BYTES = 2 ** 20;
const IMPLIED_PER_NAME = 4;

export interface Lookup {
  /** A regular file, a device, a directory, … : never a hard link; a symbolic link only if those are not followed. */
  readonly entry: TocEntry;
  /** The links that led to it. What they say counts, so their headers are checked too. */
  readonly links: readonly TocEntry[];
}

export class PathWalker {
  readonly #ztoc: Ztoc;
  /** undefined: not looked for yet. null: too many to be kept. */
  #impliedDirectories: ReadonlySet<string> | null | undefined;

  constructor(ztoc: Ztoc) {
    this.#ztoc = ztoc;
  }

  /**
   * @throws SociError ENOENT, ENOTDIR, ELOOP, like `syscall` of node:fs; EISDIR for a directory that is only
   *   implied by the paths below it and so has no entry
   */
  find(path: string | Uint8Array, followSymlinks: boolean, syscall: string): Lookup {
    const shown = typeof path === 'string' ? path : Buffer.from(path).toString();
    const walk = new Walk(this.#ztoc, shown, syscall);
    const asked = toByteString(typeof path === 'string' ? Buffer.from(path) : path);
    const [found, where] = followSymlinks ? walk.resolve(asked) : walk.lexical(asked);
    if (found === undefined) throw fileError(this.#isImplied(where) ? 'EISDIR' : 'ENOENT', syscall, shown);
    return { entry: found, links: walk.links };
  }

  #isImplied(path: string): boolean {
    if (path === '/') return true;
    if (this.#impliedDirectories === undefined) this.#impliedDirectories = this.#findImplied();
    if (this.#impliedDirectories !== null) return this.#impliedDirectories.has(path);
    const below = `${path}/`;
    for (const { fields } of this.#ztoc.entries()) {
      if (fields.name.length >= path.length && cleanPath(fields.name).startsWith(below)) return true;
    }
    return false;
  }

  #findImplied(): ReadonlySet<string> | null {
    const directories = new Set<string>();
    let budget = IMPLIED_BYTES;
    for (const { fields } of this.#ztoc.entries()) {
      let parent = cleanPath(fields.name);
      budget += IMPLIED_PER_NAME * parent.length;
      while (parent !== '/') {
        parent = parent.slice(0, parent.lastIndexOf('/')) || '/';
        if (directories.has(parent)) break;
        budget -= parent.length;
        if (budget < 0) return null;
        directories.add(parent);
      }
    }
    return directories;
  }
}

/** One lookup, with its own count of links. Paths are byte strings. */
class Walk {
  readonly links: TocEntry[] = [];
  readonly #ztoc: Ztoc;
  readonly #shown: string;
  readonly #syscall: string;
  #walkedBytes = 0;

  constructor(ztoc: Ztoc, shown: string, syscall: string) {
    this.#ztoc = ztoc;
    this.#shown = shown;
    this.#syscall = syscall;
  }

  /** The path as it is written, cleaned. */
  lexical(path: string): [TocEntry | undefined, string] {
    const clean = cleanPath(path);
    return [this.#linked(this.#ztoc.locateCleaned(clean)), clean];
  }

  /** The path as a kernel walks it, with the layer's root as '/'. */
  resolve(path: string): [TocEntry | undefined, string] {
    this.#countBytes(path);
    // Each is its predecessor with one more component, so that no path is put together anew at every step.
    let at: string[] = [];
    const here = (): string => at.at(-1) ?? '';
    const rest = components(path).reverse();
    let entry: TocEntry | undefined;
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name === '..') at.pop();
      else at.push(`${here()}/${name}`);
      entry = this.#linked(this.#ztoc.locateCleaned(here() || '/'));
      if (entry?.type === 'symlink') {
        const target = entry.fields.linkname;
        this.#count(entry);
        if (target === '') throw this.#error('ENOENT', `the symbolic link ${quote(entry)} has no target`);
        at = target.startsWith('/') ? [] : at.slice(0, -1);
        rest.push(...components(target).reverse());
        entry = undefined;
      } else if (rest.length > 0 && entry !== undefined && entry.type !== 'dir') {
        throw this.#error('ENOTDIR');
      }
    }
    const where = here() || '/';
    return [entry ?? this.#linked(this.#ztoc.locateCleaned(where)), where];
  }

  /** What a hard link leads to, through others if need be. */
  #linked(entry: TocEntry | undefined): TocEntry | undefined {
    let at = entry;
    while (at?.type === 'hardlink') {
      this.#count(at);
      const target = this.#hardLinkTarget(at);
      if (target === undefined) {
        const missing = quoteByteString(at.fields.linkname);
        const detail = `hard link ${quote(at)} to ${missing}, which is not in this layer`;
        throw this.#error('ENOENT', detail);
      }
      at = target;
    }
    return at;
  }

  /**
   * A tar is unpacked in order, so a hard link is to the last entry of that name
   * before it; only when there is none, to one after it.
   */
  #hardLinkTarget(link: TocEntry): TocEntry | undefined {
    const path = cleanPath(link.fields.linkname);
    return this.#ztoc.locateCleaned(path, link.offset) ?? this.#ztoc.locateCleaned(path);
  }

  #count(link: TocEntry): void {
    this.links.push(link);
    if (this.links.length > MAX_LINKS) throw this.#error('ELOOP');
    this.#countBytes(link.fields.linkname);
  }

  #countBytes(path: string): void {
    this.#walkedBytes += path.length;
    if (this.#walkedBytes <= MAX_WALKED_BYTES) return;
    throw this.#error('ELOOP', `more than ${MAX_WALKED_BYTES} bytes of path, link targets included`);
  }

  #error(code: 'ENOENT' | 'ENOTDIR' | 'ELOOP', detail?: string): SociError {
    return fileError(code, this.#syscall, this.#shown, detail);
  }
}

function components(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.');
}

function quote(entry: TocEntry): string {
  return quoteByteString(entry.fields.name);
}
