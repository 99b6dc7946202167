/** Building and verifying: the reference's bytes, every kind of input, what is refused, and what verify finds. */
import { once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import t from 'tap';
import { pack } from 'tar-stream';
import type { EngineName } from '../../lib/binding.js';
import { SociError } from '../../lib/errors.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import type { EntryFields } from '../../lib/tar/entry.js';
import { type BuildZtocOptions, buildZtoc } from '../../lib/ztoc/build.js';
import { type Checkpoint, encodeGzipZinfo } from '../../lib/ztoc/codec/gzip-zinfo.js';
import { encodeZtoc, type ZtocParts } from '../../lib/ztoc/encode.js';
import type { LayerInput } from '../../lib/ztoc/layer-input.js';
import { verifyZtoc } from '../../lib/ztoc/verify.js';
import { Ztoc } from '../../lib/ztoc/ztoc.js';
import fc from '../property.js';
import { concat, END_OF_ARCHIVE, gnuLong, header, padded, pax } from '../tar/tar-builder.js';
import { CORPUS, corpusRows, fixture, GOLDENS, sha256 } from './fixtures.js';

/** What the goldens were made with. */
const REFERENCE_TOOL = 'AWS SOCI CLI v0.2';

async function errorOf(promise: Promise<unknown>): Promise<SociError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SociError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

function inPieces(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
}

async function* asynchronously(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for (const chunk of chunks) {
    await null;
    yield chunk;
  }
}

const ENGINES: readonly EngineName[] = ['fast', 'zlib'];

t.test("built ztocs are the reference's, byte for byte", async t => {
  for (const engine of ENGINES) {
    for (const { blob, spanSize, digest } of GOLDENS) {
      const layer = fixture(blob);
      const { ztoc, layerDigest, layerSize } = await buildZtoc(layer, {
        spanSize,
        buildToolIdentifier: REFERENCE_TOOL,
        engine,
      });
      t.equal(ztoc.digest, digest, `${blob}, spans of ${spanSize}, ${engine}`);
      t.equal(layerDigest, sha256(layer));
      t.equal(layerSize, layer.length);
      await verifyZtoc(layer, ztoc, { engine });
    }
  }
  const tar = gunzipSync(fixture('pax-z6.tar.gz'));
  const { ztoc, diffId } = await buildZtoc(tar, {
    spanSize: 65_536,
    buildToolIdentifier: REFERENCE_TOOL,
    diffId: true,
  });
  t.same(Buffer.compare(ztoc.bytes, fixture('pax.tar.65536.ztoc')), 0, 'an uncompressed layer');
  t.equal(diffId, sha256(tar));
});

t.test('the whole corpus', { skip: CORPUS ? false : 'SEEKABLE_OCI_CORPUS is not set' }, async t => {
  const corpus = CORPUS as string;
  const read = (blob: string): Uint8Array => {
    try {
      return readFileSync(path.join(corpus, 'blob', blob));
    } catch {
      return gunzipSync(readFileSync(path.join(corpus, 'blob', blob.replace(/\.tar$/, '-z6.tar.gz'))));
    }
  };
  const rows = ENGINES.flatMap(engine => corpusRows(corpus).map(row => ({ ...row, engine })));
  for (const { blob, spanSize, digest, engine } of rows) {
    const layer = read(blob);
    const building = buildZtoc(layer, { spanSize, buildToolIdentifier: REFERENCE_TOOL, engine });
    const row = `${blob}, spans of ${spanSize}, ${engine}`;
    if (digest === undefined) {
      const error = await errorOf(building);
      t.match(error.code, /^ERR_SOCI_(GZIP|DEFLATE|LAYER|UNSUPPORTED)/, `${row}: ${error.message}`);
      if (error.code !== 'ERR_SOCI_UNSUPPORTED_COMPRESSION') {
        t.match(error.message, /\d/, 'says where');
        t.type(error.data['offset'], 'number');
      }
      continue;
    }
    const { ztoc } = await building;
    await verifyZtoc(layer, ztoc);
    if (!blob.includes('emptymember')) t.equal(ztoc.digest, digest, row);
    else {
      t.not(ztoc.digest, digest, `${row}: one checkpoint at output 0, not several`);
      t.ok(ztoc.spanCount === 1 || ztoc.span(1).uncompressedStart > 0, row);
    }
  }
});

t.test(
  "the reference's ztocs prove true",
  { skip: CORPUS ? false : 'SEEKABLE_OCI_CORPUS is not set' },
  async t => {
    const corpus = CORPUS as string;
    for (const name of ['gnu-emptymember.tar.gz.65536', 'gnu-pigz-i.tar.gz.65536', 'pax-z6.tar.gz.65536']) {
      const layer = readFileSync(path.join(corpus, 'blob', name.replace(/\.\d+$/, '')));
      const ztoc = Ztoc.decode(readFileSync(path.join(corpus, 'ztoc', `${name}.ztoc`)));
      await t.resolves(verifyZtoc(layer, ztoc), name);
    }
  },
);

t.test('damaged layers are refused, and the error says where', async t => {
  const layer = fixture('tiny-z6.tar.gz');
  const after = await errorOf(buildZtoc(concat(layer, new Uint8Array(20))));
  t.match(
    after,
    { code: 'ERR_SOCI_LAYER_TRAILING_DATA', data: { offset: layer.length } },
    'zeros after the last member',
  );
  const junk = await errorOf(buildZtoc(concat(layer, Buffer.from('junk'))));
  t.match(junk, { code: 'ERR_SOCI_LAYER_TRAILING_DATA', data: { offset: layer.length } });
  const crc = layer.slice();
  crc[layer.length - 5] = (crc[layer.length - 5] as number) ^ 1;
  t.match(await errorOf(buildZtoc(crc)), { code: 'ERR_SOCI_GZIP_CHECKSUM' });
  for (let cut = 3; cut < layer.length; cut += 7) {
    t.match(
      (await errorOf(buildZtoc(layer.subarray(0, cut)))).code,
      'ERR_SOCI_LAYER_TRUNCATED',
      `cut at ${cut}`,
    );
  }
});

t.test('what a ztoc cannot hold', async t => {
  const unsupported = (bytes: number[], name: RegExp) =>
    errorOf(buildZtoc(new Uint8Array([...bytes, ...new Uint8Array(600).fill(7)]))).then(error =>
      t.match(error, { code: 'ERR_SOCI_UNSUPPORTED_COMPRESSION', message: name }),
    );
  await unsupported([0x28, 0xb5, 0x2f, 0xfd], /zstd/);
  await unsupported([0x42, 0x5a, 0x68], /bzip2/);
  await unsupported([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], /xz/);
  await unsupported([1, 2, 3], /neither gzip nor tar: it begins with 010203/);

  const tar = concat(header({ name: 'first' }), pax([['a', 'b']], 'g'), header(), END_OF_ARCHIVE);
  const data = { reason: 'global-pax', typeflag: 'g', offset: 512 };
  t.match(await errorOf(buildZtoc(tar)), { code: 'ERR_SOCI_TAR_UNSUPPORTED', data });
  t.match(await errorOf(buildZtoc(gzipSync(tar))), { code: 'ERR_SOCI_TAR_UNSUPPORTED', data });
  const named = await errorOf(buildZtoc(new BufferSource(tar, 'some layer')));
  t.match(
    named,
    { message: /^some layer: /, data: { ...data, layer: 'some layer' } },
    'errors name the layer',
  );

  const broken = concat(header({ size: 3 }), padded('abc'), new Uint8Array(512).fill(1));
  t.match(await errorOf(buildZtoc(gzipSync(broken))), {
    code: 'ERR_SOCI_TAR_HEADER',
    data: { offset: 1024 },
  });
  const short = header({ size: 5000 });
  t.match(
    await errorOf(buildZtoc(short)),
    { code: 'ERR_SOCI_LAYER_TRUNCATED', data: { offset: 512 } },
    'contents cut short',
  );
  const lone = concat(header(), new Uint8Array(512), header(), END_OF_ARCHIVE);
  t.match(await errorOf(buildZtoc(lone)), {
    code: 'ERR_SOCI_TAR_HEADER',
    message: /single block of zeros/,
    data: { offset: 512 },
  });
  const half = concat(header(), header().subarray(0, 300));
  t.match(await errorOf(buildZtoc(half)), {
    code: 'ERR_SOCI_LAYER_TRUNCATED',
    message: /inside the header at 512/,
  });
  t.equal((await buildZtoc(header())).ztoc.entryCount, 1, 'without an end of archive');
  t.equal(
    (await buildZtoc(concat(header({ size: 3 }), Buffer.from('abc')))).ztoc.uncompressedSize,
    515,
    'nor padding',
  );
  t.match(await errorOf(buildZtoc(tar, { compression: 'gzip' })), { code: 'ERR_SOCI_GZIP_HEADER' });
  t.match(await errorOf(buildZtoc(gzipSync(tar), { compression: 'uncompressed' })), {
    code: /TAR_HEADER|TRUNCATED/,
  });
});

t.test('a layer of nothing but headers is refused once its ztoc is sure to be too large', async t => {
  const endless = (entry: Uint8Array) =>
    (function* () {
      for (;;) yield entry;
    })();
  const limits = { maxZtocBytes: 2 ** 24, maxEntries: 5000 };
  const long = concat(gnuLong('L', 'n'.repeat(2 ** 20 - 1)), header());
  const records = pax(Array.from({ length: 5000 }, (_, i) => [i.toString(36), 'v'.repeat(100)]));
  for (const entry of [long, concat(records, header())]) {
    t.match(await errorOf(buildZtoc(endless(entry), { limits })), {
      code: 'ERR_SOCI_LIMIT',
      data: { limit: 'maxZtocBytes', expected: 2 ** 24 },
    });
  }
  t.match(await errorOf(buildZtoc(endless(header()), { limits })), {
    code: 'ERR_SOCI_LIMIT',
    data: { limit: 'maxEntries', expected: 5000 },
  });
});

t.test('options', async t => {
  const layer = fixture('tiny-z6.tar.gz');
  for (const spanSize of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.match(
      await errorOf(buildZtoc(layer, { spanSize })),
      { code: 'ERR_SOCI_INVALID_ARGUMENT' },
      `${spanSize}`,
    );
  }
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const { ztoc, diffId } = await buildZtoc(layer);
  t.match(ztoc, { buildToolIdentifier: `seekable-oci/${version}`, spanSize: 4 * 2 ** 20, version: '0.9' });
  t.equal(diffId, undefined, 'only on request');
  t.equal((await buildZtoc(layer, { diffId: true })).diffId, sha256(gunzipSync(layer)));
  const few: BuildZtocOptions = { spanSize: 65_536, limits: { maxSpans: 3 } };
  t.match(await errorOf(buildZtoc(fixture('pax-z6.tar.gz'), few)), { code: 'ERR_SOCI_LIMIT' });
  const entries: BuildZtocOptions = { limits: { maxEntries: 10 } };
  t.match(await errorOf(buildZtoc(fixture('pax-z6.tar.gz'), entries)), { code: 'ERR_SOCI_LIMIT' });
});

t.test('layers of nothing', async t => {
  const none = await buildZtoc(new Uint8Array(0), { diffId: true });
  t.match(none, { layerSize: 0, layerDigest: sha256(new Uint8Array(0)), diffId: sha256(new Uint8Array(0)) });
  t.match(none.ztoc, { compression: 'uncompressed', spanCount: 0, entryCount: 0 });
  await verifyZtoc(new Uint8Array(0), none.ztoc);
  const exact = await buildZtoc(END_OF_ARCHIVE, { spanSize: 512 });
  t.equal(exact.ztoc.spanCount, 2, 'an exact multiple of the span size');
  const empty = await buildZtoc(gzipSync(new Uint8Array(0)));
  t.match(empty.ztoc, { compression: 'gzip', spanCount: 1, uncompressedSize: 0 });
  await verifyZtoc(gzipSync(new Uint8Array(0)), empty.ztoc);
});

t.test('every kind of input gives the same ztoc', async t => {
  const layer = fixture('gnu-pigz-i.tar.gz');
  const file = 'test/fixtures/ztoc/gnu-pigz-i.tar.gz';
  const expected = (await buildZtoc(layer)).ztoc.digest;
  const reused = new Uint8Array(1000);
  function* reusing(): Generator<Uint8Array, void, undefined> {
    for (const piece of inPieces(layer, reused.length)) {
      reused.set(piece);
      yield reused.subarray(0, piece.length);
      reused.fill(0); // whoever asks for the next chunk is done with this one
    }
  }
  const inputs: Record<string, LayerInput> = {
    RangeSource: new BufferSource(layer, 'layer'),
    'a file stream': createReadStream(file),
    'a Readable of odd chunks': Readable.from(inPieces(layer, 70_001)),
    'an async iterable of tiny chunks': asynchronously(inPieces(layer, 997)),
    'an iterable': inPieces(layer, 2 ** 21),
    'an iterable with empty chunks': [new Uint8Array(0), layer, new Uint8Array(0)],
    'a generator that reuses its buffer': reusing(),
    'one byte first': [layer.subarray(0, 1), layer.subarray(1)],
  };
  for (const [what, input] of Object.entries(inputs)) {
    const seen: number[] = [];
    const { ztoc } = await buildZtoc(input, { onProgress: bytes => seen.push(bytes) });
    t.equal(ztoc.digest, expected, what);
    t.equal(seen.at(-1), layer.length, 'progress ends at the size');
    t.same(
      seen,
      [...seen].sort((a, b) => a - b),
    );
  }
  t.match(await errorOf(buildZtoc(['text'] as unknown as Uint8Array[])), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
  });
  t.match(await errorOf(buildZtoc(7 as unknown as Uint8Array)), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});

t.test('a failing input fails the build with its own error', async t => {
  const boom = new Error('boom');
  async function* failing(): AsyncGenerator<Uint8Array, void, undefined> {
    yield fixture('gnu-pigz-i.tar.gz').subarray(0, 300_000);
    throw boom;
  }
  await t.rejects(buildZtoc(failing()), boom);
  await t.rejects(buildZtoc(fixture('tiny-z6.tar.gz'), { onProgress: () => { throw boom; } }), boom); // biome-ignore format: one line
});

t.test('a source that gives fewer bytes than it has is noticed', async t => {
  const tar = concat(header({ name: 'a' }), header({ name: 'b' }));
  const source = Object.assign(new BufferSource(tar, 'cut'), {
    stream: () => asynchronously([tar.subarray(0, 512)]),
  });
  t.match(await errorOf(buildZtoc(source)), {
    code: 'ERR_SOCI_SOURCE_SHORT',
    message: /^cut: /,
    data: { expected: 1024, found: 512 },
  });
});

t.test('an aborted build rejects with the reason and lets go of its input', async t => {
  const reason = new Error('enough');
  const aborted = AbortSignal.abort(reason);
  await t.rejects(buildZtoc(fixture('tiny-z6.tar.gz'), { signal: aborted }), reason, 'before');
  await t.rejects(verifyZtoc(fixture('tiny-z6.tar.gz'), (await buildZtoc(fixture('tiny-z6.tar.gz'))).ztoc, { signal: aborted }), reason); // biome-ignore format: one line

  const controller = new AbortController();
  const stalled = new Readable({ read() {} });
  stalled.push(fixture('gnu-pigz-i.tar.gz').subarray(0, 100_000));
  const waiting = buildZtoc(stalled, { signal: controller.signal });
  setImmediate(() => controller.abort(reason));
  const closed = once(stalled, 'close');
  await t.rejects(waiting, reason, 'while it waits for input that never comes');
  await closed;
  t.ok(stalled.destroyed, 'the stream is destroyed');

  const second = new AbortController();
  let returned = false;
  const endless: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: async () => {
        returned = true;
        return { done: true, value: undefined };
      },
    }),
  };
  const never = buildZtoc(endless, { signal: second.signal });
  setImmediate(() => second.abort(reason));
  await t.rejects(never, reason);
  t.ok(returned, 'the iterator is told');

  const third = new AbortController();
  const during = buildZtoc(fixture('gnu-pigz-i.tar.gz'), {
    signal: third.signal,
    onProgress: () => third.abort(reason),
  });
  await t.rejects(during, reason, 'while it works');
  await buildZtoc(fixture('tiny-z6.tar.gz'), { signal: new AbortController().signal });
});

