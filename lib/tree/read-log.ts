/**
 * Who wants to know what is read of a tree's files. It costs one comparison a
 * read while nobody does, and nobody learns anything but ranges: bytes are not
 * shown.
 */

/** @param end exclusive */
export type ReadListener = (ino: number, start: number, end: number) => void;

export class ReadLog {
  readonly #listeners = new Set<ReadListener>();

  /** @returns what ends it */
  listen(listener: ReadListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Bytes [start, end) of a file are asked for. */
  note(ino: number, start: number, end: number): void {
    if (this.#listeners.size === 0 || start === end) return;
    for (const listener of this.#listeners) listener(ino, start, end);
  }
}
