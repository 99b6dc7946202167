/** The ztoc format: bytes to object and back, and what is refused on the way. */
import { inspect } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { Builder } from 'flatbuffers';
import t from 'tap';
import { SociError } from '../../lib/errors.js';
import { type EntryFields, type EntryType, TocEntry } from '../../lib/tar/entry.js';
import { GZIP } from '../../lib/ztoc/codec/gzip.js';
import { WINDOW_SIZE } from '../../lib/ztoc/codec/gzip-zinfo.js';
import { RAW } from '../../lib/ztoc/codec/raw.js';
import { encodeTarZinfo } from '../../lib/ztoc/codec/tar-zinfo.js';
import { encodeZtoc } from '../../lib/ztoc/encode.js';
import { cleanPath } from '../../lib/ztoc/entry-path.js';
import { Ztoc } from '../../lib/ztoc/ztoc.js';
import fc from '../property.js';
import { readEntries } from '../tar/tar-walk.js';
import { fixture, sha256 } from './fixtures.js';
import { checkpoint, DIGEST, entry, type Sample, sampleZtoc } from './sample-ztoc.js';

function errorOf(run: () => unknown): SociError {
  try {
    run();
  } catch (error) {
    if (error instanceof SociError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const codeOf = (bytes: Uint8Array): unknown => errorOf(() => Ztoc.decode(bytes)).code;

t.test("the writer's bytes are the reference's (its TestWriteZtoc)", async t => {
  const none = entry({
    name: '',
    type: '' as EntryType,
    offset: 0,
    mode: 0,
    modTime: '0001-01-01T00:00:00Z',
  });
  const bytes = encodeZtoc({
    version: '0.9',
    buildToolIdentifier: 'AWS SOCI CLI',
    algorithm: GZIP.algorithm,
    compressedSize: 2_000_000,
    uncompressedSize: 2_500_000,
    maxSpanId: 3,
    spanDigests: [],
    checkpoints: new Uint8Array(65_536),
    entryCount: 2,
    entryAt: () => none,
  });
  t.equal(bytes.length, 65_928);
  t.equal(sha256(bytes), 'sha256:eba28fdf50b1b57543f57dd051b2468c1d4f57b64d2006c75aa4de1d03e6c7ec');
});

t.test("the reference's ztocs decode, agree with their tars, and encode to the same bytes", async t => {
  for (const [name, layer] of [
    ['pax-z6.tar.gz.4194304.ztoc', gunzipSync(fixture('pax-z6.tar.gz'))],
    ['pax.tar.65536.ztoc', gunzipSync(fixture('pax-z6.tar.gz'))],
    ['tiny.tar.65536.ztoc', fixture('tiny.tar')],
  ] as const) {
    const bytes = fixture(name);
    const ztoc = Ztoc.decode(bytes, { expectedDigest: sha256(bytes) });
    t.equal(ztoc.digest, sha256(bytes));
    t.same(Buffer.compare(ztoc.encode(), bytes), 0, name);
    const fields = (list: Iterable<{ fields: EntryFields }>) =>
      [...list].map(({ fields: f }) => ({ ...plain(f) }));
    t.same(fields(ztoc.entries()), fields(readEntries(layer)), `${name}: every field of every entry`);
  }
});

function plain(f: EntryFields): EntryFields {
  return {
    name: f.name,
    type: f.type,
    offset: f.offset,
    size: f.size,
    headerOffset: f.headerOffset,
    linkname: f.linkname,
    mode: f.mode,
    uid: f.uid,
    gid: f.gid,
    uname: f.uname,
    gname: f.gname,
    modTime: f.modTime,
    devmajor: f.devmajor,
    devminor: f.devminor,
    pax: f.pax,
  };
}

const byteString = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map(bytes => Buffer.from(bytes).toString('latin1'));

const anyEntry = fc.record({
  name: byteString(60),
  type: fc.constantFrom<EntryType>('hardlink', 'symlink', 'dir', 'reg', 'char', 'block', 'fifo'),
  size: fc.oneof(fc.nat(100_000), fc.constant(0), fc.constant(5 * 2 ** 30)),
  extraBlocks: fc.nat(3),
  linkname: byteString(20),
  mode: fc.oneof(fc.nat(0o7777), fc.maxSafeInteger()),
  uid: fc.nat(0xffffffff),
  gid: fc.nat(0xffffffff),
  uname: byteString(8),
  gname: byteString(8),
  modTime: fc.constantFrom('', '2023-11-14T22:13:20.5Z', '0001-01-01T00:00:00Z'),
  devmajor: fc.oneof(fc.nat(10), fc.maxSafeInteger()),
  devminor: fc.nat(10),
  pax: fc.uniqueArray(fc.tuple(byteString(6), byteString(12)), { selector: ([key]) => key, maxLength: 3 }),
});

t.test('whatever is encoded decodes to the same', async () => {
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 12 }), fc.string(), (specs, tool) => {
      let next = 0;
      const entries = specs.map(({ extraBlocks, ...spec }) => {
        const headerOffset = next;
        const offset = headerOffset + 512 * (1 + extraBlocks);
        next = Math.ceil((offset + spec.size) / 512) * 512;
        const pax = [...spec.pax].sort(([a], [b]) => (a < b ? -1 : 1));
        return { ...spec, pax, offset, headerOffset };
      });
      const size = 100 * 2 ** 30;
      const bytes = sampleZtoc({
        entries,
        buildToolIdentifier: tool,
        algorithm: RAW.algorithm,
        compressedSize: size,
        uncompressedSize: size,
        checkpoints: encodeTarZinfo({ spanSize: 50 * 2 ** 30, size }),
        spanDigests: [DIGEST, DIGEST],
        maxSpanId: 1,
      });
      const ztoc = Ztoc.decode(bytes);
      const same = [...ztoc.entries()].every(
        ({ fields }, i) => JSON.stringify(plain(fields)) === JSON.stringify(plain(entries[i] as EntryFields)),
      );
      return same && ztoc.entryCount === entries.length && Buffer.compare(ztoc.encode(), bytes) === 0;
    }),
    { numRuns: 200 },
  );
});

