/** What files have besides their bytes: owners, modes, times, xattrs; and what directories nobody declares get. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { unpackWith } from '../../lib/unpack/unpack-image.js';
import type { UnpackImageOptions } from '../../lib/unpack/unpack-options.js';
import { type DiskEntry, walkDisk } from './disk-walk.js';
import { failureOf, IS_ROOT, OPEN, scratchFolder } from './fixture.js';
import { type Line, tarOf } from './sample-tar.js';

const skip = IS_ROOT ? false : 'not root';
const xattrs = (pairs: Readonly<Record<string, string>>): ReadonlyMap<string, Uint8Array> =>
  new Map(Object.entries(pairs).map(([name, value]) => [name, Buffer.from(value, 'latin1')]));
const SECOND = 10n ** 9n;

type Found = (path: string) => DiskEntry;

async function unpacked(
  t: Test,
  layers: readonly (readonly Line[])[],
  options: Partial<UnpackImageOptions> = {},
): Promise<Found> {
  const directory = join(scratchFolder(t), 'root');
  const target = options.target ?? 'merged';
  const given = layers.map(lines => ({ content: tarOf(lines) }));
  await unpackWith({ directory, layers: given, ...options, target }, OPEN);
  const found = new Map(walkDisk(directory).map(entry => [entry.path, entry]));
  return path => {
    const entry = found.get(path);
    if (entry === undefined) throw new Error(`no ${path} in ${[...found.keys()]}`);
    return entry;
  };
}

const owned = ({ mode, uid, gid }: DiskEntry): string => `${(mode & 0o7777).toString(8)} ${uid}:${gid}`;

t.test('owners, set-id bits, times and xattrs of every kind', { skip }, async t => {
  const common = { uid: 5, gid: 6, mtime: 1_700_000_000, nanoseconds: 123_456_789 };
  // A version 2 capability of cap_net_raw (linux/capability.h).
  const capability = '\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00';
  const at = await unpacked(t, [
    [
      { name: './', type: 'dir', mode: 0o711, ...common },
      { name: 'd/', type: 'dir', mode: 0o3775, ...common, xattrs: xattrs({ 'user.d': 'x' }) },
      {
        name: 'd/f',
        mode: 0o6755,
        ...common,
        body: 'bytes',
        xattrs: xattrs({ 'user.a': '1', 'security.capability': capability }),
      },
      { name: 'd/s', type: 'symlink', target: 'f', mode: 0o644, ...common },
      { name: 'd/p', type: 'fifo', mode: 0o600, ...common },
      { name: 'd/c', type: 'char', mode: 0o666, device: [1, 3], ...common },
      { name: 'd/b', type: 'block', mode: 0o660, device: [259, 70_000], ...common },
      { name: 'd/closed/', type: 'dir', mode: 0, ...common },
      { name: 'd/closed/f', mode: 0o4000, ...common },
    ],
  ]);
  const modes: Readonly<Record<string, string>> = {
    '': '711 5:6',
    d: '3775 5:6',
    'd/f': '6755 5:6',
    'd/s': '777 5:6',
    'd/p': '600 5:6',
    'd/c': '666 5:6',
    'd/b': '660 5:6',
    'd/closed': '0 5:6',
    'd/closed/f': '4000 5:6',
  };
  for (const [path, expected] of Object.entries(modes)) {
    t.equal(owned(at(path)), expected, path);
    t.equal(at(path).mtime, String(1_700_000_000n * SECOND + 123_456_789n), path);
  }
  t.strictSame(at('d/f').xattrs, { 'security.capability': capability, 'user.a': '1' });
  t.strictSame(at('d').xattrs, { 'user.d': 'x' });
  t.strictSame(
    [at('d/c').device, at('d/b').device],
    [
      [1, 3],
      [259, 70_000],
    ],
  );
});

t.test('the last header of a file counts, and the xattrs of all (A4f)', { skip }, async t => {
  const again = { type: 'hardlink', target: 'f', mode: 0o4755, uid: 9, gid: 9, mtime: 77 } as const;
  const at = await unpacked(t, [
    [
      { name: 'f', mode: 0o600, uid: 5, gid: 6, body: 'abc', xattrs: xattrs({ 'user.a': '1' }) },
      { name: 'g', ...again, xattrs: xattrs({ 'user.b': '2' }) },
    ],
  ]);
  t.match(at('f'), { uid: 9, gid: 9, nlink: 2, text: 'abc', mtime: '77000000000' });
  t.equal(at('f').mode & 0o7777, 0o4755);
  t.strictSame(at('g').xattrs, { 'user.a': '1', 'user.b': '2' });
});

t.test("a directory's headers (A9)", { skip }, async t => {
  const at = await unpacked(t, [
    [{ name: 'd/', mode: 0o700, type: 'dir', uid: 1, xattrs: xattrs({ 'user.0': 'x' }) }, 'd/f', 'e/'],
    [
      { name: 'd/', mode: 0o711, type: 'dir', uid: 2, xattrs: xattrs({ 'user.a': '1' }) },
      { name: 'd/', mode: 0o755, type: 'dir', uid: 3, mtime: 99, xattrs: xattrs({ 'user.b': '2' }) },
      'd/g',
    ],
  ]);
  t.equal(owned(at('d')), '755 3:0');
  t.equal(at('d').mtime, '99000000000', 'though files came into it afterwards');
  t.strictSame(at('d').xattrs, { 'user.a': '1', 'user.b': '2' }, "and nothing of the lower layer's");
  t.ok(at('d/f') && at('d/g'));
});

t.test('directories that no header is for (A10)', { skip }, async t => {
  const tar: Line[][] = [
    [
      'new/f',
      { name: 'tmp/', type: 'dir', mode: 0o1777, uid: 7, mtime: 55, xattrs: xattrs({ 'user.t': '1' }) },
    ],
    ['tmp/g', 'other/h'],
  ];
  await t.test('merged', async t => {
    const at = await unpacked(t, tar);
    t.equal(owned(at('')), '755 0:0');
    t.equal(owned(at('new')), '755 0:0');
    t.equal(at('new').mtime, '0');
    t.equal(owned(at('tmp')), '1777 7:0');
    t.equal(at('tmp').mtime, '55000000000');
  });
  await t.test('overlay: as the lower layer has them', async t => {
    const at = await unpacked(t, tar, { target: 'overlay' });
    t.equal(owned(at('1/tmp')), '1777 7:0');
    t.strictSame(at('1/tmp').xattrs, { 'user.t': '1' });
    t.equal(at('1/tmp').mtime, '55000000000');
    t.equal(owned(at('1/other')), '755 0:0');
    t.equal(at('').mode & 0o7777, 0o700, 'set-id files are nobody else’s before they are mounted');
  });
});

t.test("the kernel's own xattrs are no layer's to set (A15)", { skip }, async t => {
  const marks = { 'trusted.overlay.opaque': 'y', 'user.overlay.opaque': 'y', 'trusted.x': '1' };
  const at = await unpacked(t, [['d/', 'd/f'], [{ name: 'd/', type: 'dir', xattrs: xattrs(marks) }]]);
  t.strictSame(at('d').xattrs, { 'user.overlay.opaque': 'y' });
  t.ok(at('d/f'));
});

t.test('times that no nanoseconds from 1970 can say are 1970 (A16)', { skip }, async t => {
  const times = [-1, -86_400, 16_725_225_600, 9_223_372_036];
  const at = await unpacked(t, [times.map(mtime => ({ name: `t${mtime}`, mtime }))]);
  t.strictSame(
    times.map(mtime => at(`t${mtime}`).mtime),
    ['0', '0', '0', '9223372036000000000'],
  );
});

t.test('owners of 32 bits; nobody is 2^32-1 (A20)', { skip }, async t => {
  const ids = [2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1];
  const at = await unpacked(t, [ids.map(uid => ({ name: String(uid), uid, gid: uid }))]);
  t.strictSame(
    ids.map(id => at(String(id)).uid),
    [2 ** 31, 2 ** 32 - 2, 0],
  );
});

t.test('owners of a user namespace', { skip }, async t => {
  const map = [
    { container: 0, host: 100_000, size: 1000 },
    { container: 5000, host: 7, size: 1 },
  ];
  const tar: Line[][] = [[{ name: 'd/f', uid: 12, gid: 5000 }]];
  const at = await unpacked(t, tar, { uidMap: map, gidMap: map });
  t.equal(owned(at('d/f')), '644 100012:7');
  t.equal(owned(at('d')), '755 100000:100000');
  t.equal(owned(at('')), '755 100000:100000');
  const failure = await failureOf(unpacked(t, [[{ name: 'f', uid: 1000 }]], { uidMap: map }));
  t.match(failure, { code: 'ERR_SOCI_ID_UNMAPPED', data: { map: 'uidMap', id: 1000 } });
  for (const uidMap of [
    [{ container: 0, host: 0, size: 0 }],
    [...map, { container: 999, host: 1, size: 1 }],
  ]) {
    t.match(await failureOf(unpacked(t, tar, { uidMap })), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
});
