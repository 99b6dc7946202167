/** Batches as lib/native-tree.ts describes them, written plainly; and a directory that they are executed in. */
import { closeSync, openSync } from 'node:fs';
import {
  TREE_OPERATION,
  TREE_RECORD_BYTES,
  TreeWriter,
  type TreeWriterOptions,
} from '../../lib/native-tree.js';

export interface Operation {
  readonly kind: keyof typeof TREE_OPERATION;
  readonly path?: string;
  readonly link?: string;
  readonly flags?: number;
  readonly mode?: number;
  /** Seconds. */
  readonly time?: number;
  readonly id?: number;
  readonly tarOffset?: number;
  readonly length?: number;
  readonly fileOffset?: number;
}

export function batchOf(...operations: readonly Operation[]): Buffer {
  return Buffer.concat(operations.map(record));
}

function record(operation: Operation): Buffer {
  const { kind, path = '', link = '', flags = 0, mode = 0, time = 0, id = 0 } = operation;
  const { tarOffset = 0, length = 0, fileOffset = 0 } = operation;
  const texts = Buffer.from(path + link);
  const bytes = Buffer.alloc(Math.ceil((TREE_RECORD_BYTES + texts.length) / 8) * 8);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt8(TREE_OPERATION[kind], 4);
  bytes.writeUInt8(flags, 5);
  bytes.writeUInt32LE(Buffer.byteLength(path), 8);
  bytes.writeUInt32LE(Buffer.byteLength(link), 12);
  bytes.writeUInt32LE(mode, 16);
  bytes.writeBigInt64LE(BigInt(time), 32);
  bytes.writeUInt32LE(id, 48);
  bytes.writeBigUInt64LE(BigInt(tarOffset), 56);
  bytes.writeBigUInt64LE(BigInt(length), 64);
  bytes.writeBigUInt64LE(BigInt(fileOffset), 72);
  texts.copy(bytes, TREE_RECORD_BYTES);
  return bytes;
}

export function openTree(directory: string, options: Partial<TreeWriterOptions> = {}): TreeWriter {
  const root = openSync(directory, 'r');
  try {
    return new TreeWriter({ root, owners: false, privileged: false, ...options });
  } finally {
    closeSync(root);
  }
}
