/** Layers made on the spot, with their ztocs, and ways to forge those. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import tar from 'tar-stream';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { encodeGzipZinfo } from '../../lib/ztoc/codec/gzip-zinfo.js';
import { encodeZtoc } from '../../lib/ztoc/encode.js';
import { Ztoc } from '../../lib/ztoc/ztoc.js';

export interface Sample {
  readonly tar: Buffer;
  readonly layer: Buffer;
  readonly ztoc: Ztoc;
}

/** Bytes that look like text to deflate: they compress about threefold, and never repeat exactly. */
export function textLike(length: number, seed = 1): Buffer {
  const words = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    if (i % 4 === 0) state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = 97 + ((state >>> (8 * (i % 4))) & 7);
  }
  return words;
}

/** Bytes that do not compress. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 255;
  }
  return bytes;
}

export type TarEntry = Partial<tar.Header> & { readonly name: string; readonly body?: Buffer };

export async function tarOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const pack = tar.pack();
  const chunks: Buffer[] = [];
  pack.on('data', chunk => chunks.push(chunk as Buffer));
  const ended = once(pack, 'end');
  for (const { body, ...header } of entries) {
    if (body === undefined) pack.entry({ mtime: new Date(0), ...header });
    else pack.entry({ mtime: new Date(0), ...header }, body);
  }
  pack.finalize();
  await ended;
  return Buffer.concat(chunks);
}

export async function sample(
  tarBytes: Buffer,
  options: { spanSize?: number; layer?: Buffer; compression?: 'gzip' | 'uncompressed' } = {},
): Promise<Sample> {
  const layer = options.layer ?? (options.compression === 'uncompressed' ? tarBytes : gzipSync(tarBytes));
  const { ztoc } = await buildZtoc(layer, { spanSize: options.spanSize ?? 65536 });
  return { tar: tarBytes, layer, ztoc };
}

/** About a megabyte in a few files, some twenty spans of 64 KiB. */
export async function standardSample(): Promise<Sample> {
  return sample(
    await tarOf([
      { name: 'etc/', type: 'directory' },
      { name: 'etc/hello', body: Buffer.from('hello, layer\n') },
      { name: 'big', body: textLike(700_000) },
      { name: 'noise', body: noise(200_000) },
      { name: 'empty', body: Buffer.alloc(0) },
      { name: 'last', body: textLike(90_000, 7) },
    ]),
  );
}

/** The data as members of their own, cut at multiples of `length`. */
export function members(data: Buffer, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < data.length; at += length) parts.push(gzipSync(data.subarray(at, at + length)));
  return Buffer.concat(parts);
}

/** A member whose header has a file name, at the usual level. */
export function gzipWithName(data: Buffer): Buffer {
  const plain = gzipSync(data);
  const header = Buffer.from(plain.subarray(0, 10));
  header[3] = 8;
  return Buffer.concat([header, Buffer.from('layer.tar\0'), plain.subarray(10)]);
}

/** The ztoc with one byte of window `span` changed. */
export function forgeWindow(ztoc: Ztoc, span: number, at = 32000): Ztoc {
  const bytes = new Uint8Array(ztoc.bytes);
  const window = ztoc.window(span);
  if (window === undefined) throw new Error('no windows');
  const position = window.byteOffset - ztoc.bytes.byteOffset + at;
  bytes[position] = (bytes[position] as number) ^ 1;
  return Ztoc.decode(bytes);
}

/** The ztoc with a text replaced by another of the same length, everywhere but in windows. */
export function forgeText(ztoc: Ztoc, from: string, to: string): Ztoc {
  if (from.length !== to.length) throw new Error('the length must not change');
  const bytes = Buffer.from(ztoc.bytes);
  const windows = [ztoc.window(0), ztoc.window(ztoc.spanCount - 1)] as const;
  const first = (windows[0]?.byteOffset ?? 0) - ztoc.bytes.byteOffset;
  const end = (windows[1]?.byteOffset ?? 0) - ztoc.bytes.byteOffset + 32768;
  let found = 0;
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) {
    if (windows[0] !== undefined && at >= first && at < end) continue;
    bytes.write(to, at, 'latin1');
    found++;
  }
  if (found === 0) throw new Error(`no ${from} in the ztoc`);
  return Ztoc.decode(bytes);
}

/** The ztoc with the digest of one span replaced. */
export function forgeDigest(ztoc: Ztoc, span: number): Ztoc {
  return forgeText(ztoc, ztoc.span(span).digest, `sha256:${'0'.repeat(64)}`);
}

/** The ztoc as a first-generation writer would have made it: no checkpoint 0, span 0 from byte 10 on. */
export function asVersion1({ tar, layer, ztoc }: Sample): Sample {
  const spans = Array.from({ length: ztoc.spanCount }, (_, i) => ztoc.span(i));
  const checkpoints = spans.map(({ index, compressedStart, uncompressedStart, bits }) => ({
    in: compressedStart + (bits === 0 ? 0 : 1),
    out: uncompressedStart,
    bits,
    window: ztoc.window(index) as Uint8Array,
  }));
  const end = spans[0]?.compressedEnd;
  const first = `sha256:${createHash('sha256').update(layer.subarray(10, end)).digest('hex')}`;
  const entries = [...ztoc.entries()].map(({ fields }) => fields);
  const bytes = encodeZtoc({
    version: ztoc.version,
    buildToolIdentifier: ztoc.buildToolIdentifier,
    algorithm: ztoc.codec.algorithm,
    compressedSize: ztoc.compressedSize,
    uncompressedSize: ztoc.uncompressedSize,
    maxSpanId: spans.length - 1,
    spanDigests: spans.map(({ digest }, i) => (i === 0 ? first : digest)),
    checkpoints: encodeGzipZinfo(ztoc.spanSize, checkpoints, 1),
    entryCount: entries.length,
    entryAt: index => entries[index] as (typeof entries)[number],
  });
  return { tar, layer, ztoc: Ztoc.decode(bytes) };
}
