/** Runs that something else recorded: strace's log, JSON lines and lists of paths, held against the image. */
import t, { type Test } from 'tap';
import type { Image } from '../../lib/image/image.js';
import { openImage } from '../../lib/image/open-image.js';
import { importTrace } from '../../lib/load-order/import-trace.js';
import { linesOf } from '../../lib/load-order/lines.js';
import { type GivenRead, StraceLog } from '../../lib/load-order/strace-log.js';
import { layerOf, pushImage } from '../image/sample-image.js';
import fc from '../property.js';
import { emptyLayout } from '../soci/sample-image.js';
import { sampleElf } from './sample-elf.js';

const SIZE = 20_000;
const LINKER = '/lib/ld.so';

async function sampleImage(t: Test): Promise<Image> {
  const files = {
    'usr/lib/data': Buffer.alloc(SIZE, 'd'),
    'usr/bin/tool': sampleElf({ interpreter: LINKER, unmapped: 9000 }),
    'usr/bin/script': Buffer.from('#!/usr/bin/tool -x\n'),
    'lib/ld.so': sampleElf(),
    'etc/odd\nname': Buffer.from('odd'),
    loop: Buffer.from('#!/loop'),
  };
  const entries = Object.entries(files).map(([name, body]) => ({ name, body, mode: 0o755 }));
  const repository = await emptyLayout(t);
  const link = { name: 'etc/link', type: 'symlink' as const, linkname: '/usr/lib/data' };
  const { descriptor } = await pushImage(repository, [await layerOf([...entries, link])]);
  const image = await openImage({ repository, reference: descriptor.digest });
  t.teardown(() => image.close());
  return image;
}

const chunks = (text: string, size = 7): AsyncIterable<Uint8Array> =>
  (async function* () {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  })();

const reads = (lines: string): GivenRead[] => {
  const log = new StraceLog();
  return lines.split('\n').flatMap(line => log.line(line) ?? []);
};

t.test('strace: reads where they begin, maps, what is executed; times since the first', async t => {
  const log = `100.000100 execve("/usr/bin/tool", ["tool"], 0x7ffd /* 3 vars */) = 0
100.001100 openat(AT_FDCWD</>, "/etc/none", O_RDONLY) = -1 ENOENT (No such file or directory)
100.002100 openat(AT_FDCWD</>, "/etc/link", O_RDONLY|O_CLOEXEC) = 3</usr/lib/data>
100.003100 read(3</usr/lib/data>, "a) = 5<b>\\"..., 832) = 832
100.004100 read(3</usr/lib/data>, "", 4096) = 168
100.005100 lseek(3</usr/lib/data>, 0, SEEK_END) = 20000
100.006100 lseek(3</usr/lib/data>, 5000, SEEK_SET) = 5000
100.007100 read(3</usr/lib/data>, "x", 10) = 10
100.008100 pread64(3</usr/lib/data>, "y\\"..., 784, 64) = 700
100.009100 mmap(NULL, 8192, PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_DENYWRITE, 3</usr/lib/data>, 0x1000) = 0x7f28
100.009200 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f29
100.010100 close(3</usr/lib/data>) = 0
100.011100 read(3</usr/lib/data>, "again", 5) = 5
100.012100 read(4<pipe:[1234]>, "x", 1) = 1
100.013100 write(1</dev/pts/0>, "x", 1) = 1
100.014100 read(5</etc/odd\\nname>, "odd", 10) = 3
+++ exited with 0 +++`;
  t.strictSame(reads(log), [
    { path: '/usr/bin/tool', ms: 0, executed: true },
    { path: '/usr/lib/data', start: 0, end: 832, ms: 3 },
    { path: '/usr/lib/data', start: 832, end: 1000, ms: 4 },
    { path: '/usr/lib/data', start: 5000, end: 5010, ms: 7 },
    { path: '/usr/lib/data', start: 64, end: 764, ms: 8 },
    { path: '/usr/lib/data', start: 4096, end: 12_288, ms: 9 },
    { path: '/usr/lib/data', start: 0, end: 5, ms: 11 },
    { path: '/etc/odd\nname', start: 0, end: 3, ms: 14 },
  ]);
});

t.test('strace: threads, calls in two parts, other forms of time, bytes in octal', async t => {
  const log = `[pid  7] 10:00:01.500000 read(3</a>,  <unfinished ...>
[pid  8] 10:00:01.600000 openat(AT_FDCWD, "/b", O_RDONLY <unfinished ...>
[pid  7] 10:00:01.700000 <... read resumed>"x", 10) = 4
[pid  8] 10:00:01.800000 <... openat resumed>) = 4</b>
[pid  9] 10:00:01.900000 <... read resumed>"x", 10) = 4
9 read(4</b>, "x", 10) = 4
read(4</caf\\303\\251 \\74x\\76>, "x", 10) = 4`;
  t.strictSame(reads(log), [
    { path: '/a', start: 0, end: 4, ms: 200 },
    { path: '/b', start: 0, end: 4, ms: 0 },
    { path: '/café <x>', start: 0, end: 4, ms: 0 },
  ]);
});

