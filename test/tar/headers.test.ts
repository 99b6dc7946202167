/** Tar headers as Go's archive/tar reads them: every rule that decides what a ztoc records. */
import { buffer } from 'node:stream/consumers';
import t from 'tap';
import { type Header, pack } from 'tar-stream';
import { SociError } from '../../lib/errors.js';
import type { TocEntry } from '../../lib/tar/entry.js';
import { compareEntry, parseEntryHeader, verifyEntry } from '../../lib/tar/entry-header.js';
import { parseDecimal, parseNumeric, parseOctal } from '../../lib/tar/numeric.js';
import { formatTime, parsePaxTime, parseTime } from '../../lib/tar/time.js';
import fc from '../property.js';
import {
  base256,
  bytes,
  concat,
  END_OF_ARCHIVE,
  GNU,
  gnuLong,
  header,
  padded,
  pax,
  paxRecord,
  V7,
} from './tar-builder.js';
import { readEntries } from './tar-walk.js';

function only(...parts: readonly Uint8Array[]): TocEntry {
  const entries = readEntries(concat(...parts, END_OF_ARCHIVE));
  t.equal(entries.length, 1, 'one entry');
  return entries[0] as TocEntry;
}

function errorOf(run: () => unknown): SociError {
  try {
    run();
  } catch (error) {
    if (error instanceof SociError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

t.test('octal fields', async t => {
  const octal = (text: string) => parseOctal(bytes(text), 0, text.length);
  t.equal(octal('0000644\0'), 0o644);
  t.equal(octal(' 644 \0 '), 0o644, 'padded with spaces and NULs on both sides');
  t.equal(octal('\0 \x00644\0'), 0o644);
  t.equal(octal('        '), 0, 'nothing is zero');
  t.equal(octal('644\0junk'), 0o644, 'a NUL ends the number, whatever follows');
  t.equal(octal('77777777'), 0o77777777, 'no terminator needed');
  t.equal(octal('6 4'), undefined);
  t.equal(octal('648'), undefined);
  t.equal(octal('-1'), undefined);
});

t.test('base-256 fields', async t => {
  const numeric = (value: bigint, width: number) => parseNumeric(base256(value, width), 0, width);
  t.equal(numeric(0n, 8), 0);
  t.equal(numeric(123456789n, 8), 123456789);
  t.equal(numeric(-1n, 8), -1);
  t.equal(numeric(-(2n ** 40n), 12), -(2 ** 40));
  t.equal(numeric(2n ** 53n, 12), 2n ** 53n, 'a bigint where a number would lose digits');
  t.equal(numeric(2n ** 63n - 1n, 12), 2n ** 63n - 1n);
  t.equal(numeric(2n ** 63n, 12), undefined, 'beyond int64');
  t.equal(numeric(-(2n ** 63n), 12), -(2n ** 63n));
  t.equal(numeric(-(2n ** 63n) - 1n, 12), undefined);
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), value => {
      return BigInt(numeric(value, 12) as number | bigint) === value;
    }),
  );
});

t.test('decimal fields of PAX records', async t => {
  t.equal(parseDecimal('42'), 42);
  t.equal(parseDecimal('+42'), 42);
  t.equal(parseDecimal('-042'), -42);
  t.equal(parseDecimal('9223372036854775807'), 2n ** 63n - 1n);
  t.equal(parseDecimal('-9223372036854775808'), -(2n ** 63n));
  t.equal(parseDecimal('0'.repeat(100_000)), 0);
  for (const bad of ['', '+', '-', '1_0', ' 1', '1 ', '0x1', '9223372036854775808', '1'.repeat(1_000_000)]) {
    t.equal(parseDecimal(bad), undefined, bad.slice(0, 24));
  }
});

