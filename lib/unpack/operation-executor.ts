/**
 * Whoever executes batches of operations (operations.ts) and holds the bytes of the
 * tar that they name. The addon's TreeWriter is one; tests have another, made of
 * node:fs, to hold it against.
 */
import type { TarOutput } from '../binding.js';
import type { BatchResult } from '../native-tree.js';

/** With `native`, an indexer gives it the tar past script; without, the tar is added. */
export interface OperationExecutor extends Partial<TarOutput> {
  /** Bytes of the tar that are held now. */
  readonly heldBytes: number;
  /** Bytes of the tar from `offset` on, which follow those that came before. */
  add(offset: number, bytes: Uint8Array): void;
  /** Everything before this offset of the tar has been used. */
  release(offset: number): void;
  /** A copy of bytes that are held. */
  read(offset: number, length: number): Uint8Array;
  /** Executes the operations of a batch in their order, and stops at the first that fails. */
  run(batch: Uint8Array): Promise<BatchResult>;
  /** Batches that have not begun fail. */
  abort(): void;
  /** All batches have ended. */
  close(): Promise<void>;
}

export function isOutput(executor: OperationExecutor): executor is OperationExecutor & TarOutput {
  return executor.native !== undefined;
}