t.test('a layer that is refused early does not read on', async t => {
  let returned = 0;
  function* zstd(): Generator<Uint8Array, void, undefined> {
    try {
      for (;;) yield new Uint8Array(2 ** 20).fill(0x28);
    } finally {
      returned += 1;
    }
  }
  t.match(await errorOf(buildZtoc(zstd())), { code: 'ERR_SOCI_UNSUPPORTED_COMPRESSION' });
  t.equal(returned, 1);
});

t.test('what is wrong with a layer is said at once, and before what goes wrong behind it', async t => {
  const MIB = 2 ** 20;
  const damaged = Buffer.concat([fixture('tiny-z6.tar.gz').subarray(0, 10), Buffer.alloc(3 * MIB, 7)]);
  for (const count of [1, 2, 3]) {
    let ended = 0;
    async function* stalling(): AsyncGenerator<Uint8Array, void, undefined> {
      for (let i = 0; i < count; i++) yield damaged.subarray(i * MIB, (i + 1) * MIB);
      await new Promise(() => {});
    }
    const input = stalling();
    const watched = Object.assign(input, {
      return: async () => {
        ended++;
        return { done: true as const, value: undefined };
      },
    });
    t.match(
      await errorOf(buildZtoc(watched)),
      { code: 'ERR_SOCI_DEFLATE_DATA' },
      `${count} MiB, then nothing`,
    );
    t.equal(ended, 1, 'the input is told');

    async function* failing(): AsyncGenerator<Uint8Array, void, undefined> {
      for (let i = 0; i < count; i++) yield damaged.subarray(i * MIB, (i + 1) * MIB);
      throw new Error('connection reset');
    }
    t.match(await errorOf(buildZtoc(failing())), { code: 'ERR_SOCI_DEFLATE_DATA' });
  }

  // Each chunk is scanned when it is there, not when the next ones are.
  const noise = Buffer.alloc(4 * MIB);
  for (let i = 0; i < noise.length; i++) noise[i] = Math.imul(i, 2654435761) >>> 13;
  const good = gzipSync(concat(header({ name: 'file', size: noise.length }), noise), { level: 0 });
  for (const at of [1.5, 2.5, 3.5]) {
    const broken = Buffer.from(good);
    broken.fill(0xff, at * MIB, (at + 0.25) * MIB);
    async function* slow(): AsyncGenerator<Uint8Array, void, undefined> {
      for (let i = 0; i < at; i++) {
        yield broken.subarray(i * MIB, (i + 1) * MIB);
        await nextTurn();
      }
      await new Promise(() => {});
    }
    const watched = Object.assign(slow(), {
      return: async () => ({ done: true as const, value: undefined }),
    });
    t.match(await errorOf(buildZtoc(watched)), { code: 'ERR_SOCI_DEFLATE_DATA' }, `broken at ${at} MiB`);
  }

  // A tar that no ztoc can describe, and damage in the next chunk.
  const contents = Buffer.alloc(2 * MIB);
  for (let i = 0; i < contents.length; i++) contents[i] = Math.imul(i, 2654435761) >>> 13;
  const strange = header({ name: 'odd', type: 'Z' });
  const odd = gzipSync(concat(strange, header({ name: 'file', size: contents.length }), contents), {
    level: 0,
  });
  const error = await errorOf(buildZtoc(Buffer.concat([odd, damaged])));
  t.match(error, { code: 'ERR_SOCI_TAR_UNSUPPORTED' });
});

