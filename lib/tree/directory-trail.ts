/**
 * The directories on the way to the last entry. A tar lists neighbours one after
 * the other, and paths begin alike even where it does not: what was found for the
 * last path is not looked up again for the next.
 */
import type { ByteView } from '../tar/byte-view.js';
import { ROOT } from './path-walk.js';

const SLASH = 0x2f;

export class DirectoryTrail {
  /** The last path, whose bytes may be gone where they came from. */
  #path = new Uint8Array(256);
  /** How many of its directories are known, each with where its name ends. */
  #depth = 0;
  readonly #ends: number[] = [];
  readonly #nodes: number[] = [];

  /** Names may lead elsewhere now. */
  clear(): void {
    this.#depth = 0;
  }

  /** Keeps what leads to `path` too, which must be clean (cleanPath, without the first '/'). */
  follow({ bytes, start, end }: ByteView): void {
    const length = end - start;
    let common = 0;
    const known = this.end;
    while (common < length && common < known && this.#path[common] === bytes[start + common]) common += 1;
    while (this.#depth > 0 && !(this.end <= common && this.#endsName(bytes, start, length))) this.#depth -= 1;
  }

  /** The deepest directory that is known. */
  get node(): number {
    return this.#depth === 0 ? ROOT : (this.#nodes[this.#depth - 1] as number);
  }

  /** Bytes of the path that lead there. */
  get end(): number {
    return this.#depth === 0 ? 0 : (this.#ends[this.#depth - 1] as number);
  }

  /** Goes on to a directory whose name ends at byte `end` of the path, behind which the rest follows. */
  push(path: ByteView, end: number, node: number): void {
    if (end > this.#path.length) {
      const grown = new Uint8Array(2 * end);
      grown.set(this.#path);
      this.#path = grown;
    }
    for (let at = this.end; at < end; at += 1) this.#path[at] = path.bytes[path.start + at] as number;
    this.#ends[this.#depth] = end;
    this.#nodes[this.#depth] = node;
    this.#depth += 1;
  }

  #endsName(bytes: Uint8Array, start: number, length: number): boolean {
    return this.end === length || bytes[start + this.end] === SLASH;
  }
}
