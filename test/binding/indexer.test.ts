/**
 * The indexer behind lib/binding.ts: what it finds in a layer, how much one
 * call does, and what a caller may and may not do with it.
 */
import { constants, gzipSync } from 'node:zlib';
import t from 'tap';
import {
  createIndexer,
  type IndexerOptions,
  type IndexResult,
  type NativeIndexer,
} from '../../lib/binding.js';
import type { SociError } from '../../lib/errors.js';
import { AbortedError } from '../../lib/native-failure.js';
import {
  FILES,
  GZIP_OPTIONS,
  type Indexed,
  indexAhead,
  indexAll,
  LAYER,
  patterned,
  sha256,
  spansOf,
  TAR,
  tarOf,
} from './small-layer.js';

const MIB = 1024 * 1024;

t.test('finds what the layer holds', async t => {
  const { result, headers } = await indexAll(createIndexer(GZIP_OPTIONS), LAYER, LAYER.length);
  t.equal(result.compressedSize, LAYER.length);
  t.equal(result.uncompressedSize, TAR.length);
  t.equal(result.tarEnd, TAR.length);
  t.strictSame(Buffer.from(result.layerDigest), sha256(LAYER));
  t.strictSame(Buffer.from(result.diffId ?? []), sha256(TAR));
  const spans = spansOf(LAYER, TAR, result);
  t.ok(spans.length > 4, `${spans.length} spans`);
  t.equal(result.spanDigests.length, 32 * spans.length);
  for (const span of spans) t.strictSame(sha256(span.input), span.digest);

  const names: string[] = [];
  for (let at = 0; at < headers.length; ) {
    const offset = Number(headers.readBigUInt64LE(at));
    const length = headers.readUInt32LE(at + 8);
    const record = headers.subarray(at + 12, at + 12 + length);
    t.equal(length, 512);
    t.ok(record.equals(TAR.subarray(offset, offset + length)), `record at ${offset}`);
    names.push(record.toString('latin1', 0, record.indexOf(0)));
    at += 12 + length;
  }
  t.strictSame(names, Object.keys(FILES));
});

t.test('finds the same in any chunking', async t => {
  const expected = await indexAll(createIndexer(GZIP_OPTIONS), LAYER, LAYER.length);
  const same = (found: Indexed, name: string) => {
    t.ok(found.headers.equals(expected.headers), `${name}: headers`);
    t.strictSame(described(found.result), described(expected.result), name);
  };
  for (const size of [17, 4096, 65537, 10 * MIB]) {
    same(await indexAll(createIndexer(GZIP_OPTIONS), LAYER, size), `chunks of ${size}`);
  }
  for (const size of [700, 65_537, 10 * MIB]) {
    same(await indexAhead(createIndexer(GZIP_OPTIONS), LAYER, size), `ahead, in chunks of ${size}`);
  }
  same(
    await indexAll(createIndexer({ ...GZIP_OPTIONS, engine: 'fast' }), LAYER, 5000),
    'with the other engine',
  );
});

t.test('leaves out the diffID unless asked', async t => {
  const { result } = await indexAll(createIndexer({ ...GZIP_OPTIONS, diffId: false }), LAYER, MIB);
  t.equal(result.diffId, undefined);
  t.strictSame(Buffer.from(result.layerDigest), sha256(LAYER));
});

t.test('indexes plain tars', async t => {
  const options: IndexerOptions = { ...GZIP_OPTIONS, compression: 'uncompressed', spanSize: 100_000 };
  const { result, headers } = await indexAll(createIndexer(options), TAR, 12_345);
  t.equal(result.zinfo, undefined);
  t.equal(result.compressedSize, TAR.length);
  t.equal(result.uncompressedSize, TAR.length);
  t.equal(headers.length, Object.keys(FILES).length * (12 + 512));
  for (let i = 0; i * 100_000 < TAR.length; i++) {
    const digest = Buffer.from(result.spanDigests.subarray(32 * i, 32 * i + 32));
    t.strictSame(digest, sha256(TAR.subarray(i * 100_000, (i + 1) * 100_000)), `span ${i}`);
  }
});

t.test('takes checkpoints where it is told to', async t => {
  const { result } = await indexAll(createIndexer(GZIP_OPTIONS), LAYER, MIB);
  const blob = Buffer.from(result.zinfo ?? []);
  const rows = Array.from({ length: blob.readInt32LE(0) }, (_, i) => {
    const at = 12 + i * (17 + 32768);
    return [Number(blob.readBigInt64LE(at)), Number(blob.readBigInt64LE(at + 8)), blob.readUInt8(at + 16)];
  });
  const at = Float64Array.from(rows.flat());
  const again = await indexAll(createIndexer({ ...GZIP_OPTIONS, checkpointsAt: at }), LAYER, MIB);
  t.strictSame(described(again.result), described(result));

  const wrong = Float64Array.from(rows.flat());
  wrong[3] = (wrong[3] ?? 0) + 1;
  const missed = indexAll(createIndexer({ ...GZIP_OPTIONS, checkpointsAt: wrong }), LAYER, MIB);
  await t.rejects(missed, { code: 'ERR_SOCI_ZTOC_MISMATCH', data: { offset: wrong[3] } });
});