t.test('strace: any text says something, or nothing', async t => {
  const log = new StraceLog();
  const pieces = fc.constantFrom(
    'read(',
    '3</a>',
    ', "',
    '"',
    ') = ',
    '5',
    '<unfinished ...>',
    'mmap(',
    ', 0x1',
    '\\',
    ' ',
    'a',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(pieces, fc.string()), { maxLength: 40 }), all => {
      const read = log.line(all.join(''));
      if (read?.start !== undefined) t.ok(read.start >= 0 && (read.end as number) > read.start);
    }),
    { numRuns: 2000 },
  );
  for (const piece of ['read(3</a', '\\', '<', '"', 'x, ', '1', ' ', '[pid 1] ', ') = 1'])
    log.line(piece.repeat(65_536 / piece.length));
});

t.test('held against the image: links, ranges, programs with their linker, what is not of it', async t => {
  const image = await sampleImage(t);
  const log = `1.0 execve("/usr/bin/script", ["x"], 0x7ffd) = 0
1.1 read(3</jail/etc/link>, "x", 10) = 10
1.2 mmap(NULL, 1000000, PROT_READ, MAP_PRIVATE, 3</jail/usr/lib/data>, 0x2000) = 0x7f28
1.3 read(3</jail/usr/lib/gone>, "x", 10) = 10
1.4 read(3</proc/self/maps>, "x", 10) = 10
1.5 read(3</usr/lib/data>, "x", 10) = 10
1.6 execve("/loop", ["x"], 0x7ffd) = 0
`;
  const { trace, leftOut } = await importTrace(image, chunks(log), { root: '/jail/' });
  const tool = (await image.stat('/usr/bin/tool')).size;
  const linker = (await image.stat(LINKER)).size;
  t.equal(trace.image, image.manifest.descriptor.digest);
  const loop = { path: '/loop', size: 7, start: 0, end: 7, ms: 600 };
  t.strictSame(trace.reads, [
    { path: '/usr/bin/script', size: 19, start: 0, end: 19, ms: 0 },
    { path: '/usr/bin/tool', size: tool, start: 0, end: tool - 9000, ms: 0 },
    { path: LINKER, size: linker, start: 0, end: linker, ms: 0 },
    { path: '/usr/lib/data', size: SIZE, start: 0, end: 10, ms: 100 },
    { path: '/usr/lib/data', size: SIZE, start: 8192, end: SIZE, ms: 200 },
    ...Array(6).fill(loop),
  ]);
  t.equal(leftOut, 3);
});

t.test('JSON lines and paths', async t => {
  const image = await sampleImage(t);
  const json = `{"path":"/etc/link","ms":9}\n\n{"path":"/usr/lib/data","start":5,"end":1000000,"ms":3}\n{"path":"/no"}`;
  const { trace, leftOut } = await importTrace(image, chunks(json));
  t.strictSame(trace.reads, [
    { path: '/usr/lib/data', size: SIZE, start: 5, end: SIZE, ms: 3 },
    { path: '/usr/lib/data', size: SIZE, start: 0, end: SIZE, ms: 9 },
  ]);
  t.equal(leftOut, 1);
  const listed = await importTrace(image, chunks('/usr/bin/script\n/etc/link\n/usr/bin\n'));
  t.same(
    listed.trace.reads.map(({ path }) => path),
    ['/usr/bin/script', '/usr/lib/data'],
  );
  for (const line of [
    '{',
    '{"path":1}',
    '{"path":"/a","start":-1}',
    '{"path":"/a","end":1.5}',
    '{"path":"/a","ms":"1"}',
  ]) {
    const text = `{"path":"/etc/link"}\n${line}`;
    await t.rejects(
      importTrace(image, chunks(text)),
      { code: 'ERR_SOCI_LOAD_ORDER_FORMAT', message: /^line 2/ },
      line,
    );
  }
  t.strictSame((await importTrace(image, chunks(''))).trace.reads, []);
  await t.rejects(importTrace(image, chunks('/a'), { root: 'a' }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  await t.rejects(importTrace(image, chunks('/a'), { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

t.test('lines, however they arrive, and cut where they are too long', async t => {
  const lines = async (text: string, size: number): Promise<string[]> => {
    const all: string[] = [];
    for await (const line of linesOf(chunks(text, size))) all.push(line);
    return all;
  };
  for (const size of [1, 2, 5, 100]) {
    t.strictSame(await lines('one\n\ntwé\nthree', size), ['one', '', 'twé', 'three']);
    t.strictSame(await lines('one\n', size), ['one']);
  }
  const [long, next] = await lines(`${'x'.repeat(200_000)}\nnext`, 1000);
  t.equal(long?.length, 65_536);
  t.equal(next, 'next');
});
