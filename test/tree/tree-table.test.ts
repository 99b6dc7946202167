/** The frozen tree: what it says of names and inodes, how they are numbered, what it weighs, and hostile copies of it. */

import t from 'tap';
import { SociError } from '../../lib/errors.js';
import { Freezer } from '../../lib/tree/freeze.js';
import { InodeTree } from '../../lib/tree/inode-tree.js';
import { KIND } from '../../lib/tree/node-kind.js';
import { Overlay, type Whiteouts } from '../../lib/tree/overlay.js';
import { NONE, ROOT, walkPath } from '../../lib/tree/path-walk.js';
import { checkTree } from '../../lib/tree/tree-check.js';
import {
  HEADER,
  HEADER_BYTES,
  INODE,
  INODE_BYTES,
  NAME,
  NAME_BYTES,
  TreeTable,
} from '../../lib/tree/tree-table.js';
import fc from '../property.js';
import { layerOf, type SampleEntry } from './sample-toc.js';

function treeOf(layers: readonly (readonly SampleEntry[])[], whiteouts: Whiteouts = 'apply'): TreeTable {
  const tree = new InodeTree(1e6);
  const overlay = new Overlay(tree, whiteouts, 'spec');
  const frozen = layers.map(layerOf);
  for (const { ztoc } of frozen) overlay.apply(ztoc);
  const steps = new Freezer(tree, frozen).run(Number.POSITIVE_INFINITY);
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
}

/** Every path with its inode, in the order of the table. */
function paths(table: TreeTable): string[] {
  return Array.from({ length: table.nameCount }, (_, name) => `${table.path(name)} ${table.inode(name)}`);
}

function inodeAt(table: TreeTable, path: string): number {
  const found = walkPath(table, path, { followLast: false });
  return typeof found === 'number' ? table.inode(found) : 0;
}

const SAMPLE: readonly SampleEntry[] = [
  { name: 'usr/', type: 'dir', mode: 0o40755, uid: 1, gid: 2 },
  { name: 'usr/tool', size: 2 ** 40 + 5, mode: 0o104755, modTime: '2024-01-02T03:04:05.000000006Z' },
  { name: 'usr/link', type: 'symlink', linkname: '../usr/tool' },
  {
    name: 'alias',
    type: 'hardlink',
    linkname: 'usr/tool',
    mode: 0o104755,
    modTime: '2024-01-02T03:04:05.000000006Z',
  },
  { name: 'broken', type: 'hardlink', linkname: 'nowhere' },
  { name: 'made/by/file', uid: 0xffffffff, gid: 0xfffffffe, modTime: '1901-01-01T00:00:00Z' },
  { name: 'disk', type: 'block', devmajor: 259, devminor: 300, mode: 0o660 },
  { name: 'pipe', type: 'fifo' },
  {
    name: 'noted',
    pax: [
      ['SCHILY.xattr.', 'no name'],
      ['SCHILY.xattr.security.capability', '\x01\0\xff'],
      ['SCHILY.xattr.user.empty', ''],
      ['mtime', '1'],
    ],
  },
];

t.test('names by breadth and sorted bytewise, inodes as they come first', async t => {
  const table = treeOf([SAMPLE]);
  t.strictSame(paths(table), [
    '/ 1',
    '/alias 2',
    '/broken 3',
    '/disk 4',
    '/made 5',
    '/noted 6',
    '/pipe 7',
    '/usr 8',
    '/made/by 9',
    '/usr/link 10',
    '/usr/tool 2',
    '/made/by/file 11',
  ]);
  t.equal(table.inodeCount, 11);
});

