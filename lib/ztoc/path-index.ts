/**
 * From cleaned paths to entries. A tar may hold a path any number of times; what
 * counts is the last one, but a hard link means the last one in front of it.
 */
import { cleanPath } from './entry-path.js';
import type { Toc } from './toc.js';

export class PathIndex {
  readonly #last = new Map<string, number>();
  /** By entry: the one of the same path before it, plus 1. Only when a path repeats at all. */
  #former: Uint32Array | undefined;

  constructor(toc: Toc) {
    for (let i = 0; i < toc.length; i += 1) {
      const path = cleanPath(toc.name(i));
      const before = this.#last.get(path);
      if (before !== undefined) {
        this.#former ??= new Uint32Array(toc.length);
        this.#former[i] = before + 1;
      }
      this.#last.set(path, i);
    }
  }

  /** The last entry at a cleaned path for which `accept` holds. */
  find(path: string, accept: (index: number) => boolean = () => true): number | undefined {
    let index = this.#last.get(path);
    while (index !== undefined && !accept(index)) {
      const former: number = this.#former?.[index] ?? 0;
      index = former === 0 ? undefined : former - 1;
    }
    return index;
  }
}