t.test('times are written as Go writes them', async t => {
  t.equal(formatTime(0, 0), '1970-01-01T00:00:00Z');
  t.equal(formatTime(1700000000, 0), '2023-11-14T22:13:20Z');
  t.equal(formatTime(1700000000, 120_000_000), '2023-11-14T22:13:20.12Z', 'trailing zeros trimmed');
  t.equal(formatTime(0, 1), '1970-01-01T00:00:00.000000001Z');
  t.equal(formatTime(-1, 999_999_999), '1969-12-31T23:59:59.999999999Z');
  t.equal(formatTime(-62_135_596_800, 0), '0001-01-01T00:00:00Z', "Go's zero time");
  t.equal(formatTime(-62_167_219_200, 0), '0000-01-01T00:00:00Z');
  t.equal(formatTime(-62_167_219_201, 0), '', 'before year 0 there is no text');
  t.equal(formatTime(253_402_300_799, 999_999_999), '9999-12-31T23:59:59.999999999Z');
  t.equal(formatTime(253_402_300_800, 0), '');
  t.equal(formatTime(2n ** 62n, 0), '');
  t.equal(formatTime(951_782_400, 0), '2000-02-29T00:00:00Z');

  t.same(parseTime('2023-11-14T22:13:20Z'), { seconds: 1700000000, nanoseconds: 0 });
  t.same(parseTime('2023-11-14T23:13:20.5+01:00'), { seconds: 1700000000, nanoseconds: 500_000_000 });
  t.same(parseTime('2023-11-14T17:43:20-04:30'), { seconds: 1700000000, nanoseconds: 0 });
  const noTimes = ['', 'x', '2023-02-29T00:00:00Z', '2023-13-01T00:00:00Z', '2023-01-01T24:00:00Z'];
  for (const bad of [...noTimes, '2023-01-01 00:00:00Z', '2023-01-01T00:00:00'])
    t.equal(parseTime(bad), undefined, bad);

  fc.assert(
    fc.property(
      fc.integer({ min: -62_167_219_200, max: 253_402_300_799 }),
      fc.integer({ min: 0, max: 999_999_999 }),
      (seconds, nanoseconds) => {
        const text = formatTime(seconds, nanoseconds);
        const back = parseTime(text);
        if (back?.seconds !== seconds || back.nanoseconds !== nanoseconds) return false;
        // Date knows the calendar, if not the nanoseconds.
        return text.slice(0, 19) === new Date(seconds * 1000).toISOString().slice(0, 19);
      },
    ),
  );
});

t.test('PAX times', async t => {
  t.same(parsePaxTime('1.5'), { seconds: 1, nanoseconds: 500_000_000 });
  t.same(parsePaxTime('1'), { seconds: 1, nanoseconds: 0 });
  t.same(parsePaxTime('1.'), { seconds: 1, nanoseconds: 0 });
  t.same(parsePaxTime('1.1234567899'), { seconds: 1, nanoseconds: 123_456_789 }, 'cut, not rounded');
  t.same(parsePaxTime('-1.5'), { seconds: -2, nanoseconds: 500_000_000 });
  t.same(parsePaxTime('-0.5'), { seconds: -1, nanoseconds: 500_000_000 }, 'the sign counts although -0 is 0');
  for (const bad of ['', '.5', '1.5x', '1.-5', 'x', '1e3', '1.5.5'])
    t.equal(parsePaxTime(bad), undefined, bad);
});

t.test('a ustar header', async t => {
  const entry = only(
    header({ name: 'b/c', prefix: 'a', size: 3, devmajor: '0000005\0', uname: 'who', mode: '0004755\0' }),
    padded('abc'),
  );
  t.match(entry, { name: 'a/b/c', type: 'reg', offset: 512, size: 3, headerOffset: 0, mode: 0o4755 });
  t.match(entry, { uid: 1000, gid: 1000, uname: 'who', gname: 'group', devmajor: 5, devminor: 0 });
  t.match(entry, { modTime: '1970-01-01T00:00:15Z', mtimeMs: 15_000, pax: [] });
});