t.test('what an inode says', async t => {
  const table = treeOf([SAMPLE]);
  const tool = inodeAt(table, 'usr/tool');
  t.equal(tool, inodeAt(table, 'alias'));
  t.equal(table.mode(tool), 0o104755);
  t.equal(table.nlink(tool), 2);
  t.equal(table.size(tool), 2 ** 40 + 5);
  t.strictSame(table.mtime(tool), { seconds: 1_704_164_645, nanoseconds: 6 });
  t.strictSame([table.layer(tool), table.entry(tool)], [0, 1]);
  const usr = inodeAt(table, 'usr');
  t.strictSame([table.mode(usr), table.uid(usr), table.gid(usr)], [0o040755, 1, 2]);
  t.strictSame([table.nlink(usr), table.nlink(1), table.nlink(inodeAt(table, 'made'))], [2, 4, 3]);
  const made = inodeAt(table, 'made/by');
  t.strictSame([table.mode(made), table.entry(made), table.mtime(made).seconds], [0o040755, NONE, 0]);
  const file = inodeAt(table, 'made/by/file');
  t.strictSame([table.uid(file), table.gid(file)], [0xffffffff, 0xfffffffe]);
  t.strictSame(table.mtime(file), { seconds: -2_177_452_800, nanoseconds: 0 });
  const link = inodeAt(table, 'usr/link');
  t.strictSame([table.linkTarget(link), table.size(link)], ['../usr/tool', 11]);
  const disk = inodeAt(table, 'disk');
  t.strictSame([table.kindOf(disk), table.rdev(disk)], [KIND.block, (300 & 0xff) + (259 << 8) + (1 << 20)]);
  t.equal(table.kindOf(inodeAt(table, 'broken')), KIND.missing);
  t.strictSame(
    [...table.xattrs(inodeAt(table, 'noted'))],
    [
      ['security.capability', '\x01\0\xff'],
      ['user.empty', ''],
    ],
  );
});

t.test('a directory has two links and one for each directory in it', async t => {
  const table = treeOf([
    [
      { name: 'a/', type: 'dir' },
      { name: 'a/b/', type: 'dir' },
      { name: 'a/c/', type: 'dir' },
      { name: 'a/f' },
    ],
    [{ name: 'a/.wh.c' }],
  ]);
  t.equal(table.nlink(inodeAt(table, 'a')), 3);
});

t.test('numbers depend on what the tree shows, not on how it came about', async t => {
  const order = fc.shuffledSubarray(['a/x', 'a/y', 'b', 'c/d/e', 'c/f', 'z'], { minLength: 6 });
  const expected = paths(treeOf([['a/x', 'a/y', 'b', 'c/d/e', 'c/f', 'z'].map(name => ({ name }))]));
  fc.assert(
    fc.property(order, fc.nat(6), (names, cut) => {
      const layers = [names.slice(0, cut), [...names.slice(cut), 'gone'], ['.wh.gone']];
      const table = treeOf(layers.map(layer => layer.map(name => ({ name }))));
      t.strictSame(paths(table), expected);
    }),
    { numRuns: 50 },
  );
  t.strictSame(Buffer.from(treeOf([SAMPLE]).bytes), Buffer.from(treeOf([SAMPLE]).bytes));
});

t.test('names that are not clean, and bytes that are no text', async t => {
  const odd = [
    './a',
    '/b',
    'c//d',
    'e/./f',
    'g/../h',
    '../../i',
    '\xff\xfe',
    'j/',
    './k/l/',
    '',
    './',
    '/',
    '..',
  ];
  t.strictSame(
    paths(
      treeOf([odd.map(name => ({ name, type: name.endsWith('/') ? ('dir' as const) : ('reg' as const) }))]),
    ),
    [
      '/ 1',
      '/a 2',
      '/b 3',
      '/c 4',
      '/e 5',
      '/h 6',
      '/i 7',
      '/j 8',
      '/k 9',
      '/\xff\xfe 10',
      '/c/d 11',
      '/e/f 12',
      '/k/l 13',
    ],
  );
});

