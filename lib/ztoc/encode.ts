/**
 * Writes a ztoc. Flatbuffers leave the order of tables and strings to the
 * writer, and that order decides the bytes and so the digest: this one makes
 * the same calls in the same order as upstream's Go code, so that equal content
 * has an equal digest whoever built it.
 */
import { Builder } from 'flatbuffers';
import { fromByteString } from '../tar/byte-string.js';
import type { EntryFields } from '../tar/entry.js';
import { DEFAULT_ALGORITHM, Slot } from './schema.js';

export interface ZtocParts {
  readonly version: string;
  readonly buildToolIdentifier: string;
  /** Of the layer's codec. */
  readonly algorithm: number;
  readonly compressedSize: number;
  readonly uncompressedSize: number;
  readonly maxSpanId: number;
  /** 'sha256:…' each. */
  readonly spanDigests: readonly string[];
  /** As the codec stores them. */
  readonly checkpoints: Uint8Array;
  readonly entryCount: number;
  /** Called once for every index, from the last to the first. */
  readonly entryAt: (index: number) => EntryFields;
}

/** Bytes of tables, vtable references and short strings per entry: a first guess, the builder can grow. */
const BYTES_PER_ENTRY = 224;
const BYTES_PER_DIGEST = 84;

export function encodeZtoc(parts: ZtocParts): Uint8Array {
  const builder = new Builder(
    4096 +
      parts.checkpoints.length +
      parts.entryCount * BYTES_PER_ENTRY +
      parts.spanDigests.length * BYTES_PER_DIGEST,
  );
  const version = builder.createString(parts.version);
  const buildTool = builder.createString(parts.buildToolIdentifier);
  const toc = writeToc(builder, parts);
  const compressionInfo = writeCompressionInfo(builder, parts);
  const slot = Slot.ztoc;
  builder.startObject(6);
  builder.addFieldOffset(slot.version, version, 0);
  builder.addFieldOffset(slot.buildTool, buildTool, 0);
  builder.addFieldOffset(slot.toc, toc, 0);
  builder.addFieldInt64(slot.compressedSize, BigInt(parts.compressedSize), 0n);
  builder.addFieldInt64(slot.uncompressedSize, BigInt(parts.uncompressedSize), 0n);
  builder.addFieldOffset(slot.compressionInfo, compressionInfo, 0);
  builder.finish(builder.endObject());
  return builder.asUint8Array(); // the end of its memory, which is little longer
}

function writeToc(builder: Builder, parts: ZtocParts): number {
  const offsets = new Uint32Array(parts.entryCount);
  for (let i = parts.entryCount - 1; i >= 0; i -= 1) offsets[i] = writeEntry(builder, parts.entryAt(i));
  const metadata = writeOffsets(builder, offsets);
  builder.startObject(1);
  builder.addFieldOffset(Slot.toc.metadata, metadata, 0);
  return builder.endObject();
}

function writeEntry(builder: Builder, entry: EntryFields): number {
  const name = writeString(builder, entry.name);
  const type = writeString(builder, entry.type);
  const linkname = writeString(builder, entry.linkname);
  const uname = writeString(builder, entry.uname);
  const gname = writeString(builder, entry.gname);
  const modTime = writeString(builder, entry.modTime);
  const xattrOffsets = entry.pax.map(([key, value]) => {
    const keyOffset = writeString(builder, key);
    const valueOffset = writeString(builder, value);
    builder.startObject(2);
    builder.addFieldOffset(Slot.xattr.key, keyOffset, 0);
    builder.addFieldOffset(Slot.xattr.value, valueOffset, 0);
    return builder.endObject();
  });
  const xattrs = writeOffsets(builder, xattrOffsets);
  const slot = Slot.entry;
  builder.startObject(14);
  builder.addFieldOffset(slot.name, name, 0);
  builder.addFieldOffset(slot.type, type, 0);
  builder.addFieldInt64(slot.offset, BigInt(entry.offset), 0n);
  builder.addFieldInt64(slot.size, BigInt(entry.size), 0n);
  builder.addFieldOffset(slot.linkname, linkname, 0);
  builder.addFieldInt64(slot.mode, BigInt(entry.mode), 0n);
  builder.addFieldInt32(slot.uid, entry.uid, 0);
  builder.addFieldInt32(slot.gid, entry.gid, 0);
  builder.addFieldOffset(slot.uname, uname, 0);
  builder.addFieldOffset(slot.gname, gname, 0);
  builder.addFieldOffset(slot.modTime, modTime, 0);
  builder.addFieldInt64(slot.devmajor, BigInt(entry.devmajor), 0n);
  builder.addFieldInt64(slot.devminor, BigInt(entry.devminor), 0n);
  builder.addFieldOffset(slot.xattrs, xattrs, 0);
  return builder.endObject();
}

function writeCompressionInfo(builder: Builder, parts: ZtocParts): number {
  const checkpoints = builder.createByteVector(parts.checkpoints);
  const spanDigests = writeOffsets(
    builder,
    parts.spanDigests.map(digest => builder.createString(digest)),
  );
  const slot = Slot.compressionInfo;
  builder.startObject(4);
  builder.addFieldInt32(slot.maxSpanId, parts.maxSpanId, 0);
  builder.addFieldOffset(slot.spanDigests, spanDigests, 0);
  builder.addFieldOffset(slot.checkpoints, checkpoints, 0);
  builder.addFieldInt8(slot.algorithm, parts.algorithm, DEFAULT_ALGORITHM);
  return builder.endObject();
}

/** A byte string as its raw bytes: names and PAX values need not be UTF-8. */
function writeString(builder: Builder, text: string): number {
  return builder.createString(fromByteString(text));
}

function writeOffsets(builder: Builder, offsets: Uint32Array | readonly number[]): number {
  builder.startVector(4, offsets.length, 4);
  for (let i = offsets.length - 1; i >= 0; i -= 1) builder.addOffset(offsets[i] as number);
  return builder.endVector();
}
