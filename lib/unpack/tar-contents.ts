/**
 * The bytes of one layer's tar that batches name: how far they have come, and
 * which are not needed any more. They are held by the executor, outside of
 * script, and given back in the order of the tar.
 */
import type { OperationExecutor } from './operation-executor.js';
import type { WriteBatch } from './write-batch.js';

export class TarContents {
  readonly executor: OperationExecutor;
  /** Not over, in the order of what they name. */
  readonly #unfinished: WriteBatch[] = [];
  #arrived = 0;
  #kept = 0;
  /** Where what no batch names yet begins. */
  #unclaimed = 0;
  #released = 0;
  #whenIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(executor: OperationExecutor) {
    this.executor = executor;
  }

  /** Bytes of the tar that are there, or were. */
  get arrived(): number {
    return this.#arrived;
  }

  /** From where on they are needed by others than batches. */
  get kept(): number {
    return this.#kept;
  }

  arrive(position: number, kept: number): void {
    this.#arrived = position;
    this.#kept = kept;
  }

  /** What lies before `position` is named by batches, or by nothing. */
  claim(position: number): void {
    this.#unclaimed = position;
    this.#release();
  }

  /** A batch that will name some, behind those of the ones before it. */
  begin(batch: WriteBatch): void {
    this.#unfinished.push(batch);
  }

  /** A batch is over. */
  end(): void {
    this.#release();
    if (this.#unfinished.length === 0) this.#whenIdle?.();
  }

  /** Settles when all batches are over, after which there may be no other. Twice is no error. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#unfinished.length > 0) {
      await new Promise<void>(resolve => {
        this.#whenIdle = resolve;
      });
    }
    await this.executor.close();
  }

  #release(): void {
    while (this.#unfinished[0]?.over) this.#unfinished.shift();
    const first = this.#unfinished.find(({ over, contentStart }) => !over && contentStart !== undefined);
    const needed = Math.min(first?.contentStart ?? this.#unclaimed, this.#unclaimed);
    if (needed <= this.#released) return;
    this.#released = needed;
    this.executor.release(needed);
  }
}
