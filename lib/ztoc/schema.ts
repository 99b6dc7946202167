/**
 * Slots of the ztoc's flatbuffer tables, in the order of upstream's ztoc.fbs, and
 * what their enumerations mean. Reader and writer share them.
 */
import type { EntryType } from '../tar/entry.js';

export const ZTOC_VERSION = '0.9';

export const Slot = {
  ztoc: { version: 0, buildTool: 1, compressedSize: 2, uncompressedSize: 3, toc: 4, compressionInfo: 5 },
  toc: { metadata: 0 },
  compressionInfo: { algorithm: 0, maxSpanId: 1, spanDigests: 2, checkpoints: 3 },
  entry: {
    name: 0,
    type: 1,
    offset: 2,
    size: 3,
    linkname: 4,
    mode: 5,
    uid: 6,
    gid: 7,
    uname: 8,
    gname: 9,
    modTime: 10,
    devmajor: 11,
    devminor: 12,
    xattrs: 13,
  },
  xattr: { key: 0, value: 1 },
  tarZinfo: { version: 0, spanSize: 1, size: 2 },
} as const;

/** CompressionAlgorithm's default in the schema, which is gzip: never written. */
export const DEFAULT_ALGORITHM = 1;

export const ENTRY_TYPES: readonly EntryType[] = [
  'reg',
  'dir',
  'symlink',
  'hardlink',
  'char',
  'block',
  'fifo',
];
