/**
 * Which batch has to wait for which: those beside each other are executed in any
 * order, so whatever has an order is said here. An operation waits for the ones
 * before it at its own path and, of a hard link, at that of its target; for
 * removals at a directory that it is below, since something else may have been
 * there; and a removal of a directory waits for all. Directories on the way need no
 * waiting: whoever comes first makes them. (The idea is node-tar's.)
 */
import type { WriteBatch } from './write-batch.js';

export class PathReservations {
  /** The last batch that is not over and does something at a path. */
  readonly #pending = new Map<string, WriteBatch>();
  /** The same, of removals alone. */
  readonly #removals = new Map<string, WriteBatch>();

  /** `batch` will do something at `path`, after all that was said before. */
  reserve(path: string, batch: WriteBatch): void {
    this.#waitForRemovalsAbove(path, batch);
    this.#reserve(path, batch);
  }

  /** `batch` will remove what is at `path`, a directory with all that is below it if `directory`. */
  reserveRemoval(path: string, batch: WriteBatch, { directory }: { readonly directory: boolean }): void {
    this.#waitForRemovalsAbove(path, batch);
    if (directory) for (const before of this.#pending.values()) batch.waitFor(before);
    this.#reserve(path, batch);
    this.#removals.set(path, batch);
    batch.removals.push(path);
  }

  /** A batch is over. */
  release(batch: WriteBatch): void {
    for (const path of batch.paths) if (this.#pending.get(path) === batch) this.#pending.delete(path);
    for (const path of batch.removals) if (this.#removals.get(path) === batch) this.#removals.delete(path);
  }

  #reserve(path: string, batch: WriteBatch): void {
    const before = this.#pending.get(path);
    if (before === batch) return;
    if (before !== undefined) batch.waitFor(before);
    this.#pending.set(path, batch);
    batch.paths.push(path);
  }

  #waitForRemovalsAbove(path: string, batch: WriteBatch): void {
    if (this.#removals.size === 0) return;
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const before = this.#removals.get(path.slice(0, end));
      if (before !== undefined) batch.waitFor(before);
    }
  }
}
