/**
 * What is to be done in a tree, as records that the addon executes without
 * asking back (native-tree.ts has their layout). Names are byte strings, contents
 * places of the tar stream.
 */

import { type TREE_OPERATION, TREE_RECORD_BYTES } from '../native-tree.js';

export type OperationKind = (typeof TREE_OPERATION)[keyof typeof TREE_OPERATION];

export interface OperationAttributes {
  /** Permissions with set-id and sticky bits, and of nodes the type (S_IFMT). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly nanoseconds: number;
  /** Byte strings. */
  readonly xattrs: readonly (readonly [name: string, value: string])[];
}

export interface Operation extends Partial<OperationAttributes> {
  readonly kind: OperationKind;
  readonly flags?: number;
  /** From the root of the tree, without a slash at either end; '' is the root. */
  readonly path: string;
  /** The target of a symbolic link as it is; of a hard link a path like `path`. */
  readonly link?: string;
  readonly device?: readonly [major: number, minor: number];
  /** Of a removal, and in no record: what is there is a directory. */
  readonly recursive?: boolean;
  /** Of a device, and in no record: it may not be left out. */
  readonly required?: boolean;
  /** Of a file that is written in pieces; not 0. */
  readonly file?: number;
  /** Where the contents begin in the tar stream. */
  readonly tarOffset?: number;
  readonly length?: number;
  /** Where a piece goes in its file; at a file's end its size. */
  readonly position?: number;
}

/** Bytes of a record before the name of an xattr. */
export const XATTR_HEAD = 8;
/** Records begin at multiples of that. */
const ALIGNMENT = 8;

/** Bytes of a record. */
export function operationBytes({ path, link = '', xattrs = NO_XATTRS }: Operation): number {
  let bytes = TREE_RECORD_BYTES + path.length + link.length;
  for (const [name, value] of xattrs) bytes += XATTR_HEAD + name.length + value.length;
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Writes a record at `at`, where zeros are, and returns where the next one goes. */
export function encodeOperation(operation: Operation, target: Buffer, at: number): number {
  const { path, link = '', xattrs = NO_XATTRS, device } = operation;
  const length = operationBytes(operation);
  target.writeUInt32LE(length, at);
  target[at + 4] = operation.kind;
  target[at + 5] = operation.flags ?? 0;
  target.writeUInt16LE(xattrs.length, at + 6);
  target.writeUInt32LE(path.length, at + 8);
  target.writeUInt32LE(link.length, at + 12);
  target.writeUInt32LE(operation.mode ?? 0, at + 16);
  target.writeUInt32LE(operation.uid ?? 0, at + 20);
  target.writeUInt32LE(operation.gid ?? 0, at + 24);
  target.writeUInt32LE(operation.nanoseconds ?? 0, at + 28);
  writeInt64(target, operation.mtime ?? 0, at + 32);
  target.writeUInt32LE(device?.[0] ?? 0, at + 40);
  target.writeUInt32LE(device?.[1] ?? 0, at + 44);
  target.writeUInt32LE(operation.file ?? 0, at + 48);
  writeInt64(target, operation.tarOffset ?? 0, at + 56);
  writeInt64(target, operation.length ?? 0, at + 64);
  writeInt64(target, operation.position ?? 0, at + 72);
  let end = at + TREE_RECORD_BYTES;
  end += target.write(path, end, 'latin1');
  end += target.write(link, end, 'latin1');
  for (const [name, value] of xattrs) {
    target.writeUInt32LE(name.length, end);
    target.writeUInt32LE(value.length, end + 4);
    end += XATTR_HEAD;
    end += target.write(name, end, 'latin1');
    end += target.write(value, end, 'latin1');
  }
  return at + length;
}

const NO_XATTRS: OperationAttributes['xattrs'] = [];

function writeInt64(target: Buffer, value: number, at: number): void {
  target.writeInt32LE(Math.floor(value / 2 ** 32), at + 4);
  target.writeUInt32LE(value - Math.floor(value / 2 ** 32) * 2 ** 32, at);
}