t.test('every type that a ztoc has', async t => {
  const types = {
    '0': 'reg',
    '\0': 'reg',
    '1': 'hardlink',
    '2': 'symlink',
    '3': 'char',
    '4': 'block',
    '5': 'dir',
  };
  for (const [type, expected] of Object.entries({ ...types, '6': 'fifo' })) {
    t.equal(only(header({ type, linkname: 'to' })).type, expected, JSON.stringify(type));
  }
});

t.test('the old NUL type is a directory when the final name ends in a slash', async t => {
  t.equal(only(header({ type: '\0', name: 'd/', magic: V7 })).type, 'dir');
  t.equal(only(pax([['path', 'd/']]), header({ type: '\0', name: 'd' })).type, 'dir', 'PAX decides');
  t.equal(only(pax([['path', 'd']]), header({ type: '\0', name: 'd/' })).type, 'reg');
  t.equal(only(gnuLong('L', 'e/'), header({ type: '\0', name: 'e', magic: GNU })).type, 'dir');
});

t.test('V7 has no owner names, GNU no prefix, star a shorter one', async t => {
  t.match(only(header({ magic: V7, raw: [[265, 'ghost']] })), { uname: '', name: 'file' });
  t.match(only(header({ magic: 'ustar\x00xx' })), { uname: 'user' }, 'the version is not looked at');
  t.match(only(header({ magic: 'ustar 00' })), { uname: '' }, "GNU's magic with another version is V7");
  t.match(only(header({ magic: GNU, raw: [[345, '00000000017\x0000000000017\0']] })), { name: 'file' });
  const star = header({
    prefix: 'p'.repeat(131),
    raw: [
      [476, '00000000000\x0000000000000\0'],
      [508, 'tar\0'],
    ],
  });
  t.equal(only(star).name, `${'p'.repeat(131)}/file`);
  const badStar = header({
    raw: [
      [476, 'x'],
      [508, 'tar\0'],
    ],
  });
  t.match(
    errorOf(() => only(badStar)),
    { code: 'ERR_SOCI_TAR_HEADER', data: { field: 'atime', offset: 0 } },
  );
});

t.test("GNU headers of Go's writer before 1.8 had a prefix where atime lies", async t => {
  t.equal(only(header({ magic: GNU, prefix: 'some/dir' })).name, 'some/dir/file');
  t.equal(only(header({ magic: GNU, prefix: 'n\xe9' })).name, 'file', 'only if it is ASCII');
});

t.test('checksums, summed as unsigned or signed chars', async t => {
  const name = 'caf\xe9';
  t.equal(only(header({ name, checksum: 'unsigned' })).fields.name, name);
  t.equal(only(header({ name, checksum: 'signed' })).fields.name, name);
  const error = errorOf(() => only(header({ checksum: '0000000\0' })));
  t.match(error, { code: 'ERR_SOCI_TAR_HEADER', data: { field: 'checksum', offset: 0 } });
  t.match(error.message, /offset 0 of the tar stream: its checksum field holds .*, expected \d+/);
  const second = concat(header({ size: 1 }), padded('a'), header({ checksum: 'xxxxxxx\0' }));
  t.match(
    errorOf(() => readEntries(second)),
    { data: { offset: 1024 } },
  );
});

t.test('names are bytes', async t => {
  const entry = only(header({ name: bytes('b\xff\xfe'), linkname: '\xe9', type: '2' }));
  t.same(entry.rawName, bytes('b\xff\xfe'));
  t.equal(entry.name, 'b\ufffd\ufffd');
  t.same(entry.rawLinkname, bytes('\xe9'));
  t.equal(only(header({ name: 'n'.repeat(100) })).name, 'n'.repeat(100), 'without a NUL at the end');
  t.equal(
    only(header({ name: '../../etc/passwd' })).name,
    '../../etc/passwd',
    'kept raw: locate() cleans it',
  );
});

