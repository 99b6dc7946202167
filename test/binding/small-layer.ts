/**
 * A layer small enough to read in a test and large enough to have several
 * spans, with what an independent implementation (node:zlib, node:crypto) says
 * of it, and the little of the zinfo format that is needed to cut it up.
 */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import type { IndexerOptions, IndexResult, NativeIndexer, ScanResult } from '../../lib/binding.js';

export const WINDOW_SIZE = 32768;
export const SPAN_SIZE = 64 * 1024;

export const GZIP_OPTIONS: IndexerOptions = {
  compression: 'gzip',
  spanSize: SPAN_SIZE,
  diffId: true,
  engine: 'zlib',
  threads: 1,
  maxCheckpoints: 1000,
};

/** Bytes that compress to about a half, the same in every run. */
export function patterned(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = (state >>> 16) & 0x0f;
  }
  return bytes;
}

export async function tarOf(files: Readonly<Record<string, Uint8Array>>): Promise<Buffer> {
  const stream = pack();
  for (const [name, body] of Object.entries(files)) stream.entry({ name }, Buffer.from(body));
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export const FILES: Readonly<Record<string, Uint8Array>> = {
  'etc/os-release': Buffer.from('NAME=small\n'),
  'usr/bin/tool': patterned(500_000),
  'usr/share/empty': Buffer.alloc(0),
  'usr/share/other': patterned(123_456, 7),
};
export const TAR = await tarOf(FILES);
export const LAYER = gzipSync(TAR);

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

export interface Indexed {
  readonly result: IndexResult;
  readonly headers: Buffer;
  readonly feeds: number;
}

/** One chunk after the other, none pushed before the last one was scanned. */
export async function indexAll(
  indexer: NativeIndexer,
  layer: Uint8Array,
  chunkSize: number,
): Promise<Indexed> {
  const headers: Uint8Array[] = [];
  let feeds = 0;
  let pushed = 0;
  for (let at = 0; at < layer.length; feeds++) {
    if (at === pushed) pushed += indexer.push(layer.subarray(at, at + chunkSize));
    const scan: ScanResult = await indexer.run();
    at += scan.consumed;
    if (scan.headers !== undefined) headers.push(scan.headers);
  }
  return { result: await indexer.finish(), headers: Buffer.concat(headers), feeds };
}

/** As much as the indexer takes at any time: chunks wait, and runs wait for runs. */
export async function indexAhead(
  indexer: NativeIndexer,
  layer: Uint8Array,
  chunkSize: number,
): Promise<Indexed> {
  const headers: Uint8Array[] = [];
  const runs = [indexer.run(), indexer.run()];
  let feeds = 0;
  let pushed = 0;
  for (let at = 0; at < layer.length; feeds++) {
    for (let taken = 1; taken > 0; pushed += taken) {
      taken = indexer.push(layer.subarray(pushed, pushed + chunkSize));
    }
    const scan = (await runs.shift()) as ScanResult;
    at += scan.consumed;
    if (scan.headers !== undefined) headers.push(scan.headers);
    runs.push(indexer.run());
  }
  await Promise.all(runs);
  return { result: await indexer.finish(), headers: Buffer.concat(headers), feeds };
}

export interface SmallSpan {
  readonly input: Buffer;
  readonly expected: Buffer;
  readonly digest: Buffer;
  readonly bits: number;
  readonly window: Buffer;
}

/** The spans of an indexed gzip layer, as soci-format lays them out in zinfo v2. */
export function spansOf(layer: Uint8Array, tar: Uint8Array, result: IndexResult): SmallSpan[] {
  const blob = Buffer.from(result.zinfo ?? []);
  const record = 17 + WINDOW_SIZE;
  const count = blob.readInt32LE(0);
  const positions = Array.from({ length: count }, (_, i) => {
    const at = 12 + i * record;
    const bits = blob.readUInt8(at + 16);
    const consumed = Number(blob.readBigInt64LE(at));
    return {
      compressedEnd: consumed,
      compressedStart: bits === 0 ? consumed : consumed - 1,
      out: Number(blob.readBigInt64LE(at + 8)),
      bits,
      window: blob.subarray(at + 17, at + record),
    };
  });
  return positions.map(({ compressedStart, out, bits, window }, i) => ({
    input: Buffer.from(layer.subarray(compressedStart, positions[i + 1]?.compressedEnd ?? layer.length)),
    expected: Buffer.from(tar.subarray(out, positions[i + 1]?.out ?? tar.length)),
    digest: Buffer.from(result.spanDigests.subarray(32 * i, 32 * i + 32)),
    bits,
    window,
  }));
}