t.test('one call takes 1 MiB of input at most', async t => {
  const noise = gzipSync(patterned(5 * MIB), { level: 1 });
  t.ok(noise.length > 2 * MIB);
  const indexer = createIndexer(GZIP_OPTIONS);
  t.equal(indexer.push(noise), MIB);
  t.equal((await indexer.run()).consumed, MIB);
});

t.test('two chunks wait at most, and what was pushed is a copy', async t => {
  const indexer = createIndexer(GZIP_OPTIONS);
  const chunk = Buffer.from(LAYER.subarray(0, 3000));
  t.equal(indexer.push(chunk), 3000);
  chunk.fill(0);
  t.equal(indexer.push(LAYER.subarray(3000, 3500)), 500);
  t.equal(indexer.push(LAYER.subarray(3500)), 0, 'a third one waits outside');
  const first = indexer.run();
  const second = indexer.run();
  t.equal((await first).consumed, 3000);
  t.equal(indexer.push(LAYER.subarray(3500)), LAYER.length - 3500);
  t.equal((await second).consumed, 500);
  t.equal((await indexer.run()).consumed, LAYER.length - 3500);
  t.strictSame(Buffer.from((await indexer.finish()).layerDigest), sha256(LAYER));
});

t.test('one call gives about 4 MiB of output at most', async t => {
  const tar = await tarOf({ zeros: Buffer.alloc(40 * MIB) });
  const zeros = gzipSync(tar);
  t.ok(zeros.length < 64 * 1024);
  const indexer = createIndexer({ ...GZIP_OPTIONS, spanSize: 4 * MIB });
  let before = 0;
  let at = 0;
  t.equal(indexer.push(zeros), zeros.length);
  while (at < zeros.length) {
    const { consumed, produced } = await indexer.run();
    t.ok(produced - before <= 4 * MIB + 64 * 1024, `${produced - before} bytes`);
    t.ok(consumed > 0 || produced > before, 'progress');
    before = produced;
    at += consumed;
  }
  t.equal((await indexer.finish()).uncompressedSize, tar.length);
});

t.test('failures carry a code, the offset, and the stack of the caller', async t => {
  const cases: [string, Uint8Array, string, number | undefined][] = [
    ['no gzip', TAR, 'ERR_SOCI_GZIP_HEADER', undefined],
    ['cut', LAYER.subarray(0, -5), 'ERR_SOCI_LAYER_TRUNCATED', undefined],
    ['trailing zeros', Buffer.concat([LAYER, Buffer.alloc(9)]), 'ERR_SOCI_LAYER_TRAILING_DATA', LAYER.length],
    ['wrong CRC', flipped(LAYER, LAYER.length - 8), 'ERR_SOCI_GZIP_CHECKSUM', undefined],
    ['reserved block type', stored(0x07), 'ERR_SOCI_DEFLATE_DATA', undefined],
    ['not a tar', gzipSync(Buffer.alloc(2048, 'x')), 'ERR_SOCI_TAR_HEADER', 0],
  ];
  for (const [name, layer, code, offset] of cases) {
    const error = await indexAll(createIndexer(GZIP_OPTIONS), layer, MIB).then(
      () => undefined,
      (reason: SociError) => reason,
    );
    t.equal(error?.code, code, name);
    t.equal(error?.name, 'SociError');
    t.match(error?.stack, /^SociError: .*\n\s+at .*small-layer/, `${name}: called from here`);
    t.type(error?.data['offset'], 'number');
    if (offset !== undefined) t.equal(error?.data['offset'], offset, name);
  }
});

t.test('more checkpoints than allowed are refused', async t => {
  const run = indexAll(createIndexer({ ...GZIP_OPTIONS, maxCheckpoints: 3 }), LAYER, MIB);
  await t.rejects(run, { code: 'ERR_SOCI_LIMIT', message: /maxCheckpoints/ });
});

t.test('a fifth run, or a call that needs the indexer for itself, is refused', async t => {
  const indexer = createIndexer(GZIP_OPTIONS);
  indexer.push(LAYER);
  const refused = { code: 'ERR_SOCI_INVALID_ARGUMENT' };
  await t.rejects(indexer.finish(), refused, 'a chunk is waiting');
  const first = indexer.run();
  const second = indexer.run();
  const others = [indexer.run(), indexer.run()];
  await Promise.all(
    [indexer.run(), indexer.finish()].map(call => t.rejects(call as Promise<unknown>, refused)),
  );
  t.equal((await first).consumed, LAYER.length, 'the first run is not disturbed');
  t.equal((await second).consumed, 0, 'nothing was left for the second');
  await Promise.all(others);
  t.equal((await indexer.finish()).compressedSize, LAYER.length);
});