t.test('PAX overrides ustar, and every record is kept', async t => {
  const records: [string, string][] = [
    ['uid', '4294967296'],
    ['gid', '-1'],
    ['mtime', '-1.25'],
    ['path', 'long/n\xc3\xa4me'],
    ['linkpath', 'target'],
    ['uname', 'u'],
    ['gname', 'g'],
    ['size', '3'],
    ['SCHILY.xattr.user.x', 'a\0\xff=b\n'],
    ['comment', ''],
    ['atime', '5'],
  ];
  const entry = only(pax(records), header({ size: 0 }), padded('abc'));
  t.match(entry, { name: 'long/näme', linkname: 'target', uname: 'u', gname: 'g', size: 3, offset: 1536 });
  t.match(entry, { uid: 0, gid: 0xffffffff, modTime: '1969-12-31T23:59:58.75Z' });
  t.same(
    entry.pax.map(record => record.key),
    records.map(([key]) => key).sort(),
    'sorted',
  );
  t.same(entry.pax.find(({ key }) => key.startsWith('SCHILY'))?.value, bytes('a\0\xff=b\n'), 'raw values');
});

t.test('an empty PAX value keeps the ustar field but stays a record', async t => {
  const entry = only(
    pax([
      ['path', ''],
      ['mtime', ''],
      ['size', ''],
      ['uid', ''],
    ]),
    header({ name: 'kept' }),
  );
  t.match(entry, { name: 'kept', modTime: '1970-01-01T00:00:15Z', uid: 1000 });
  t.same(entry.pax.length, 4);
});

t.test('which header wins', async t => {
  t.equal(
    only(gnuLong('L', 'gnu'), pax([['path', 'pax']]), header()).name,
    'gnu',
    'GNU over PAX, in either order',
  );
  t.equal(only(pax([['path', 'pax']]), gnuLong('L', 'gnu'), header()).name, 'gnu');
  t.equal(only(gnuLong('K', 'there'), pax([['linkpath', 'pax']]), header({ type: '2' })).linkname, 'there');
  t.equal(only(gnuLong('L', ''), header()).name, 'file', 'an empty long name is none');
  const replaced = only(
    pax([
      ['path', 'one'],
      ['uname', 'x'],
    ]),
    pax([['gname', 'y']]),
    header(),
  );
  t.match(replaced, { name: 'file', uname: 'user', gname: 'y' }, 'a second x header replaces the first');
  t.equal(only(pax([['path', 'one']]), pax([]), header()).name, 'file', 'even an empty one');
  t.equal(
    only(
      pax([
        ['path', 'one'],
        ['path', 'two'],
      ]),
      header(),
    ).name,
    'two',
    'the last of equal keys',
  );
  const [, second] = readEntries(
    concat(pax([['path', 'one']]), gnuLong('K', 'x'), header(), header(), END_OF_ARCHIVE),
  );
  t.match(second, { name: 'file', linkname: '', pax: [] }, 'extensions hold for one entry');
});

t.test('malformed PAX headers are refused with their offset', async t => {
  const bad: Record<string, string> = {
    'no length': 'path=x\n',
    'no newline': '9 path=xx',
    'length beyond the body': '99 path=x\n',
    'length too short': '4 a=\n',
    'length inside the length': '00007 a',
    'no equals sign': '8 path1\n',
    'empty key': '6 =ab\n',
    'NUL in a key': '8 a\0b=c\n',
    'NUL in a path': paxRecord('path', 'a\0b'),
    'NUL in a uname': paxRecord('uname', '\0'),
    'a uid that is no number': paxRecord('uid', '1x'),
    'an mtime that is no time': paxRecord('mtime', 'yesterday'),
    'an atime that is no time': paxRecord('atime', 'yesterday'),
    'sparse map out of order': paxRecord('GNU.sparse.numbytes', '1'),
  };
  for (const [what, body] of Object.entries(bad)) {
    const error = errorOf(() => only(pax(body), header()));
    t.equal(error.code, 'ERR_SOCI_TAR_HEADER', what);
    t.ok(Number(error.data['offset']) >= 512, `${what}: ${error.message}`);
  }
  const second = errorOf(() => only(pax(`${paxRecord('a', 'b')}junk`), header()));
  t.equal(second.data['offset'], 512 + paxRecord('a', 'b').length, 'the offset is that of the bad record');
  t.ok(only(pax([['comment', 'a\0b']]), header()), 'other values may hold a NUL');
});