t.test('spans of a gzip layer', async t => {
  const list = [checkpoint(10, 0), checkpoint(1000, 70_000, 3), checkpoint(2000, 140_000)];
  const ztoc = Ztoc.decode(sampleZtoc({ list, compressedSize: 3000, uncompressedSize: 150_000 }));
  t.match(ztoc, { spanCount: 3, spanSize: 65_536, compression: 'gzip', impliedFirstCheckpoint: false });
  t.match(ztoc.span(0), {
    compressedStart: 10,
    compressedEnd: 1000,
    uncompressedStart: 0,
    uncompressedEnd: 70_000,
  });
  t.match(ztoc.span(1), { compressedStart: 999, compressedEnd: 2000, bits: 3, uncompressedEnd: 140_000 });
  t.match(ztoc.span(2), { compressedEnd: 3000, uncompressedEnd: 150_000, digest: DIGEST });
  t.equal(ztoc.window(1)?.length, WINDOW_SIZE);
  t.same(
    [0, 69_999, 70_000, 139_999, 140_000, 149_999, 10 ** 12].map(offset => ztoc.spanOf(offset)),
    [0, 0, 1, 1, 2, 2, 2],
  );
  for (const index of [-1, 3, 0.5, Number.NaN]) {
    t.throws(() => ztoc.span(index), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
    t.throws(() => ztoc.window(index), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
  t.throws(() => ztoc.spanOf(-1), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  t.throws(() => ztoc.entry(1), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});

t.test('a last span beyond the archive is empty; checkpoints may repeat at one output offset', async t => {
  const list = [checkpoint(10, 0), checkpoint(30, 0), checkpoint(1000, 140_000)];
  const ztoc = Ztoc.decode(sampleZtoc({ list, uncompressedSize: 130_000 }));
  t.match(ztoc.span(0), { uncompressedStart: 0, uncompressedEnd: 0 });
  t.match(ztoc.span(2), { uncompressedStart: 140_000, uncompressedEnd: 140_000 });
  t.equal(ztoc.spanOf(0), 1, 'the last of several at one offset holds the data');
  t.same(Buffer.compare(ztoc.encode(), ztoc.bytes), 0);
});

t.test('spans of an uncompressed layer', async t => {
  const plainTar = (size: number, uncompressedSize: number, spans: number, spanSize = 1000): Sample => ({
    algorithm: RAW.algorithm,
    compressedSize: size,
    uncompressedSize,
    entries: [],
    checkpoints: encodeTarZinfo({ spanSize, size }),
    spanDigests: Array.from({ length: spans }, () => DIGEST),
    maxSpanId: spans - 1,
  });
  const ztoc = Ztoc.decode(sampleZtoc(plainTar(2500, 2048, 3)));
  t.match(ztoc.span(1), { compressedStart: 1000, compressedEnd: 2000, uncompressedStart: 1000, bits: 0 });
  t.match(ztoc.span(2), { compressedStart: 2000, compressedEnd: 2500, uncompressedEnd: 2048 });
  t.equal(ztoc.window(0), undefined);
  t.equal(ztoc.spanOf(2000), 2);
  t.equal(
    Ztoc.decode(sampleZtoc(plainTar(2000, 2000, 2))).spanOf(2000),
    1,
    'an exact multiple has no span after it',
  );
  const none = Ztoc.decode(sampleZtoc(plainTar(0, 0, 0)));
  t.equal(none.spanCount, 0);
  t.throws(() => none.spanOf(0), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  t.equal(codeOf(sampleZtoc(plainTar(2500, 2501, 3))), 'ERR_SOCI_ZTOC_INVALID', 'more tar than layer');
  t.equal(codeOf(sampleZtoc({ ...plainTar(2500, 2000, 3), compressedSize: 2400 })), 'ERR_SOCI_ZTOC_INVALID');
  t.equal(codeOf(sampleZtoc(plainTar(2500, 2000, 3, 0))), 'ERR_SOCI_ZTOC_INVALID', 'spans of no bytes');
  const manySpans = errorOf(() => Ztoc.decode(sampleZtoc(plainTar(2 ** 40, 0, 1, 1))));
  t.match(manySpans, { code: 'ERR_SOCI_LIMIT', data: { limit: 'maxSpans' } });
});

t.test('blobs of version 1 imply the first checkpoint', async t => {
  const only = Ztoc.decode(sampleZtoc({ zinfoVersion: 1 }));
  t.match(only, { spanCount: 1, impliedFirstCheckpoint: true });
  t.match(only.span(0), { compressedStart: 10, uncompressedStart: 0, bits: 0 });
  t.same(only.window(0), new Uint8Array(WINDOW_SIZE));
  const list = [checkpoint(10, 0), checkpoint(1000, 70_000, 7, 0xaa)];
  const two = Ztoc.decode(sampleZtoc({ zinfoVersion: 1, list }));
  t.match(two.span(1), { compressedStart: 999, uncompressedStart: 70_000, bits: 7 });
  t.ok(two.window(1)?.every(byte => byte === 0xaa));
  t.same(Buffer.compare(two.encode(), two.bytes), 0, 'and stay version 1');
});

t.test('paths are cleaned lexically and the last entry wins', async t => {
  t.equal(cleanPath('./usr//bin/../x/'), '/usr/x');
  t.equal(cleanPath('../../../etc'), '/etc', "'..' stays below the root");
  for (const root of ['', '/', './', '..', 'a/..']) t.equal(cleanPath(root), '/', JSON.stringify(root));
  t.equal(cleanPath('.wh..wh..opq'), '/.wh..wh..opq');
  t.equal(cleanPath('...'), '/...');
  const names = ['./', 'a/', 'a/f', '../x', 'n\xff', './a//f', '__proto__'];
  const entries = names.map((name, i) => entry({ name, offset: 512 * (i + 1), headerOffset: 512 * i }));
  const ztoc = Ztoc.decode(sampleZtoc({ entries }));
  t.equal(ztoc.locate('a/f')?.name, './a//f');
  t.equal(ztoc.locate('/a/')?.name, 'a/');
  t.equal(ztoc.locate('/')?.name, './');
  t.equal(ztoc.locate('x')?.name, '../x');
  t.equal(ztoc.locate('__proto__')?.name, '__proto__');
  t.equal(ztoc.locate('constructor'), undefined);
  t.same(ztoc.locate(new Uint8Array([0x6e, 0xff]))?.rawName, new Uint8Array([0x6e, 0xff]), 'by raw bytes');
  t.equal(ztoc.locate('n\ufffd'), undefined, 'a replacement character is not the byte it stands for');
});

t.test('locateRange gives half-open ranges', async t => {
  const list = [checkpoint(10, 0), checkpoint(1000, 70_144), checkpoint(2000, 140_288)];
  const file = entry({ offset: 512, size: 69_632 });
  const second = entry({ name: 'b', offset: 70_656, size: 60_000, headerOffset: 70_144 });
  const ztoc = Ztoc.decode(sampleZtoc({ list, entries: [file, second] }));
  const first = ztoc.entry(0);
  t.same(
    ztoc.locateRange(first),
    { start: 512, end: 70_144, firstSpan: 0, endSpan: 1 },
    'ends on a span boundary',
  );
  t.same(ztoc.locateRange(first, 10, 10), { start: 522, end: 522, firstSpan: 0, endSpan: 0 }, 'nothing');
  t.same(ztoc.locateRange(ztoc.entry(1), 59_999), {
    start: 130_655,
    end: 130_656,
    firstSpan: 1,
    endSpan: 2,
  });
  for (const [start, end] of [
    [-1, 0],
    [5, 4],
    [0, 69_633],
    [0.5, 1],
    [Number.NaN, 1],
  ] as const) {
    t.throws(() => ztoc.locateRange(first, start, end), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
});

t.test('entries can be shown: as JSON and on the console', t => {
  const fields = { name: 'caf\u00c3\u00a9', size: 3, linkname: 'x', mode: 0o4755, uid: 7, gid: 8 };
  const shown = new TocEntry(entry({ ...fields, pax: [['SCHILY.xattr.user.k', 'v\u00ff']] }));
  const expected = {
    ...entry(fields),
    name: 'café',
    pax: { 'SCHILY.xattr.user.k': 'v\ufffd' },
  };
  t.same(JSON.parse(JSON.stringify(shown)), expected);
  t.match(
    inspect(shown),
    /^TocEntry \{\n {2}name: 'café',\n {2}type: 'reg',\n {2}offset: 512,\n {2}size: 3,/,
  );
  t.match(inspect([shown], { depth: 0 }), '[ [TocEntry] ]');
  t.end();
});

t.test('fields that a later version may add are passed over', async t => {
  const known = Ztoc.decode(sampleZtoc());
  const builder = new Builder(1024);
  const text = (value: string) => builder.createString(value);
  const offsets = (list: readonly number[]) => {
    builder.startVector(4, list.length, 4);
    for (const offset of [...list].reverse()) builder.addOffset(offset);
    return builder.endVector();
  };
  const [name, type, extra] = [text('future'), text('reg'), text('extra')];
  builder.startObject(20);
  builder.addFieldOffset(0, name, 0);
  builder.addFieldOffset(1, type, 0);
  builder.addFieldInt64(2, 512n, 0n);
  builder.addFieldOffset(19, extra, 0);
  const metadata = offsets([builder.endObject()]);
  builder.startObject(3);
  builder.addFieldOffset(0, metadata, 0);
  builder.addFieldInt64(2, 7n, 0n);
  const toc = builder.endObject();
  const digests = offsets([text(DIGEST)]);
  const blob = builder.createByteVector(new Uint8Array([1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]));
  builder.startObject(9);
  builder.addFieldOffset(2, digests, 0);
  builder.addFieldOffset(3, blob, 0);
  builder.addFieldInt8(8, 1, 0);
  const info = builder.endObject();
  const version = text('0.9');
  builder.startObject(12);
  builder.addFieldOffset(0, version, 0);
  builder.addFieldInt64(2, 5000n, 0n);
  builder.addFieldInt64(3, 2048n, 0n);
  builder.addFieldOffset(4, toc, 0);
  builder.addFieldOffset(5, info, 0);
  builder.addFieldInt32(11, 1, 0);
  builder.finish(builder.endObject());
  const ztoc = Ztoc.decode(builder.asUint8Array());
  t.match(ztoc.entry(0), {
    name: 'future',
    type: 'reg',
    linkname: '',
    modTime: '',
    mtimeMs: -62_135_596_800_000,
  });
  t.equal(ztoc.buildToolIdentifier, '', 'an absent string is empty');
  t.equal(ztoc.version, known.version);
  t.ok(Ztoc.decode(ztoc.encode()), 'and encodes to what this version knows');
});

t.test('entries in any order come out in the order of the tar', async t => {
  const [a, b, c] = [0, 1, 2].map(i => entry({ name: `${i}`, offset: 512 * (i + 1), headerOffset: 512 * i }));
  const ztoc = Ztoc.decode(sampleZtoc({ entries: [c, a, b] as EntryFields[] }));
  t.same(
    [...ztoc.entries()].map(({ name }) => name),
    ['0', '1', '2'],
  );
});

t.test('a ztoc that contradicts itself is refused', async t => {
  const two = (second: Parameters<typeof checkpoint>) => ({
    list: [checkpoint(10, 0), checkpoint(...second)],
  });
  const strayWindow = checkpoint(10, 0);
  strayWindow.window[0] = 1;
  const earlyWindow = checkpoint(1000, 1000);
  earlyWindow.window[WINDOW_SIZE - 1001] = 1;
  const after = entry({ name: 'b', offset: 1024 });
  const cases: Record<string, Sample> = {
    'max span id': { maxSpanId: 1 },
    'too few digests': { spanDigests: [] },
    'too many digests': { spanDigests: [DIGEST, DIGEST] },
    'a digest of another kind': { spanDigests: [`sha512:${'0'.repeat(128)}`] },
    'a digest in capitals': { spanDigests: [`sha256:${'A'.repeat(64)}`] },
    'a digest cut short': { spanDigests: [DIGEST.slice(0, -1)] },
    'inputs out of order': two([10, 100_000]),
    'inputs descending': { list: [checkpoint(100, 0), checkpoint(99, 100)] },
    'outputs descending': { list: [checkpoint(10, 0), checkpoint(1000, 5000), checkpoint(2000, 4000)] },
    'a first checkpoint inside the stream': { list: [checkpoint(10, 512)] },
    'a checkpoint in the gzip header': { list: [checkpoint(9, 0)] },
    'a first checkpoint whose byte belongs to the header': { list: [checkpoint(10, 0, 1)] },
    'a negative input': { list: [checkpoint(-5, 0)] },
    'a checkpoint behind the layer': two([2 ** 20, 100_000]),
    'nine bits': two([1000, 100_000, 9]),
    'more output than deflate can hold': two([100, 2 ** 21]),
    'a window before the stream': { list: [strayWindow] },
    'a window that begins too early': { list: [checkpoint(10, 0), earlyWindow] },
    'negative sizes': { compressedSize: -1 },
    'a negative tar': { uncompressedSize: -1 },
    'overlapping entries': { entries: [entry({ size: 513 }), after] },
    'entries at one offset': { entries: [entry(), entry({ name: 'b' })] },
    'an entry without a header': { entries: [entry({ offset: 0 })] },
    'an unaligned entry': { entries: [entry({ offset: 600 })] },
    'a negative offset': { entries: [entry({ offset: -512 })] },
    'a negative size': { entries: [entry({ size: -1 })] },
    'an entry beyond the tar': { entries: [entry({ size: 2 ** 22 })] },
    'a huge size': { entries: [entry({ size: Number.MAX_SAFE_INTEGER })] },
    'an unknown type': { entries: [entry({ type: 'socket' as EntryType })] },
    'a novel for a time': { entries: [entry({ modTime: 'x'.repeat(65) })] },
  };
  for (const [what, sample] of Object.entries(cases)) {
    const error = errorOf(() => Ztoc.decode(sampleZtoc(sample)));
    t.equal(error.code, 'ERR_SOCI_ZTOC_INVALID', `${what}: ${error.message}`);
  }
});

t.test('what is not a ztoc is refused', async t => {
  t.equal(codeOf(new Uint8Array(0)), 'ERR_SOCI_ZTOC_FORMAT');
  t.equal(codeOf(new Uint8Array(3)), 'ERR_SOCI_ZTOC_FORMAT');
  t.equal(codeOf(Buffer.from('{"schemaVersion":2}')), 'ERR_SOCI_ZTOC_FORMAT');
  t.equal(codeOf(new Uint8Array(4096).fill(0xff)), 'ERR_SOCI_ZTOC_FORMAT');
  t.match(
    errorOf(() => Ztoc.decode(sampleZtoc({ version: '1.0' }))),
    {
      code: 'ERR_SOCI_ZTOC_FORMAT',
      data: { expected: '0.9', found: '1.0' },
    },
  );
  for (const checkpoints of [
    new Uint8Array(0),
    new Uint8Array(11),
    new Uint8Array(12), // no checkpoint: the reference takes this and reads list[0]
    new Uint8Array([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]),
    new Uint8Array([0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0]),
    // 32785 * this overflows 32 bits to 0: the reference reads far beyond the blob.
    new Uint8Array([0x01, 0x00, 0x02, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]),
    new Uint8Array(12 + 32_785 + 1).fill(1, 0, 1),
  ]) {
    t.equal(codeOf(sampleZtoc({ checkpoints })), 'ERR_SOCI_ZTOC_FORMAT');
  }
});

t.test('the digest, when it is known, is checked first', async t => {
  const bytes = sampleZtoc();
  t.match(
    errorOf(() => Ztoc.decode(bytes, { expectedDigest: DIGEST })),
    {
      code: 'ERR_SOCI_ZTOC_DIGEST',
      data: { expected: DIGEST, found: sha256(bytes) },
    },
  );
  t.throws(() => Ztoc.decode(bytes, { expectedDigest: 'md5:0' }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});

t.test('limits', async t => {
  const bytes = sampleZtoc({ entries: [entry(), entry({ offset: 1024 + 8192 })] });
  for (const [name, value] of Object.entries({ maxZtocBytes: 1000, maxEntries: 1, maxHeaderBytes: 8192 })) {
    const error = errorOf(() => Ztoc.decode(bytes, { limits: { [name]: value } }));
    t.match(error, { code: 'ERR_SOCI_LIMIT', data: { limit: name, expected: value } }, name);
  }
  for (const value of [0, -1, 1.5, Number.NaN]) {
    t.throws(() => Ztoc.decode(bytes, { limits: { maxEntries: value } }), {
      code: 'ERR_SOCI_INVALID_ARGUMENT',
    });
  }
});

t.test('truncated and damaged ztocs give an error or a consistent object', async t => {
  const golden = fixture('pax-z6.tar.gz.4194304.ztoc');
  const consistent = (bytes: Uint8Array): string => {
    try {
      const ztoc = Ztoc.decode(bytes);
      let end = 0;
      for (const found of ztoc.entries()) {
        if (found.headerOffset < end || found.offset < found.headerOffset + 512) return 'entries overlap';
        end = found.offset;
        for (const field of Object.values(plain(found.fields)))
          if (field === undefined) return 'a field is missing';
        for (const { key } of found.pax) ztoc.locate(key);
        ztoc.locate(found.rawName);
      }
      for (let i = 0; i < ztoc.spanCount; i += 1) {
        const span = ztoc.span(i);
        if (span.compressedEnd <= span.compressedStart) return 'an empty span';
        if (span.uncompressedEnd < span.uncompressedStart) return 'a negative span';
      }
      Ztoc.decode(ztoc.encode());
      return 'consistent';
    } catch (error) {
      if (error instanceof SociError && /^ERR_SOCI_(ZTOC_|LIMIT)/.test(error.code)) return 'refused';
      throw error;
    }
  };
  const seen = new Set<string>();
  for (let length = 0; length < golden.length; length += 997) seen.add(consistent(golden.slice(0, length)));
  t.same([...seen], ['refused'], 'no prefix of a ztoc is a ztoc');

  // The window is most of the bytes and of no interest here: damage what is around it.
  const places = Array.from(golden.keys()).filter(at => golden[at] !== 0 || at < 512);
  const edit = fc.tuple(
    fc.constantFrom(...places),
    fc.constantFrom<'flip' | 'ones' | 'zero' | 'huge'>('flip', 'ones', 'zero', 'huge'),
    fc.nat(7),
  );
  const verdicts: Record<string, number> = {};
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), edits => {
      const bytes = golden.slice();
      for (const [at, kind, bit] of edits) {
        if (kind === 'flip') bytes[at] = (bytes[at] as number) ^ (1 << bit);
        else bytes.fill(kind === 'zero' ? 0 : kind === 'ones' ? 0xff : 0x7f, at, at + 4);
      }
      const verdict = consistent(bytes);
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      return verdict === 'refused' || verdict === 'consistent';
    }),
    { numRuns: 400 },
  );
  t.ok((verdicts['refused'] ?? 0) > 20, `some are refused: ${JSON.stringify(verdicts)}`);
});

t.test('offsets that overlap or point in circles do not unfold without end', async t => {
  // 2000 entries that share one vector of 2000 PAX records: 4 million records in 100 KB.
  const builder = new Builder(1 << 18);
  const [name, type, time] = [
    builder.createString('n'),
    builder.createString('reg'),
    builder.createString(''),
  ];
  const key = builder.createString('k'.repeat(1000));
  builder.startObject(2);
  builder.addFieldOffset(0, key, 0);
  builder.addFieldOffset(1, key, 0);
  const record = builder.endObject();
  builder.startVector(4, 2000, 4);
  for (let i = 0; i < 2000; i += 1) builder.addOffset(record);
  const records = builder.endVector();
  const tables: number[] = [];
  for (let i = 0; i < 2000; i += 1) {
    builder.startObject(14);
    builder.addFieldOffset(0, name, 0);
    builder.addFieldOffset(1, type, 0);
    builder.addFieldInt64(2, BigInt(2 ** 22 * (i + 1)), 0n);
    builder.addFieldOffset(10, time, 0);
    builder.addFieldOffset(13, records, 0);
    tables.push(builder.endObject());
  }
  builder.startVector(4, tables.length, 4);
  for (const table of tables.reverse()) builder.addOffset(table);
  const metadata = builder.endVector();
  builder.startObject(1);
  builder.addFieldOffset(0, metadata, 0);
  const toc = builder.endObject();
  const digest = builder.createString(DIGEST);
  builder.startVector(4, 1, 4);
  builder.addOffset(digest);
  const digests = builder.endVector();
  const blob = builder.createByteVector(new Uint8Array([1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]));
  builder.startObject(4);
  builder.addFieldOffset(2, digests, 0);
  builder.addFieldOffset(3, blob, 0);
  const info = builder.endObject();
  const version = builder.createString('0.9');
  builder.startObject(6);
  builder.addFieldOffset(0, version, 0);
  builder.addFieldInt64(2, BigInt(2 ** 40), 0n);
  builder.addFieldInt64(3, BigInt(2 ** 40), 0n);
  builder.addFieldOffset(4, toc, 0);
  builder.addFieldOffset(5, info, 0);
  builder.finish(builder.endObject());
  const error = errorOf(() => Ztoc.decode(builder.asUint8Array()));
  t.match(error, { code: 'ERR_SOCI_ZTOC_INVALID', message: /overlap so much/ });
});

t.test('what an entry holds fits the headers it was read from', async t => {
  const refused = (fields: Partial<EntryFields>, what: RegExp): void => {
    const bytes = sampleZtoc({ entries: [entry({ offset: 1024, ...fields })] });
    t.match(
      errorOf(() => Ztoc.decode(bytes)),
      { code: 'ERR_SOCI_ZTOC_INVALID', message: what, data: { index: 0 } },
    );
  };
  const records = (count: number): [string, string][] =>
    Array.from({ length: count }, (_, i) => [i.toString(36).padStart(3, '0'), '']);
  refused({ name: 'n'.repeat(1025) }, /names of entry 0 need 1025 bytes of headers, there are 1024/);
  refused({ linkname: 'n'.repeat(600), uname: 'u'.repeat(600) }, /names of entry 0 need/);
  refused({ pax: [['k', 'v'.repeat(1020)]] }, /PAX records of entry 0 need 1025 bytes/);
  refused({ pax: records(300) }, /PAX records of entry 0 need 1500 bytes/);
  const name = 'n'.repeat(1000);
  const full = entry({ offset: 1024, name, pax: [['path', name]] });
  t.equal(
    Ztoc.decode(sampleZtoc({ entries: [full] })).entry(0).name,
    name,
    'a name may also be a PAX record',
  );
});

t.test('200,000 entries', async t => {
  const count = 200_000;
  const bytes = sampleZtoc({
    uncompressedSize: 2 ** 29,
    entries: Array.from({ length: count }, (_, i) =>
      entry({ name: `usr/lib/node_modules/package-${i % 1000}/file-${i}.js`, offset: 512 * (i + 1) }),
    ),
  });
  const ztoc = Ztoc.decode(bytes);
  t.equal(ztoc.entryCount, count);
  t.equal(ztoc.locate('/usr/lib/node_modules/package-999/file-199999.js')?.offset, 512 * count);
  t.equal(ztoc.entry(123_456).headerOffset, 512 * 123_456);
});
