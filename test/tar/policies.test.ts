/** One parser, three policies: where they agree, where they do not, and other tars' readers beside it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import tar from 'tar-stream';
import { SociError } from '../../lib/errors.js';
import { indexArchive } from '../../lib/registry/archive-index.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import type { EntryFields } from '../../lib/tar/entry.js';
import type { ParsedEntry } from '../../lib/tar/header-parser.js';
import { encodeArchiveEnd, encodeFileHeader, encodePadding } from '../../lib/tar/header-writer.js';
import { ARCHIVE, GO, LENIENT, type TarPolicy } from '../../lib/tar/policy.js';
import { TarWalk } from '../../lib/tar/tar-walk.js';
import fc from '../property.js';
import { tarOf } from '../span/sample-layers.js';
import { concat, END_OF_ARCHIVE, gnuLong, header, padded, pax } from './tar-builder.js';
import { readEntries } from './tar-walk.js';

function walk(archive: Uint8Array, policy: TarPolicy, chunk = archive.length): ParsedEntry[] {
  const entries: ParsedEntry[] = [];
  const walker = new TarWalk(policy, entry => void entries.push(entry));
  for (let at = 0; at < archive.length; at += chunk) walker.push(archive.subarray(at, at + chunk));
  walker.finish();
  return entries;
}

const fieldsOf = (entries: readonly ParsedEntry[]): EntryFields[] => entries.map(({ entry }) => entry.fields);

/** The entry's name, or how it was refused. */
function outcome(archive: Uint8Array, policy: TarPolicy): unknown {
  try {
    return walk(archive, policy).map(({ entry }) => `${entry.type} ${entry.name} ${entry.size}`);
  } catch (error) {
    if (!(error instanceof SociError)) throw error;
    return error.data['reason'] ?? error.code;
  }
}

t.test('what policies make of what not everybody reads', async t => {
  const file = concat(header({ name: 'file', size: 4 }), padded('data'));
  const cases: Record<string, readonly [Uint8Array, go: unknown, lenient: unknown, archive: unknown]> = {
    'a plain file': [file, ['reg file 4'], ['reg file 4'], ['reg file 4']],
    'a global PAX header': [
      concat(pax([['path', 'lost']]), pax([['comment', 'x']], 'g'), file),
      'global-pax',
      ['reg file 4'],
      ['reg file 4'],
    ],
    'a directory with a size': [
      concat(header({ name: 'd/', type: '5', size: 700 }), file),
      'header-size',
      ['dir d/ 0', 'reg file 4'],
      ['dir d/ 0', 'reg file 4'],
    ],
    'a directory with a negative size': [
      concat(pax([['size', '-1']]), header({ name: 'd/', type: '5' })),
      'header-size',
      ['dir d/ 0'],
      ['dir d/ 0'],
    ],
    'a contiguous file': [
      concat(header({ name: 'c', type: '7', size: 4 }), padded('data')),
      'type-flag',
      ['reg c 4'],
      ['reg c 4'],
    ],
    'a volume header': [
      concat(header({ name: 'v', type: 'V', size: 4 }), padded('data'), file),
      'type-flag',
      'type-flag',
      ['reg file 4'],
    ],
    'a sparse file': [
      concat(
        pax([
          ['GNU.sparse.major', '0'],
          ['GNU.sparse.minor', '1'],
          ['GNU.sparse.size', '9'],
          ['GNU.sparse.map', '0,4'],
        ]),
        file,
      ),
      'sparse',
      ['reg file 4'],
      ['reg file 4'],
    ],
    'an extension of a megabyte and a byte': [
      header({ name: 'x', type: 'x', size: 2 ** 20 + 1 }),
      'ERR_SOCI_TAR_HEADER',
      'ERR_SOCI_TAR_HEADER',
      'ERR_SOCI_TAR_HEADER',
    ],
    'a lone block of zeros': [
      concat(file, new Uint8Array(512), file),
      'ERR_SOCI_TAR_HEADER',
      'ERR_SOCI_TAR_HEADER',
      'ERR_SOCI_TAR_HEADER',
    ],
  };
  for (const [what, [bytes, ...expected]] of Object.entries(cases)) {
    const archive = what === 'a lone block of zeros' ? bytes : concat(bytes, END_OF_ARCHIVE);
    for (const [i, policy] of [GO, LENIENT, ARCHIVE].entries()) {
      t.strictSame(outcome(archive, policy), expected[i], `${what}: ${['GO', 'LENIENT', 'ARCHIVE'][i]}`);
    }
  }
});