t.test('nothing is reported once a build was aborted', async t => {
  const controller = new AbortController();
  const reason = new Error('enough');
  let after = 0;
  const building = buildZtoc(fixture('gnu-pigz-i.tar.gz'), {
    signal: controller.signal,
    onProgress: () => {
      if (controller.signal.aborted) after++;
      // Long enough for the runs that wait to be done.
      for (const until = performance.now() + 30; performance.now() < until; );
      controller.abort(reason);
    },
  });
  await t.rejects(building, reason);
  t.equal(after, 0);
});

t.test('any tar, any compression level, any span size: the ztoc describes it', async () => {
  const files = fc.array(
    fc.record({
      name: fc.stringMatching(/^[a-zä0-9]{1,120}$/),
      data: fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(3000))
        .map(([seed, times]) =>
          Buffer.concat(Array.from({ length: times }, (_, i) => Buffer.from(seed).fill(i & 0xff, 0, 1))),
        ),
    }),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(
      files,
      fc.integer({ min: -1, max: 9 }),
      fc.integer({ min: 1, max: 100_000 }),
      async (specs, level, spanSize) => {
        const packer = pack();
        for (const { name, data } of specs) packer.entry({ name }, data);
        packer.finalize();
        const tar = await buffer(packer);
        const layer = level < 0 ? tar : gzipSync(tar, { level });
        const { ztoc, diffId } = await buildZtoc(layer, { spanSize, diffId: true });
        await verifyZtoc(layer, ztoc);
        return (
          diffId === sha256(tar) &&
          [...ztoc.entries()].every(
            (entry, i) =>
              entry.name === specs[i]?.name &&
              Buffer.compare(
                tar.subarray(entry.offset, entry.offset + entry.size),
                specs[i]?.data as Buffer,
              ) === 0,
          )
        );
      },
    ),
    { numRuns: 25 },
  );
});