t.test('extensions of more than 1 MiB, and negative sizes, are refused', async t => {
  const long = header({ type: 'x', size: 2 ** 20 + 1 });
  t.match(
    errorOf(() => readEntries(long)),
    { code: 'ERR_SOCI_TAR_HEADER' },
  );
  const fits = only(pax([['comment', 'c'.repeat(2 ** 20 - 20)]]), header());
  t.equal(fits.pax.length, 1);
  const negative = header({ size: base256(-1n, 12) });
  t.match(
    errorOf(() => readEntries(negative)),
    { code: 'ERR_SOCI_TAR_HEADER', data: { field: 'size' } },
  );
  t.match(
    errorOf(() => only(pax([['size', '-5']]), header())),
    { code: 'ERR_SOCI_TAR_HEADER' },
  );
  t.match(
    errorOf(() => only(header({ size: base256(-1n, 12), type: 'x' }))),
    { code: 'ERR_SOCI_TAR_HEADER' },
  );
});

t.test('huge sizes', async t => {
  const five = 5 * 2 ** 30;
  t.equal(only(header({ size: five })).size, five, '5 GiB in octal');
  t.equal(only(header({ size: base256(2n ** 40n, 12) })).size, 2 ** 40, 'base-256');
  t.equal(only(pax([['size', String(2 ** 50)]]), header()).size, 2 ** 50, 'PAX');
  const error = errorOf(() => only(header({ size: base256(2n ** 60n, 12) })));
  t.match(error, { code: 'ERR_SOCI_TAR_UNSUPPORTED', data: { reason: 'number-range' } });
});

t.test('what a ztoc cannot describe names the entry and the reason', async t => {
  const sparse0: [string, string][] = [
    ['GNU.sparse.offset', '0'],
    ['GNU.sparse.numbytes', '1'],
  ];
  const cases: [string, string, Uint8Array[]][] = [
    ['global-pax', 'g', [pax([['path', 'x']], 'g')]],
    ['sparse', 'S', [header({ type: 'S', magic: GNU })]],
    ['sparse', '0', [pax(sparse0), header()]],
    [
      'sparse',
      '0',
      [
        pax([
          ['GNU.sparse.major', '0'],
          ['GNU.sparse.minor', '1'],
          ['GNU.sparse.map', '0,1'],
        ]),
        header(),
      ],
    ],
    [
      'sparse',
      '0',
      [
        pax([
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.minor', '0'],
        ]),
        header(),
      ],
    ],
    ['sparse', '0', [pax([['GNU.sparse.map', '0,1']]), header()]],
    ['type-flag', '7', [header({ type: '7' })]],
    ['type-flag', 'Z', [header({ type: 'Z' })]],
    ['header-size', '1', [header({ type: '1', size: 700, linkname: 'x' }), header()]],
    ['header-size', '5', [header({ type: '5', size: 4096 }), header()]],
    ['header-size', '3', [pax([['size', '-5']]), header({ type: '3' })]],
    ['number-range', '0', [header({ mode: base256(2n ** 54n, 8) })]],
  ];
  for (const [reason, typeflag, parts] of cases) {
    const error = errorOf(() => readEntries(concat(header({ name: 'first' }), ...parts, END_OF_ARCHIVE)));
    t.match(error, { code: 'ERR_SOCI_TAR_UNSUPPORTED', data: { reason, typeflag, offset: 512 } }, reason);
    t.type(error.data['entry'], 'string');
  }
  t.ok(only(pax([['GNU.sparse.major', '2']]), header()), 'an unknown sparse version is a plain file to Go');
  t.ok(only(header({ type: '1', size: 700 })), 'a size nothing depends on: no entry follows');
});