t.test('from finish() on the layer belongs to it', async t => {
  for (let i = 0; i < 50; i++) {
    const indexer = createIndexer(GZIP_OPTIONS);
    indexer.push(LAYER);
    await indexer.run();
    const finished = indexer.finish();
    const refused = { code: 'ERR_SOCI_INVALID_ARGUMENT' };
    t.throws(() => indexer.push(LAYER), refused);
    await Promise.all(
      [indexer.run(), indexer.finish()].map(call => t.rejects(call as Promise<unknown>, refused)),
    );
    t.equal((await finished).compressedSize, LAYER.length);
  }
});

t.test('after finish() there is nothing left to call', async t => {
  const indexer = createIndexer(GZIP_OPTIONS);
  await indexAll(indexer, LAYER, MIB);
  const cut = createIndexer(GZIP_OPTIONS);
  cut.push(LAYER.subarray(0, 100));
  await cut.run();
  await t.rejects(cut.finish(), { code: 'ERR_SOCI_LAYER_TRUNCATED' });
  for (const ended of [indexer, cut]) {
    await t.rejects(ended.run(), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
    t.throws(() => ended.push(LAYER), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
    await t.rejects(ended.finish(), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
});

t.test('a failure repeats', async t => {
  const indexer = createIndexer(GZIP_OPTIONS);
  const failure = { code: 'ERR_SOCI_GZIP_HEADER' };
  indexer.push(TAR);
  await t.rejects(indexer.run(), failure);
  await t.rejects(indexer.run(), failure);

  const ahead = createIndexer(GZIP_OPTIONS);
  ahead.push(TAR);
  ahead.push(LAYER);
  await Promise.all([ahead.run(), ahead.run()].map(run => t.rejects(run, failure)));
  await t.rejects(ahead.run(), failure);
});

t.test('abort() ends the call under way and all later ones', async t => {
  const indexer = createIndexer(GZIP_OPTIONS);
  indexer.push(LAYER.subarray(0, 1000));
  await indexer.run();
  indexer.push(LAYER.subarray(1000));
  const pending = [indexer.run(), indexer.run()];
  indexer.abort();
  await Promise.all(pending.map(run => t.rejects(run, AbortedError)));
  await t.rejects(indexer.run(), AbortedError);
  t.throws(() => indexer.push(LAYER), AbortedError, 'or its memory would be used twice');
  await t.rejects(indexer.finish(), AbortedError);
  indexer.abort();
});

t.test('empty chunks and empty layers', async t => {
  const indexer = createIndexer(GZIP_OPTIONS);
  t.equal(indexer.push(new Uint8Array(0)), 0);
  t.strictSame(await indexer.run(), { consumed: 0, produced: 0, headers: undefined });
  await t.rejects(indexer.finish(), { code: 'ERR_SOCI_LAYER_TRUNCATED' });
  const empty = createIndexer(GZIP_OPTIONS);
  await indexAll(empty, gzipSync(Buffer.alloc(1024), { level: constants.Z_BEST_SPEED }), MIB);
});

t.test('options are checked', async t => {
  const wrong: Record<string, unknown>[] = [
    { spanSize: 0 },
    { spanSize: -1 },
    { spanSize: 1.5 },
    { spanSize: 2 ** 53 },
    { spanSize: '1' },
    { maxCheckpoints: 0 },
    { compression: 'zstd' },
    { engine: 'other' },
    { diffId: 'yes' },
    { checkpointsAt: new Float64Array(4) },
    { checkpointsAt: new Float64Array(0) },
    { checkpointsAt: [1, 2, 3] },
    { checkpointsAt: Float64Array.of(10, 0, 8) },
    { checkpointsAt: Float64Array.of(-1, 0, 0) },
    { checkpointsAt: Float64Array.of(Number.NaN, 0, 0) },
  ];
  for (const change of wrong) {
    t.throws(
      () => createIndexer({ ...GZIP_OPTIONS, ...change } as unknown as IndexerOptions),
      { name: 'SociError', code: 'ERR_SOCI_INVALID_ARGUMENT' },
      JSON.stringify(change),
    );
  }
  const indexer: NativeIndexer = createIndexer(GZIP_OPTIONS);
  for (const chunk of [undefined, null, 'x', [1], new Uint16Array(2), new DataView(new ArrayBuffer(2))]) {
    t.throws(() => indexer.push(chunk as unknown as Uint8Array), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
});

/** Digests instead of blobs: a comparison that is quick and a difference that can be read. */
function described({ zinfo, spanDigests, layerDigest, diffId, ...numbers }: IndexResult): object {
  const arrays = { zinfo, spanDigests, layerDigest, diffId };
  const digests = Object.entries(arrays).map(([name, array]) => [
    name,
    array && sha256(array).toString('hex'),
  ]);
  return { ...numbers, ...Object.fromEntries(digests) };
}

function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

/** A gzip header followed by a DEFLATE stream that begins with `byte`. */
function stored(byte: number): Buffer {
  return Buffer.concat([LAYER.subarray(0, 10), Buffer.from([byte, 0, 0, 0, 0, 0, 0, 0, 0])]);
}
