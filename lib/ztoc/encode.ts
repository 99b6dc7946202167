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

/** A byte string, or its bytes. */
type Text = string | Uint8Array;
type TextField = 'name' | 'linkname' | 'uname' | 'gname' | 'modTime';

/** An entry as it is written. */
export type WrittenEntry = Omit<EntryFields, TextField | 'pax'> &
  Readonly<Record<TextField, Text>> & { readonly pax: readonly (readonly [key: Text, value: Text])[] };

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
  /** What the fields of all entries take, if it is known: spares the writer from growing its memory. */
  readonly entryBytes?: number;
  /** Called once for every index, from the last to the first. */
  readonly entryAt: (index: number) => WrittenEntry;
}

/** First guesses, the builder can grow: of an entry with short names, of what an entry takes besides its fields, of a digest. */
const BYTES_PER_ENTRY = 224;
const OVERHEAD_PER_ENTRY = 48;
const BYTES_PER_DIGEST = 84;

export function encodeZtoc(parts: ZtocParts): Uint8Array {
  const { entryCount, entryBytes } = parts;
  const entries =
    entryBytes === undefined ? entryCount * BYTES_PER_ENTRY : entryBytes + entryCount * OVERHEAD_PER_ENTRY;
  const digests = parts.spanDigests.length * BYTES_PER_DIGEST;
  const builder = new ByteStringBuilder(4096 + parts.checkpoints.length + entries + digests);
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

function writeToc(builder: ByteStringBuilder, parts: ZtocParts): number {
  const offsets = new Uint32Array(parts.entryCount);
  for (let i = parts.entryCount - 1; i >= 0; i -= 1) offsets[i] = writeEntry(builder, parts.entryAt(i));
  const metadata = writeOffsets(builder, offsets);
  builder.startObject(1);
  builder.addFieldOffset(Slot.toc.metadata, metadata, 0);
  return builder.endObject();
}

function writeEntry(builder: ByteStringBuilder, entry: WrittenEntry): number {
  const name = builder.createByteString(entry.name);
  const type = builder.createByteString(entry.type);
  const linkname = builder.createByteString(entry.linkname);
  const uname = builder.createByteString(entry.uname);
  const gname = builder.createByteString(entry.gname);
  const modTime = builder.createByteString(entry.modTime);
  const xattrOffsets = entry.pax.map(([key, value]) => {
    const keyOffset = builder.createByteString(key);
    const valueOffset = builder.createByteString(value);
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
  addInt64(builder, slot.offset, entry.offset);
  addInt64(builder, slot.size, entry.size);
  builder.addFieldOffset(slot.linkname, linkname, 0);
  addInt64(builder, slot.mode, entry.mode);
  builder.addFieldInt32(slot.uid, entry.uid, 0);
  builder.addFieldInt32(slot.gid, entry.gid, 0);
  builder.addFieldOffset(slot.uname, uname, 0);
  builder.addFieldOffset(slot.gname, gname, 0);
  builder.addFieldOffset(slot.modTime, modTime, 0);
  addInt64(builder, slot.devmajor, entry.devmajor);
  addInt64(builder, slot.devminor, entry.devminor);
  builder.addFieldOffset(slot.xattrs, xattrs, 0);
  return builder.endObject();
}

/** A BigInt only where one is written: many of these are 0, which is the default. */
function addInt64(builder: Builder, slot: number, value: number): void {
  if (value !== 0) builder.addFieldInt64(slot, BigInt(value), 0n);
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

function writeOffsets(builder: Builder, offsets: Uint32Array | readonly number[]): number {
  builder.startVector(4, offsets.length, 4);
  for (let i = offsets.length - 1; i >= 0; i -= 1) builder.addOffset(offsets[i] as number);
  return builder.endVector();
}

/** Names and PAX values need not be UTF-8: byte strings are written as their raw bytes. */
class ByteStringBuilder extends Builder {
  /** The builder copies what it is given, so one piece of memory serves all strings that fit. */
  readonly #bytes = Buffer.allocUnsafeSlow(4096);

  createByteString(text: Text): number {
    if (typeof text !== 'string') return this.createString(text);
    if (text.length > this.#bytes.length) return this.createString(fromByteString(text));
    return this.createString(this.#bytes.subarray(0, this.#bytes.write(text, 'latin1')));
  }
}