t.test('where a stream ends', async t => {
  const file = concat(header({ name: 'file', size: 4 }), padded('data'));
  const endOf = (bytes: Uint8Array): unknown => {
    const walker = new TarWalk(LENIENT, () => {});
    walker.push(bytes);
    return walker.finish();
  };
  t.equal(endOf(concat(file, END_OF_ARCHIVE, new Uint8Array(5000))), 2048, 'after two blocks of zeros');
  t.equal(endOf(file), 1024, 'without them');
  t.equal(endOf(file.subarray(0, 516)), 516, 'without the padding');
  t.equal(endOf(new Uint8Array(0)), 0);
  for (const length of [515, 100]) {
    t.throws(() => endOf(file.subarray(0, length)), { code: 'ERR_SOCI_LAYER_TRUNCATED' }, `at ${length}`);
  }
  t.throws(() => endOf(gnuLong('L', 'n'.repeat(600)).subarray(0, 700)), { code: 'ERR_SOCI_LAYER_TRUNCATED' });
});

const someEntry = fc.record({
  name: fc
    .array(fc.stringMatching(/^[a-zä-ü0-9]{1,40}$/), { minLength: 1, maxLength: 6 })
    .map(parts => parts.join('/')),
  type: fc.constantFrom('file' as const, 'file' as const, 'directory' as const, 'symlink' as const),
  body: fc.uint8Array({ maxLength: 1500 }),
  pax: fc.option(fc.dictionary(fc.stringMatching(/^[a-z.]{1,8}$/), fc.string({ maxLength: 20 })), {
    nil: undefined,
  }),
});

t.test('whatever Go reads all policies read alike, in chunks of any size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(someEntry, { maxLength: 6 }),
      fc.integer({ min: 1, max: 2000 }),
      async (entries, chunk) => {
        const archive = await tarOf(
          entries.map(({ name, type, body, pax }) => ({
            name,
            type,
            ...(type === 'file' ? { body: Buffer.from(body) } : {}),
            ...(type === 'symlink' ? { linkname: 'target' } : {}),
            ...(pax === undefined ? {} : { pax }),
          })),
        );
        const expected = JSON.stringify(readEntries(archive).map(({ fields }) => fields));
        return [GO, LENIENT, ARCHIVE].every(policy =>
          [archive.length, chunk].every(
            size => JSON.stringify(fieldsOf(walk(archive, policy, size))) === expected,
          ),
        );
      },
    ),
    { numRuns: 60 },
  );
});

t.test('whatever bytes come, there are entries or a typed error', async () => {
  const base = concat(
    pax([
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.realsize', '9'],
    ]),
    header({ size: 516 }),
    padded('1\n0\n4\n'),
    padded('data'),
    header({ type: 'S', size: 0 }),
    gnuLong('K', 'k'.repeat(120)),
    header({ name: 'v', type: 'V', size: 3 }),
    padded('abc'),
    END_OF_ARCHIVE,
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 4 }),
      fc.constantFrom(GO, LENIENT, ARCHIVE),
      fc.nat(base.length),
      (edits, policy, length) => {
        const archive = base.slice(0, length);
        for (const [at, value] of edits) if (at < length) archive[at] = value;
        for (let at = 0; at + 512 <= length; at += 512) checksum(archive.subarray(at, at + 512));
        try {
          const entries = walk(archive, policy);
          return entries.every(({ entry }) => entry.offset >= 512 && entry.size >= 0);
        } catch (error) {
          return error instanceof SociError && error.code.startsWith('ERR_SOCI_');
        }
      },
    ),
    { numRuns: 500 },
  );
});