t.test('records have to come in order and in the right length', async t => {
  t.throws(() => parseEntryHeader(header().subarray(0, 511), 0), { code: 'ERR_SOCI_TAR_HEADER' });
});

t.test("an entry's own headers are held against the table of contents", async t => {
  const parts = concat(
    pax([
      ['path', 'x'],
      ['SCHILY.xattr.user.a', '1'],
    ]),
    header({ size: 3 }),
  );
  const expected = only(parts, padded('abc'));
  const found = parseEntryHeader(parts, 0);
  t.equal(compareEntry(expected, found), undefined);
  t.doesNotThrow(() => verifyEntry(expected, found));

  t.match(
    errorOf(() => parseEntryHeader(parts.subarray(0, 1024), 0)),
    { code: 'ERR_SOCI_TAR_HEADER' },
    'too short',
  );
  const long = errorOf(() => parseEntryHeader(concat(parts, header()), 4096));
  t.match(long.message, /its data begin at offset 5632, expected 6144/);
  t.match(
    errorOf(() => parseEntryHeader(new Uint8Array(512), 0)),
    { code: 'ERR_SOCI_TAR_HEADER' },
    'zeros',
  );

  const changed: [string, Uint8Array][] = [
    [
      'name',
      concat(
        pax([
          ['path', 'y'],
          ['SCHILY.xattr.user.a', '1'],
        ]),
        header({ size: 3 }),
      ),
    ],
    [
      'size',
      concat(
        pax([
          ['path', 'x'],
          ['SCHILY.xattr.user.a', '1'],
        ]),
        header({ size: 4 }),
      ),
    ],
    [
      'mode',
      concat(
        pax([
          ['path', 'x'],
          ['SCHILY.xattr.user.a', '1'],
        ]),
        header({ size: 3, mode: '0004755\0' }),
      ),
    ],
    [
      'uid',
      concat(
        pax([
          ['path', 'x'],
          ['SCHILY.xattr.user.a', '1'],
        ]),
        header({ size: 3, uid: '0000000\0' }),
      ),
    ],
    [
      'gname',
      concat(
        pax([
          ['path', 'x'],
          ['SCHILY.xattr.user.a', '1'],
        ]),
        header({ size: 3, gname: 'wheel' }),
      ),
    ],
    [
      'type',
      concat(
        pax([
          ['path', 'x'],
          ['SCHILY.xattr.user.a', '1'],
        ]),
        header({ size: 3, type: '5' }),
      ),
    ],
    [
      'modTime',
      concat(
        pax([
          ['path', 'x'],
          ['SCHILY.xattr.user.a', '1'],
        ]),
        header({ size: 3, mtime: '0' }),
      ),
    ],
    [
      'pax',
      concat(
        pax([
          ['path', 'x'],
          ['SCHILY.xattr.user.a', '2'],
        ]),
        header({ size: 3 }),
      ),
    ],
    [
      'pax',
      concat(
        pax([
          ['path', 'x'],
          ['SCHILY.xattr.user.b', '1'],
        ]),
        header({ size: 3 }),
      ),
    ],
  ];
  for (const [field, other] of changed) {
    const error = errorOf(() => verifyEntry(expected, parseEntryHeader(other, 0)));
    t.match(error, { code: 'ERR_SOCI_TAR_HEADER_MISMATCH', data: { field, entry: 'x' } }, field);
  }
});

t.test('times are compared as instants', async t => {
  const entry = only(header());
  const local = Object.assign(Object.create(entry), {
    fields: { ...entry.fields, modTime: '1970-01-01T02:00:15+02:00' },
  }) as TocEntry;
  t.equal(compareEntry(local, entry), undefined);
});