interface Tampering extends Partial<Omit<ZtocParts, 'entryAt' | 'entryCount' | 'checkpoints'>> {
  readonly editEntries?: (entries: EntryFields[]) => void;
  readonly editCheckpoints?: (list: Checkpoint[]) => void;
}

/** The same ztoc with something changed, still consistent in itself. */
function tamper(ztoc: Ztoc, { editEntries, editCheckpoints, ...parts }: Tampering): Ztoc {
  const entries = [...ztoc.entries()].map(({ fields }) => ({
    name: fields.name,
    type: fields.type,
    offset: fields.offset,
    size: fields.size,
    headerOffset: fields.headerOffset,
    linkname: fields.linkname,
    mode: fields.mode,
    uid: fields.uid,
    gid: fields.gid,
    uname: fields.uname,
    gname: fields.gname,
    modTime: fields.modTime,
    devmajor: fields.devmajor,
    devminor: fields.devminor,
    pax: fields.pax,
  }));
  editEntries?.(entries);
  const spans = Array.from({ length: ztoc.spanCount }, (_, i) => ztoc.span(i));
  const list = spans.map(({ index, compressedStart, uncompressedStart, bits }) => ({
    in: compressedStart + (bits === 0 ? 0 : 1),
    out: uncompressedStart,
    bits,
    window: (ztoc.window(index) as Uint8Array).slice(),
  }));
  editCheckpoints?.(list);
  const bytes = encodeZtoc({
    version: ztoc.version,
    buildToolIdentifier: ztoc.buildToolIdentifier,
    algorithm: ztoc.codec.algorithm,
    compressedSize: ztoc.compressedSize,
    uncompressedSize: ztoc.uncompressedSize,
    maxSpanId: list.length - 1,
    spanDigests: spans.map(({ digest }) => digest),
    ...parts,
    checkpoints: encodeGzipZinfo(ztoc.spanSize, list),
    entryCount: entries.length,
    entryAt: index => entries[index] as EntryFields,
  });
  return Ztoc.decode(bytes);
}