/** Of a block that had one. */
function checksum(block: Uint8Array): void {
  if (block[257] !== 0x75 && block[156] !== 0x53) return;
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
}

function archiveOf(files: readonly { readonly name: string; readonly body: Uint8Array }[]): Buffer {
  const parts = files.flatMap(({ name, body }) => [
    encodeFileHeader({ name, size: body.length }),
    body,
    encodePadding(body.length),
  ]);
  return Buffer.concat([...parts, encodeArchiveEnd()]);
}

const someFiles = fc.uniqueArray(
  fc.record({
    name: fc
      .array(fc.stringMatching(/^[a-zä-ü0-9]{1,60}$/), { minLength: 1, maxLength: 6 })
      .map(parts => parts.join('/')),
    body: fc.uint8Array({ maxLength: 1100 }),
  }),
  { selector: ({ name }) => name, maxLength: 5 },
);

t.test('what the writer writes is read back, here and by tar-stream', async () => {
  await fc.assert(
    fc.asyncProperty(someFiles, async files => {
      const archive = archiveOf(files);
      const members = await indexArchive(new BufferSource(archive));
      const here = [...members].map(([name, { offset, size }]) => [
        name,
        archive.subarray(offset, offset + size),
      ]);
      const there: [string, Buffer][] = [];
      const extract = tar.extract();
      extract.end(archive);
      for await (const entry of extract) {
        const chunks: Buffer[] = [];
        for await (const chunk of entry) chunks.push(chunk as Buffer);
        there.push([entry.header.name, Buffer.concat(chunks)]);
      }
      const shown = (list: readonly (readonly (string | Uint8Array)[])[]) =>
        JSON.stringify(list.map(([name, body]) => [name, Buffer.from(body as Uint8Array).toString('hex')]));
      const expected = shown(files.map(({ name, body }) => [name, body]));
      return shown(here) === expected && shown(there) === expected;
    }),
    { numRuns: 60 },
  );
});

t.test('names and sizes at the edges of their fields', async t => {
  for (const length of [1, 99, 100, 101, 255, 256, 4000]) {
    const name = 'n'.repeat(length);
    const [found] = walk(concat(encodeFileHeader({ name, size: 0 }), encodeArchiveEnd()), GO);
    t.equal(found?.entry.name, name, `a name of ${length} bytes`);
  }
  for (const size of [0, 8 ** 11 - 1, 8 ** 11, 2 ** 50]) {
    const archive = new TarWalk(GO, ({ entry }) => t.equal(entry.size, size, `${size} bytes`));
    archive.push(encodeFileHeader({ name: 'f', size }));
  }
});

const gnuTar = spawnSync('tar', ['--version'], { encoding: 'utf8' }).stdout?.includes('GNU tar') ?? false;

t.test('archives of GNU tar', { skip: !gnuTar && 'no GNU tar' }, async t => {
  const root = t.testdir({});
  const long = `${'d'.repeat(90)}/${'e'.repeat(90)}`;
  mkdirSync(join(root, 'in', long), { recursive: true });
  const files: Record<string, string> = { short: 'one', [`${long}/name`]: 'two', ümlaut: 'three' };
  for (const [name, body] of Object.entries(files)) writeFileSync(join(root, 'in', name), body);
  for (const format of ['gnu', 'oldgnu', 'pax', 'ustar', 'posix']) {
    const archive = execFileSync('tar', [`--format=${format}`, '-C', join(root, 'in'), '-cf', '-', '.']);
    const members = await indexArchive(new BufferSource(archive));
    const read = [...members].map(([name, { offset, size }]) => [
      name,
      archive.subarray(offset, offset + size).toString(),
    ]);
    t.strictSame(Object.fromEntries(read), files, `${format}: read here`);
  }
  const ours = archiveOf(Object.entries(files).map(([name, body]) => ({ name, body: Buffer.from(body) })));
  const listed = execFileSync('tar', ['--quoting-style=literal', '-tf', '-'], {
    input: ours,
    encoding: 'utf8',
  });
  t.strictSame(listed.trim().split('\n'), Object.keys(files), 'what is written here, listed there');
});