t.test('a layer by itself: whiteouts as overlayfs wants them, or as they are', async t => {
  const layer: readonly SampleEntry[] = [
    { name: 'etc/.wh.gone', mode: 0o644 },
    { name: 'etc/.wh..', mode: 0o644 },
    { name: 'etc/.wh.' },
    { name: 'opaque/.wh..wh..opq' },
    { name: 'opaque/file' },
    { name: '.wh.again' },
    { name: 'again/', type: 'dir' },
    { name: 'before/', type: 'dir' },
    { name: '.wh.before' },
    { name: '.wh.implied' },
    { name: 'implied/file' },
    { name: '.wh.file' },
    { name: 'file' },
    { name: 'late', type: 'hardlink', linkname: 'later' },
    { name: 'later', size: 7 },
  ];
  const marks = [
    ['trusted.overlay.opaque', 'y'],
    ['user.overlay.opaque', 'y'],
  ];
  const table = treeOf([layer], 'overlayfs');
  checkTree(table.bytes, 1);
  t.strictSame(
    paths(table).map(line => line.replace(/ .*/, '')),
    [
      '/',
      '/again',
      '/before',
      '/etc',
      '/file',
      '/implied',
      '/late',
      '/later',
      '/opaque',
      '/etc/gone',
      '/implied/file',
      '/opaque/file',
    ],
  );
  const gone = inodeAt(table, 'etc/gone');
  t.strictSame([table.mode(gone), table.rdev(gone)], [0o020000, 0]);
  for (const path of ['opaque', 'again', 'before', 'implied']) {
    t.strictSame([...table.xattrs(inodeAt(table, path))], marks, path);
  }
  for (const path of ['etc', 'file']) t.strictSame([...table.xattrs(inodeAt(table, path))], [], path);
  t.equal(inodeAt(table, 'late'), inodeAt(table, 'later'), 'a hard link to what comes after it');
  const kept = treeOf([layer], 'keep');
  t.equal(kept.kindOf(inodeAt(kept, 'opaque/.wh..wh..opq')), KIND.reg);
  t.equal(kept.kindOf(inodeAt(kept, '.wh.again')), KIND.reg);
});

t.test('hard links to each other lead nowhere; chains of later ones do', async t => {
  const chain = Array.from(
    { length: 10 },
    (_, i): SampleEntry => ({
      name: `link${i}`,
      type: 'hardlink',
      linkname: i === 9 ? 'file' : `link${i + 1}`,
    }),
  );
  const circle: SampleEntry[] = [
    { name: 'x', type: 'hardlink', linkname: 'y' },
    { name: 'y', type: 'hardlink', linkname: 'x' },
  ];
  const table = treeOf([[...chain, ...circle, { name: 'file' }]], 'keep');
  t.equal(table.nlink(inodeAt(table, 'link0')), 11);
  t.strictSame(
    [table.kindOf(inodeAt(table, 'x')), table.kindOf(inodeAt(table, 'y'))],
    [KIND.missing, KIND.missing],
  );
});

t.test('at most 120 bytes an inode beside names', async t => {
  const entries = Array.from(
    { length: 20_000 },
    (_, i): SampleEntry => ({ name: `dir-${i % 100}/file-${i}` }),
  );
  const table = treeOf([entries]);
  let names = 0;
  for (let name = 0; name < table.nameCount; name += 1) names += table.text(name).length;
  const each = (table.bytes.length - names) / table.inodeCount;
  t.ok(each <= 120, `${each} bytes an inode`);
});

t.test('written and read again, in shared memory too', async t => {
  const table = treeOf([SAMPLE]);
  const shared = new Uint8Array(new SharedArrayBuffer(table.bytes.length + 3), 3);
  shared.set(table.bytes);
  const again = checkTree(shared, 1);
  t.strictSame(paths(again), paths(table));
  t.equal(again.linkTarget(inodeAt(again, 'usr/link')), '../usr/tool');
});

/** Reads all that a tree can be asked for. */
function readAll(table: TreeTable): number {
  let bytes = 0;
  for (let name = 0; name < table.nameCount; name += 1) {
    const inode = table.inode(name);
    bytes += table.path(name).length + table.mtime(inode).nanoseconds + table.size(inode);
    if (name !== 0) t.equal(table.child(table.parent(name), table.text(name)), name);
    if (table.kindOf(inode) === KIND.symlink) bytes += table.linkTarget(inode).length;
    for (const [key, value] of table.xattrs(inode)) bytes += key.length + value.length;
  }
  return bytes;
}

t.test('damaged anywhere: refused, or still a tree', async t => {
  const { bytes } = treeOf([SAMPLE]);
  const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }));
  let refused = 0;
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), changes => {
      const damaged = new Uint8Array(bytes);
      for (const [at, mask] of changes) damaged[at] = (damaged[at] as number) ^ mask;
      try {
        readAll(checkTree(damaged, 1));
      } catch (error) {
        if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_TREE_FORMAT') throw error;
        refused += 1;
      }
    }),
    { numRuns: 3000 },
  );
  t.ok(refused > 300, `${refused} refused`);
});

