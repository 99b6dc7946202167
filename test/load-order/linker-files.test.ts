/** ld.so.cache in both of its forms, ld.so.conf and musl's path: what they name, and that damage is no danger. */
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { parseLinkerCache, parseLinkerConf, parseMuslPath } from '../../lib/load-order/linker-files.js';
import fc from '../property.js';
import { linkerCache } from './sample-elf.js';

const ENTRIES = [
  { soname: 'libc.so.6', path: '/lib/x86_64-linux-gnu/libc.so.6' },
  { soname: 'libz.so.1', path: '/usr/lib/fast/libz.so.1', hwcap: 2 ** 62 },
  { soname: 'libz.so.1', path: '/usr/lib/libz.so.1' },
  { soname: 'libz.so.1', path: '/usr/lib32/libz.so.1', flags: 3 },
  { soname: 'libold.so', path: '/usr/lib/libold.so', flags: 1 },
  { soname: 'librelative.so', path: 'usr/lib/librelative.so' },
];

t.test('a cache, alone and behind one of the old format', async t => {
  for (const format of ['new', 'old'] as const) {
    t.strictSame(
      [...parseLinkerCache(linkerCache(ENTRIES, format))],
      [
        ['libc.so.6', ['/lib/x86_64-linux-gnu/libc.so.6']],
        ['libz.so.1', ['/usr/lib/libz.so.1', '/usr/lib32/libz.so.1']],
      ],
      format,
    );
  }
});

t.test("this machine's cache", { skip: !existsSync('/etc/ld.so.cache') && 'no glibc' }, async t => {
  const cache = parseLinkerCache(readFileSync('/etc/ld.so.cache'));
  t.ok(cache.get('libc.so.6')?.some(path => path.endsWith('/libc.so.6')));
});

t.test('a damaged cache has fewer entries, or none', async t => {
  const good = linkerCache(ENTRIES, 'old');
  for (let length = 0; length < good.length; length += 1) parseLinkerCache(good.subarray(0, length));
  const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(changes, mutations => {
      const bytes = Buffer.from(good);
      for (const [at, value] of mutations) bytes[at] = value;
      for (const [soname, paths] of parseLinkerCache(bytes)) {
        t.ok(soname.length <= 4096 && paths.every(path => path.startsWith('/')));
      }
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), bytes => parseLinkerCache(Buffer.from(bytes)).size === 0),
  );
});

t.test('entries that share one long text do not add up', async t => {
  const count = 20_000;
  const cache = linkerCache([{ soname: 's'.repeat(2000), path: `/${'p'.repeat(2000)}` }]);
  const forged = Buffer.concat([
    cache.subarray(0, 48),
    ...Array(count).fill(cache.subarray(48, 72)),
    cache.subarray(72),
  ]);
  forged.writeUInt32LE(count, 20);
  // Their texts have moved with the table.
  for (let at = 0; at < count; at += 1) {
    forged.writeUInt32LE(72 + 24 * (count - 1), 48 + 24 * at + 4);
    forged.writeUInt32LE(72 + 24 * (count - 1) + 2001, 48 + 24 * at + 8);
  }
  const [[, paths = []] = []] = parseLinkerCache(forged);
  t.ok(paths.length > 1000 && paths.length < 5000, `${paths.length} paths`);
});

t.test('ld.so.conf: directories and includes', async t => {
  const text =
    '# comment\ninclude /etc/ld.so.conf.d/*.conf other.conf\n/usr/local/lib # why\n\t/opt/lib=libc6 \nhwcap 1 x\nrelative\n\n';
  t.strictSame(parseLinkerConf(text), [
    { kind: 'include', pattern: '/etc/ld.so.conf.d/*.conf' },
    { kind: 'include', pattern: 'other.conf' },
    { kind: 'directory', path: '/usr/local/lib' },
    { kind: 'directory', path: '/opt/lib' },
  ]);
  fc.assert(fc.property(fc.string(), each => Array.isArray(parseLinkerConf(each))));
});

t.test("musl's path: by lines or colons", async t => {
  t.strictSame(parseMuslPath('/lib:/usr/local/lib\n/usr/lib\n\nrelative'), [
    '/lib',
    '/usr/local/lib',
    '/usr/lib',
  ]);
});
