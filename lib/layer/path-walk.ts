/**
 * From a path to the entry that holds the data: hard links are followed always
 * (they are the same file), symbolic links on request, also those among the
 * directories on the way. Everything stays inside the layer: an absolute target
 * begins at the layer's root, and '..' never climbs above it.
 */
import { fileError, type SociError } from '../errors.js';
import { fromByteString, toByteString } from '../tar/byte-string.js';
import type { TocEntry } from '../tar/entry.js';
import { cleanPath } from '../ztoc/entry-path.js';
import type { Ztoc } from '../ztoc/ztoc.js';

/** As Linux: links followed in one lookup. */
const MAX_LINKS = 40;
/** Bytes of link targets in one lookup; eight times what Linux allows one of them. */
const MAX_TARGET_BYTES = 32768;

export interface Lookup {
  /** A regular file, a device, a directory, … : never a hard link; a symbolic link only if those are not followed. */
  readonly entry: TocEntry;
  /** The links that led to it. What they say counts, so their headers are checked too. */
  readonly links: readonly TocEntry[];
}

export class PathWalker {
  readonly #ztoc: Ztoc;
  #impliedDirectories: Set<string> | undefined;

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
    if (this.#impliedDirectories === undefined) {
      this.#impliedDirectories = new Set(['/']);
      for (const entry of this.#ztoc.entries()) {
        let parent = cleanPath(entry.fields.name);
        while (parent !== '/') {
          parent = parent.slice(0, parent.lastIndexOf('/')) || '/';
          if (this.#impliedDirectories.has(parent)) break;
          this.#impliedDirectories.add(parent);
        }
      }
    }
    return this.#impliedDirectories.has(path);
  }
}

/** One lookup, with its own count of links. Paths are byte strings. */
class Walk {
  readonly links: TocEntry[] = [];
  readonly #ztoc: Ztoc;
  readonly #shown: string;
  readonly #syscall: string;
  #targetBytes = 0;

  constructor(ztoc: Ztoc, shown: string, syscall: string) {
    this.#ztoc = ztoc;
    this.#shown = shown;
    this.#syscall = syscall;
  }

  /** The path as it is written, cleaned. */
  lexical(path: string): [TocEntry | undefined, string] {
    const clean = cleanPath(path);
    return [this.#linked(this.#at(clean)), clean];
  }

  /** The path as a kernel walks it, with the layer's root as '/'. */
  resolve(path: string): [TocEntry | undefined, string] {
    let at: string[] = [];
    const rest = components(path).reverse();
    let entry: TocEntry | undefined;
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name === '..') at.pop();
      else at.push(name);
      entry = this.#linked(this.#at(`/${at.join('/')}`));
      if (entry?.type === 'symlink') {
        const target = entry.fields.linkname;
        this.#count(entry);
        if (target === '')
          throw this.#error('ENOENT', `the symbolic link ${quote(entry.name)} has no target`);
        at = target.startsWith('/') ? [] : at.slice(0, -1);
        rest.push(...components(target).reverse());
        entry = undefined;
      } else if (rest.length > 0 && entry !== undefined && entry.type !== 'dir') {
        throw this.#error('ENOTDIR');
      }
    }
    const where = `/${at.join('/')}`;
    return [entry ?? this.#linked(this.#at(where)), where];
  }

  #at(path: string): TocEntry | undefined {
    return this.#ztoc.locate(fromByteString(path));
  }

  /** What a hard link leads to, through others if need be. */
  #linked(entry: TocEntry | undefined): TocEntry | undefined {
    let at = entry;
    while (at?.type === 'hardlink') {
      this.#count(at);
      const target = this.#hardLinkTarget(at);
      if (target === undefined) {
        const detail = `hard link ${quote(at.name)} to ${quote(at.linkname)}, which is not in this layer`;
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
    const target = this.#at(link.fields.linkname);
    if (target === undefined || target.offset < link.offset) return target;
    const path = cleanPath(link.fields.linkname);
    let before: TocEntry | undefined;
    for (const entry of this.#ztoc.entries()) {
      if (entry.offset >= link.offset) break;
      if (cleanPath(entry.fields.name) === path) before = entry;
    }
    return before ?? target;
  }

  #count(link: TocEntry): void {
    this.links.push(link);
    this.#targetBytes += link.fields.linkname.length;
    if (this.links.length > MAX_LINKS || this.#targetBytes > MAX_TARGET_BYTES) throw this.#error('ELOOP');
  }

  #error(code: 'ENOENT' | 'ENOTDIR' | 'ELOOP', detail?: string): SociError {
    return fileError(code, this.#syscall, this.#shown, detail);
  }
}

function components(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.');
}

function quote(name: string): string {
  return JSON.stringify(name);
}