t.test('random bytes give entries or a typed error, never anything else', async () => {
  const base = concat(
    pax([
      ['path', 'x'],
      ['mtime', '1.5'],
    ]),
    header({ size: 3 }),
    padded('abc'),
    gnuLong('L', 'n'.repeat(200)),
    header({ magic: GNU }),
    END_OF_ARCHIVE,
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      (edits, fixChecksums) => {
        const tar = base.slice();
        for (const [at, value] of edits) tar[at] = value;
        if (fixChecksums) fixAllChecksums(tar);
        try {
          return readEntries(tar).every(entry => entry.offset >= 512 && entry.size >= 0);
        } catch (error) {
          return error instanceof SociError && error.code.startsWith('ERR_SOCI_TAR_');
        }
      },
    ),
    { numRuns: 500 },
  );
});

function fixAllChecksums(tar: Uint8Array): void {
  for (let at = 0; at < tar.length; at += 512) {
    const block = tar.subarray(at, at + 512);
    if (block.every(byte => byte === 0)) continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.set(bytes(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  }
}

t.test('agrees with tar-stream wherever the two mean the same', async () => {
  const entry = fc.record({
    name: fc
      .array(fc.stringMatching(/^[a-zä-ü0-9]{1,40}$/), { minLength: 1, maxLength: 6 })
      .map(parts => parts.join('/'))
      .filter(name => Buffer.byteLength(name) < 250),
    mode: fc.integer({ min: 1, max: 0o7777 }), // tar-stream takes 0 for absent
    uid: fc.nat(0o777777),
    gid: fc.nat(0o777777),
    mtime: fc.integer({ min: 0, max: 2 ** 31 - 1 }).map(seconds => new Date(seconds * 1000)),
    type: fc.constantFrom('file', 'directory', 'symlink', 'link', 'fifo', 'character-device', 'block-device'),
    uname: fc.stringMatching(/^[a-z]{0,12}$/),
    gname: fc.stringMatching(/^[a-z]{0,12}$/),
    devmajor: fc.nat(200),
    devminor: fc.nat(200),
    data: fc.uint8Array({ maxLength: 1500 }),
    pax: fc.dictionary(
      fc.constantFrom('comment', 'SCHILY.xattr.user.a', 'VENDOR.x'),
      fc.stringMatching(/^[a-z]{1,9}$/),
    ),
  });
  const typeNames: Record<string, string> = { file: 'reg', directory: 'dir', link: 'hardlink' };
  Object.assign(typeNames, { 'character-device': 'char', 'block-device': 'block' });
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async specs => {
      const packer = pack();
      for (const { data, type, pax: records, ...spec } of specs) {
        const options = {
          ...spec,
          type,
          linkname: type.endsWith('link') ? 'to/there' : null,
        } as Partial<Header> & { name: string };
        if (Object.keys(records).length > 0) options.pax = records;
        packer.entry(options, type === 'file' ? Buffer.from(data) : '');
      }
      packer.finalize();
      const tar = await buffer(packer);
      const entries = readEntries(tar);
      if (entries.length !== specs.length) return false;
      return specs.every((spec, i) => {
        const found = entries[i] as TocEntry;
        const data = spec.type === 'file' ? spec.data : new Uint8Array(0);
        const content = tar.subarray(found.offset, found.offset + found.size);
        return (
          found.name === spec.name &&
          found.type === (typeNames[spec.type] ?? spec.type) &&
          found.size === data.length &&
          Buffer.compare(content, data) === 0 &&
          found.mode === spec.mode &&
          found.uid === spec.uid &&
          found.gid === spec.gid &&
          found.uname === spec.uname &&
          found.gname === spec.gname &&
          found.mtimeMs === spec.mtime.getTime() &&
          Object.entries(spec.pax).every(([key, value]) =>
            found.pax.some(record => record.key === key && Buffer.from(record.value).toString() === value),
          )
        );
      });
    }),
    { numRuns: 60 },
  );
});
