/**
 * Operations that are executed by one job, in their order, once the batches that
 * they wait for are over. Small enough that others get their turn, large enough
 * that a job costs nothing beside what it does.
 */
import { encodeOperation, type Operation, operationBytes } from './operations.js';
import type { TarContents } from './tar-contents.js';

const MAX_OPERATIONS = 128;
/** Of contents, and of records. */
const MAX_BYTES = 2 ** 20;

export class WriteBatch {
  /** Whose contents the operations name. */
  readonly contents: TarContents;
  readonly operations: Operation[] = [];
  /** Paths that are reserved, and those of them where something is removed. */
  readonly paths: string[] = [];
  readonly removals: string[] = [];
  /** By place in the batch: whose operation it is, where its own path does not say so. */
  readonly named = new Map<number, string>();
  /** Files written in pieces that end in it. */
  filesEnded = 0;
  /** Whether it has been handed to the executor. */
  started = false;
  /** Where the first of its contents lie; undefined: it has none. */
  contentStart: number | undefined;
  #contentBytes = 0;
  #recordBytes = 0;
  readonly #before = new Set<WriteBatch>();
  readonly #after: WriteBatch[] = [];
  #over = false;

  constructor(contents: TarContents) {
    this.contents = contents;
  }

  /** Whether it is executed, or never will be. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether all that it has to wait for is over. */
  get ready(): boolean {
    return this.#before.size === 0;
  }

  hasRoomFor(operation: Operation): boolean {
    return (
      this.operations.length < MAX_OPERATIONS &&
      this.#contentBytes + (operation.length ?? 0) <= MAX_BYTES &&
      this.#recordBytes + operationBytes(operation) <= MAX_BYTES
    );
  }

  add(operation: Operation): void {
    this.operations.push(operation);
    this.#recordBytes += operationBytes(operation);
    const { tarOffset, length = 0 } = operation;
    if (tarOffset === undefined || length === 0) return;
    this.contentStart ??= tarOffset;
    this.#contentBytes += length;
  }

  /** This one is not executed before `other` is over. */
  waitFor(other: WriteBatch): void {
    if (other === this || other.#over || this.#before.has(other)) return;
    this.#before.add(other);
    other.#after.push(this);
  }

  /** It is over now; returns those that waited for nothing else. */
  end(): WriteBatch[] {
    this.#over = true;
    for (const batch of this.#after) batch.#before.delete(this);
    return this.#after.splice(0).filter(({ ready }) => ready);
  }

  encode(): Uint8Array {
    const bytes = Buffer.alloc(this.#recordBytes);
    let at = 0;
    for (const operation of this.operations) at = encodeOperation(operation, bytes, at);
    return bytes;
  }
}