t.test('verify finds every kind of tampering and names the first', async t => {
  const layer = fixture('pax-z6.tar.gz');
  const { ztoc } = await buildZtoc(layer, { spanSize: 262_144 });
  const digests = Array.from({ length: ztoc.spanCount }, (_, i) => ztoc.span(i).digest);
  const wrongDigest = digests.with(3, `sha256:${'0'.repeat(64)}`);
  const file = [...ztoc.entries()].findIndex(({ type, size }) => type === 'reg' && size > 1000);
  const edit = (index: number, change: Partial<EntryFields>) => (entries: EntryFields[]) => {
    entries[index] = { ...(entries[index] as EntryFields), ...change };
  };
  const mtime = (ztoc.entry(file).modTime as string).replace(/\d/, digit => (digit === '1' ? '2' : '1'));
  const last = ztoc.entryCount - 1;
  const cases: [string, number | undefined, Tampering][] = [
    ['digest', 3, { spanDigests: wrongDigest }],
    ['window', 2, { editCheckpoints: list => list[2]?.window.fill(7, 100, 101) }],
    ['checkpoint', 1, { editCheckpoints: list => { list[1] = { ...(list[1] as Checkpoint), in: (list[1] as Checkpoint).in + 1 }; } }], // biome-ignore format: one line
    ['checkpoint', 1, { editCheckpoints: list => { list[1] = { ...(list[1] as Checkpoint), out: (list[1] as Checkpoint).out + 1 }; } }], // biome-ignore format: one line
    ['checkpoint', 1, { editCheckpoints: list => { list[1] = { ...(list[1] as Checkpoint), bits: (list[1] as Checkpoint).bits ^ 1 }; } }], // biome-ignore format: one line
    ['name', file, { editEntries: edit(file, { name: 'evil' }) }],
    ['mode', file, { editEntries: edit(file, { mode: ztoc.entry(file).mode ^ 0o4000 }) }],
    ['uid', 0, { editEntries: edit(0, { uid: 4242 }) }],
    ['linkname', file, { editEntries: edit(file, { linkname: 'x' }) }],
    ['modTime', file, { editEntries: edit(file, { modTime: mtime }) }],
    ['pax', file, { editEntries: edit(file, { pax: [['SCHILY.xattr.security.capability', 'x']] }) }],
    ['size', file, { editEntries: edit(file, { size: ztoc.entry(file).size - 1 }) }],
    ['entryCount', last, { editEntries: entries => entries.pop() }],
    ['compressedSize', undefined, { compressedSize: ztoc.compressedSize + 1 }],
    ['uncompressedSize', undefined, { uncompressedSize: ztoc.uncompressedSize + 512 }],
  ];
  await verifyZtoc(layer, tamper(ztoc, {}));
  for (const [field, index, change] of cases) {
    const error = await errorOf(verifyZtoc(layer, tamper(ztoc, change)));
    t.match(error, { code: 'ERR_SOCI_ZTOC_MISMATCH', data: { field } }, `${field}: ${error.message}`);
    t.equal(error.data['index'], index);
    t.ok('expected' in error.data && 'found' in error.data);
  }
  const grown = await errorOf(verifyZtoc(new BufferSource(layer.subarray(1), 'some layer'), ztoc));
  t.match(grown, {
    code: 'ERR_SOCI_ZTOC_MISMATCH',
    data: { field: 'compressedSize' },
    message: /^some layer: /,
  });
  const other = (await buildZtoc(fixture('gnu-pigz-i.tar.gz'))).ztoc;
  t.match(
    await errorOf(verifyZtoc(layer, other)),
    { code: 'ERR_SOCI_ZTOC_MISMATCH' },
    'the ztoc of another layer',
  );
});