t.test('cut, grown, of other layers, of another version', async t => {
  const { bytes } = treeOf([SAMPLE]);
  const fails = (damaged: Uint8Array, message: RegExp, layers = 1): void => {
    t.throws(() => checkTree(damaged, layers), { code: 'ERR_SOCI_TREE_FORMAT', message });
  };
  for (let length = 0; length < bytes.length; length += 7) fails(bytes.slice(0, length), /bytes/);
  fails(Buffer.concat([bytes, Buffer.alloc(1)]), /its parts/);
  fails(bytes, /layers/, 2);
  const set = (offset: number, value: number): Uint8Array => {
    const copy = new Uint8Array(bytes);
    new DataView(copy.buffer).setUint32(offset, value, true);
    return copy;
  };
  fails(set(HEADER.version, 2), /version/);
  fails(set(HEADER.byteOrder, 0x0d0c0b0a), /byte order/);
  fails(set(HEADER.inodes, 0xffffffff), /its parts/);
  fails(set(0, 0), /begins/);
  const usr = inodeAt(new TreeTable(bytes), 'usr') * 64;
  fails(set(usr + INODE.first, 1), /children/);
  fails(set(usr + INODE.count, 0xffffffff), /children/);
});

t.test('a directory that is in itself', async t => {
  const bytes = new Uint8Array(treeOf([[{ name: 'a', type: 'dir' }]]).bytes);
  const view = new DataView(bytes.buffer);
  const inode = (number: number, fields: Partial<Record<keyof typeof INODE, number>>): void => {
    for (const [field, value] of Object.entries(fields)) {
      view.setUint32(number * INODE_BYTES + INODE[field as keyof typeof INODE], value, true);
    }
  };
  inode(1, { count: 0, nlink: 2 });
  inode(2, { first: 1, count: 1, nlink: 3 });
  view.setUint32(HEADER_BYTES + 2 * INODE_BYTES + NAME_BYTES + NAME.parent, 2, true);
  // Nothing in it contradicts anything else; without this refusal its path would never end.
  t.throws(() => checkTree(bytes, 1), { code: 'ERR_SOCI_TREE_FORMAT', message: /no directory before/ });
});

t.test('strings that are shared over and over do not cost their product', async t => {
  const entries = Array.from(
    { length: 3000 },
    (_, i): SampleEntry => ({
      name: `file-${String(i).padStart(4, '0')}`,
      pax: [['SCHILY.xattr.user.note', 'x'.repeat(100)]],
    }),
  );
  const table = treeOf([entries]);
  const bytes = new Uint8Array(table.bytes);
  const view = new DataView(bytes.buffer);
  const first = inodeAt(table, 'file-0000') * 64;
  for (let i = 0; i < 3000; i += 1) {
    view.setUint32(first + i * 64 + INODE.xattrs, view.getUint32(first + INODE.xattrs, true), true);
    view.setUint32(first + i * 64 + INODE.xattrCount, i < 1 ? 1 : 2000, true);
  }
  t.throws(() => checkTree(bytes, 1), { code: 'ERR_SOCI_TREE_FORMAT' });
});

t.test('one walk: 40 links, 16384 bytes of their targets', async t => {
  const chain = Array.from(
    { length: 41 },
    (_, i): SampleEntry => ({
      name: `s${i + 1}`,
      type: 'symlink',
      linkname: i === 0 ? 'file' : `s${i}`,
    }),
  );
  const table = treeOf([
    [
      { name: 'file' },
      ...chain,
      { name: 'far', type: 'symlink', linkname: `${'./'.repeat(8000)}file` },
      { name: 'farther', type: 'symlink', linkname: `${'./'.repeat(8192)}file` },
    ],
  ]);
  const walk = (path: string) => walkPath(table, path, { followLast: true });
  t.equal(walk('s40'), walk('file'));
  t.match(walk('s41'), { code: 'ELOOP' });
  t.equal(walk('far'), walk('file'));
  t.match(walk('farther'), { code: 'ELOOP', detail: /16384 bytes/ });
  t.equal(walk('../..'), ROOT);
});