t.test('verify of an uncompressed layer', async t => {
  const tar = fixture('tiny.tar');
  const { ztoc } = await buildZtoc(tar, { spanSize: 1000 });
  await verifyZtoc(tar, ztoc);
  await t.resolves(verifyZtoc(tar, ztoc.encode()), 'the ztoc as bytes');
  await t.rejects(verifyZtoc(tar, 'tiny.ztoc' as unknown as Uint8Array), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
    message: /expected a Ztoc or its bytes/,
  });
  const changed = tar.slice();
  changed[513] = 0x21;
  const error = await errorOf(verifyZtoc(changed, ztoc));
  t.match(error, { code: 'ERR_SOCI_ZTOC_MISMATCH', data: { field: 'digest', index: 0 } });
});

t.test('verify accepts what older builders and other time zones wrote', async t => {
  const layer = fixture('pax-z6.tar.gz');
  const { ztoc } = await buildZtoc(layer, { spanSize: 262_144 });
  const local = tamper(ztoc, {
    editEntries: entries => {
      entries.forEach((entry, i) => {
        const shifted = new Date(Date.parse(entry.modTime) + 5.5 * 3600_000).toISOString().slice(0, 19);
        const fraction = /\.\d+/.exec(entry.modTime)?.[0] ?? '';
        entries[i] = { ...entry, modTime: `${shifted}${fraction}+05:30` };
      });
    },
  });
  await t.resolves(verifyZtoc(layer, local), 'times in a local zone');

  const version1 = (base: Ztoc): Ztoc => {
    const spans = Array.from({ length: base.spanCount }, (_, i) => base.span(i));
    const list = spans.map(({ index, compressedStart, uncompressedStart, bits }) => ({
      in: compressedStart + (bits === 0 ? 0 : 1),
      out: uncompressedStart,
      bits,
      window: base.window(index) as Uint8Array,
    }));
    const entries = [...base.entries()];
    return Ztoc.decode(
      encodeZtoc({
        version: base.version,
        buildToolIdentifier: base.buildToolIdentifier,
        algorithm: base.codec.algorithm,
        compressedSize: base.compressedSize,
        uncompressedSize: base.uncompressedSize,
        maxSpanId: spans.length - 1,
        // A version 1 reader hashes span 0 from byte 10 on.
        spanDigests: spans.map(({ digest, compressedEnd }, i) =>
          i === 0
            ? sha256(base === ztoc ? layer.subarray(10, compressedEnd) : named.subarray(10, compressedEnd))
            : digest,
        ),
        checkpoints: encodeGzipZinfo(base.spanSize, list, 1),
        entryCount: entries.length,
        entryAt: index => entries[index]?.fields as EntryFields,
      }),
    );
  };
  // A header with a file name, as gzip(1) writes it: 10 bytes, then the name.
  const plain = gzipSync(gunzipSync(fixture('tiny-z6.tar.gz')));
  const named = concat(
    plain.subarray(0, 3),
    Buffer.from([8]),
    plain.subarray(4, 10),
    Buffer.from('layer.tar\0'),
    plain.subarray(10),
  );
  await t.resolves(verifyZtoc(layer, version1(ztoc)), 'version 1');
  const single = version1((await buildZtoc(named)).ztoc);
  t.match(single, { spanCount: 1, impliedFirstCheckpoint: true });
  await t.resolves(verifyZtoc(named, single), 'version 1 with a gzip header of more than 10 bytes');
});
