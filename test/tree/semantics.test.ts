/**
 * What a container sees of layers that real tools read in different ways: each case is what containerd 2.1.9 and
 * 1.6.20 with their overlayfs snapshotters make of it (buildah's overlay driver agrees but where it refuses the
 * layer), and beside it what the specification says. `refused`: containerd does not unpack the layer.
 */
import t from 'tap';
import { SociError } from '../../lib/errors.js';
import type { PaxPair } from '../../lib/tar/entry.js';
import { Freezer } from '../../lib/tree/freeze.js';
import { InodeTree } from '../../lib/tree/inode-tree.js';
import type { LayerNote, NoteKind, Semantics } from '../../lib/tree/layer-note.js';
import { KIND } from '../../lib/tree/node-kind.js';
import { Overlay } from '../../lib/tree/overlay.js';
import { NONE, walkPath } from '../../lib/tree/path-walk.js';
import { ROOT_INODE, type TreeTable } from '../../lib/tree/tree-table.js';
import { layerOf, type SampleEntry } from './sample-toc.js';

/** 'path/' a directory, 'path' a file, 'path -> target', 'path = target', 'path c0,0' a device. */
type Line = string | SampleEntry;

function entryOf(line: Line): SampleEntry {
  if (typeof line !== 'string') return line;
  const [, name = '', arrow, linkname = ''] = /^(.*?)(?: (->|=) (.*))?$/.exec(line) ?? [];
  if (arrow === '->') return { name, type: 'symlink', linkname };
  if (arrow === '=') return { name, type: 'hardlink', linkname };
  const [, device, major, minor] = /^(.*) c(\d+),(\d+)$/.exec(line) ?? [];
  if (device !== undefined) {
    return { name: device, type: 'char', devmajor: Number(major), devminor: Number(minor) };
  }
  return name.endsWith('/') ? { name, type: 'dir', mode: 0o700 } : { name };
}

interface Read {
  readonly table: TreeTable;
  readonly notes: readonly LayerNote[];
}

function read(layers: readonly (readonly Line[])[], semantics: Semantics): Read {
  const tree = new InodeTree(1e6);
  const overlay = new Overlay(tree, 'apply', semantics);
  const frozen = layers.map(lines => layerOf(lines.map(entryOf)));
  for (const { ztoc } of frozen) overlay.apply(ztoc);
  const steps = new Freezer(tree, frozen, 'unpacked').run(Number.POSITIVE_INFINITY);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return { table: step.value, notes: overlay.notes.all };
  }
}

const SUFFIX: Readonly<Partial<Record<number, string>>> = {
  [KIND.dir]: '/',
  [KIND.symlink]: '@',
  [KIND.char]: ' device',
  [KIND.missing]: ' missing',
};

/** Every path: 'dir/', 'link@', 'file 1' with the layer that its bytes are of, 'dir/ implied'. */
function listing({ table }: Read): string[] {
  const shown: string[] = [];
  for (let name = 1; name < table.nameCount; name += 1) {
    const ino = table.inode(name);
    const kind = table.kind(name);
    const implied = kind === KIND.dir && table.entry(ino) === NONE ? ' implied' : '';
    const layer = kind === KIND.reg ? ` ${table.layer(ino)}` : '';
    shown.push(`${table.path(name).slice(1)}${SUFFIX[kind] ?? ''}${implied}${layer}`);
  }
  return shown.sort();
}

function inodeAt({ table }: Read, path: string): number {
  const found = walkPath(table, path, { followLast: false });
  if (typeof found !== 'number') throw new SociError('ENOENT', path);
  return table.inode(found);
}

interface Case {
  readonly layers: readonly (readonly Line[])[];
  readonly container: readonly string[];
  /** Default: as a container sees it. */
  readonly spec?: readonly string[];
  readonly notes?: readonly NoteKind[];
}

const LOWER = ['a/', 'a/b/', 'a/b/old'];
const USR = ['usr/', 'usr/lib/', 'usr/lib/old', 'lib -> usr/lib'];
const BELOW_LIB = ['usr/', 'usr/lib/'];

const CASES: Readonly<Record<string, Case>> = {
  'an opaque mark behind what is new': {
    layers: [
      ['d/', 'd/old'],
      ['d/new', 'd/.wh..wh..opq'],
    ],
    container: ['d/', 'd/new 1'],
  },
  'an opaque mark between two new files, one with an old name': {
    layers: [
      ['d/', 'd/old', 'd/x'],
      ['d/old', 'd/.wh..wh..opq', 'd/y'],
    ],
    container: ['d/', 'd/old 1', 'd/y 1'],
  },
  'a whiteout, then a file': {
    layers: [
      ['a/', 'a/b'],
      ['a/.wh.b', 'a/b'],
    ],
    container: ['a/', 'a/b 1'],
  },
  'a whiteout, then a directory': {
    layers: [LOWER, ['a/.wh.b', 'a/b/', 'a/b/new']],
    container: ['a/', 'a/b/', 'a/b/new 1', 'a/b/old 0'],
    spec: ['a/', 'a/b/', 'a/b/new 1'],
    notes: ['directory after its whiteout'],
  },
  'a file, then its whiteout': {
    layers: [
      ['a/', 'a/b'],
      ['a/b', 'a/.wh.b'],
    ],
    container: ['a/', 'a/b 1'],
    notes: ['whiteout after its entry'],
  },
  'a directory, then its whiteout': {
    layers: [LOWER, ['a/b/', 'a/b/new', 'a/.wh.b']],
    container: ['a/', 'a/b/', 'a/b/new 1'],
    notes: ['whiteout after its entry'],
  },
  'a file over a directory, then what was below it': {
    layers: [['d/', 'd/c1', 'd/c2'], ['d'], ['d/x']],
    container: ['d/ implied', 'd/x 2'],
  },
  'a file and its child in one layer': {
    layers: [['d', 'd/x']],
    container: ['d/ implied', 'd/x 0'],
    notes: ['path through a file'],
  },
  'a hard link to a file of a lower layer': {
    layers: [['f'], ['g = f']],
    container: ['f 0', 'g 0'],
    notes: ['link to a lower file'],
  },
  'a hard link to a file that the layer hides': {
    layers: [
      ['f', 'g'],
      ['.wh.f', 'g = f'],
    ],
    container: [],
    spec: ['g missing'],
    notes: ['link to a hidden file'],
  },
  'a hard link before its target': {
    layers: [['g = f', 'f']],
    container: ['f 0', 'g missing'],
    notes: ['link to nothing'],
  },
  'a hard link before its target, which a lower layer has': {
    layers: [['f'], ['g = f', 'f']],
    container: ['f 1', 'g 0'],
    notes: ['link to a lower file'],
  },
  'a second name of a symbolic link': { layers: [['s -> nowhere', 'l = s']], container: ['l@', 's@'] },
  'names that are not clean': {
    layers: [['etc/', '/etc/x', './../../etc/y', 'a/../b', 's -> etc', 's/../z']],
    container: ['b 0', 'etc/', 'etc/x 0', 'etc/y 0', 's@', 'z 0'],
  },
  'a file below a symbolic link of a lower layer': {
    layers: [USR, ['lib/foo']],
    container: [...BELOW_LIB, 'usr/lib/old 0', 'lib/ implied', 'lib/foo 1'],
    spec: [...BELOW_LIB, 'usr/lib/old 0', 'usr/lib/foo 1', 'lib@'],
    notes: ['path through a lower link'],
  },
  'a whiteout below a symbolic link of a lower layer': {
    layers: [USR, ['lib/.wh.old']],
    container: [...BELOW_LIB, 'usr/lib/old 0', 'lib/ implied'],
    spec: [...BELOW_LIB, 'lib@'],
    notes: ['path through a lower link'],
  },
  'an opaque mark below a symbolic link of a lower layer': {
    layers: [USR, ['lib/.wh..wh..opq']],
    container: [...BELOW_LIB, 'usr/lib/old 0', 'lib/ implied'],
    spec: [...BELOW_LIB, 'lib@'],
    notes: ['path through a lower link'],
  },
  'a directory in place of a symbolic link': {
    layers: [USR, ['lib/', 'lib/foo']],
    container: [...BELOW_LIB, 'usr/lib/old 0', 'lib/', 'lib/foo 1'],
  },
  'a symbolic link and what is below it in one layer': {
    layers: [
      ['usr/', 'usr/lib/', 'usr/lib/old'],
      ['lib -> usr/lib', 'lib/foo'],
    ],
    container: [...BELOW_LIB, 'usr/lib/old 0', 'usr/lib/foo 1', 'lib@'],
  },
  'a file written after a link to it, and the link again': {
    layers: [['f', 'g = f', 'f', 'g = f']],
    container: ['f 0', 'g 0'],
  },
  'a hard link to itself': { layers: [['f'], ['f = f']], container: ['f 0'], notes: ['link to itself'] },
  'whiteouts of no name': {
    layers: [['a'], ['.wh.', '.wh..']],
    container: ['a 0'],
    notes: ['whiteout of no name', 'whiteout of no name'],
  },
  'marks that aufs keeps for itself': {
    layers: [['a'], ['.wh..wh.aufs', '.wh..wh.orph/', '.wh..wh.foo', '.wh..wh.plnk/1.2', '.wh.b/x']],
    container: ['a 0', '.wh..wh.plnk/ implied', '.wh..wh.plnk/1.2 1', '.wh.b/ implied', '.wh.b/x 1'],
  },
  'whiteouts of every type': {
    layers: [
      ['a', 'b', 'c'],
      ['.wh.a/', '.wh.b -> x', { name: '.wh.c', size: 5 }],
    ],
    container: [],
  },
  'a device 0/0 over a file': {
    layers: [
      ['f', 'g'],
      ['f c0,0', 'new c0,0'],
    ],
    container: ['g 0'],
    spec: ['f device', 'g 0', 'new device'],
    notes: ['whiteout device', 'whiteout device'],
  },
  'a device 0/0 over a directory, then that directory': {
    layers: [LOWER, ['a c0,0', 'a/', 'a/new']],
    container: ['a/', 'a/b/', 'a/b/old 0', 'a/new 1'],
    spec: ['a/', 'a/new 1'],
    notes: ['whiteout device', 'directory after its whiteout'],
  },
  'other devices are devices': { layers: [['null c1,3']], container: ['null device'] },
  'the same layer again': { layers: [['a', 'b'], ['.wh.a'], ['a', 'b']], container: ['a 2', 'b 2'] },
  'whiteouts of nothing': {
    layers: [['a'], ['.wh.nope', 'nodir/.wh.nope', 'other/.wh..wh..opq']],
    container: ['a 0', 'nodir/ implied', 'other/ implied'],
  },
  'a whiteout below a file of a lower layer': { layers: [['x'], ['x/.wh.nope']], container: ['x/ implied'] },
  'a whiteout below a whiteout': {
    layers: [
      ['d/', 'd/e/', 'd/e/x', 'd/y'],
      ['.wh.d', 'd/e/.wh.x'],
    ],
    container: ['d/ implied', 'd/e/ implied'],
    notes: ['path through a whiteout'],
  },
  'a file and a whiteout below it in one layer': {
    layers: [
      ['d/', 'd/e'],
      ['d', 'd/.wh.e'],
    ],
    container: ['d 1'],
    notes: ['whiteout below a file'],
  },
};

for (const [title, { layers, container, spec = container, notes = [] }] of Object.entries(CASES)) {
  t.test(title, async t => {
    const seen = read(layers, 'overlay');
    t.strictSame(listing(seen), [...container].sort(), 'as a container sees it');
    t.strictSame(listing(read(layers, 'spec')), [...spec].sort(), 'as the specification says');
    t.strictSame(
      seen.notes.map(({ kind }) => kind),
      notes,
    );
  });
}

t.test('a note says where, and what each reading does', async t => {
  const { notes } = read([USR, ['lib/foo']], 'overlay');
  t.match(notes, [{ layer: 1, path: '/lib/foo', overlay: /takes the place/, spec: /is followed/ }]);
  const many = Array.from({ length: 3000 }, (_, i) => `f${i}/.wh.`);
  t.equal(read([many], 'overlay').notes.length, 1000);
});

const xattrs = (pairs: Readonly<Record<string, string>>): readonly PaxPair[] =>
  Object.entries(pairs).map(([name, value]) => [`SCHILY.xattr.${name}`, value]);

/** Rules that all runtimes share, whoever puts the layers together. */
for (const semantics of ['overlay', 'spec'] as const) {
  t.test(`attributes: ${semantics}`, async t => {
    await t.test('the last header of a file counts, and the xattrs of all', async t => {
      const tree = read(
        [
          [
            {
              name: 'f',
              mode: 0o600,
              uid: 5,
              gid: 6,
              size: 3,
              pax: xattrs({ 'user.a': '1', 'user.c': '1' }),
            },
            {
              name: 'g',
              type: 'hardlink',
              linkname: 'f',
              mode: 0o755,
              uid: 9,
              gid: 9,
              pax: xattrs({ 'user.b': '2' }),
            },
            {
              name: 'h',
              type: 'hardlink',
              linkname: 'f',
              mode: 0o755,
              uid: 9,
              gid: 9,
              pax: xattrs({ 'user.c': '3' }),
            },
          ],
        ],
        semantics,
      );
      const ino = inodeAt(tree, 'f');
      const { table } = tree;
      t.strictSame([table.mode(ino) & 0o7777, table.uid(ino), table.gid(ino)], [0o755, 9, 9]);
      t.equal(table.size(ino), 3, 'a link has no bytes of its own');
      t.equal(table.nlink(ino), 3);
      t.strictSame(
        [...table.xattrs(ino)],
        [
          ['user.a', '1'],
          ['user.b', '2'],
          ['user.c', '3'],
        ],
      );
    });

    await t.test('what a further name of a link or a device says of itself is not what it is', async t => {
      const again = (linkname: string): SampleEntry => ({
        name: `${linkname}2`,
        type: 'hardlink',
        linkname,
        mode: 0o600,
        uid: 1,
      });
      const layer: Line[] = ['s -> target', again('s'), 'null c1,3', again('null')];
      const tree = read([layer], semantics);
      t.equal(tree.table.linkTarget(inodeAt(tree, 's')), 'target');
      t.equal(tree.table.rdev(inodeAt(tree, 'null')), 0x103);
      t.strictSame([tree.table.uid(inodeAt(tree, 's')), tree.table.uid(inodeAt(tree, 'null'))], [1, 1]);
    });

    await t.test("a directory's header twice in a layer: the last one, and the xattrs of both", async t => {
      const dir = (mode: number, pairs: Readonly<Record<string, string>>): SampleEntry => ({
        name: 'd/',
        type: 'dir',
        mode,
        pax: xattrs(pairs),
      });
      const layers = [
        [dir(0o700, { 'user.0': 'x' })],
        [dir(0o711, { 'user.a': '1' }), dir(0o755, { 'user.b': '2' })],
      ];
      const tree = read(layers, semantics);
      const ino = inodeAt(tree, 'd');
      t.equal(tree.table.mode(ino) & 0o7777, 0o755);
      t.strictSame(
        [...tree.table.xattrs(ino)],
        [
          ['user.a', '1'],
          ['user.b', '2'],
        ],
        'and nothing of the lower layer',
      );
    });

    await t.test('a file that is there twice is the second one alone', async t => {
      const tree = read([[{ name: 'f', pax: xattrs({ 'user.a': '1' }) }, { name: 'f' }]], semantics);
      t.strictSame([...tree.table.xattrs(inodeAt(tree, 'f'))], []);
    });

    await t.test("the kernel's own xattrs are no layer's to set", async t => {
      const pax = xattrs({ 'trusted.overlay.opaque': 'y', 'user.overlay.opaque': 'y', 'trusted.x': '1' });
      const tree = read([['d/', 'd/lower'], [{ name: 'd/', type: 'dir', pax }]], semantics);
      t.strictSame([...tree.table.xattrs(inodeAt(tree, 'd'))], [['user.overlay.opaque', 'y']]);
      t.ok(inodeAt(tree, 'd/lower'), 'nothing is hidden by it');
    });

    await t.test('times that no nanoseconds from 1970 can say are 1970', async t => {
      const times = {
        '1969-12-31T23:59:58.5Z': 0,
        '1901-01-01T00:00:00Z': 0,
        '2500-01-01T00:00:00Z': 0,
        '2262-04-11T23:47:16Z': 9223372036,
        '2024-02-29T12:34:56.25Z': 1709210096.25,
      };
      for (const [modTime, seconds] of Object.entries(times)) {
        const { table } = read([[{ name: 'f', modTime }]], semantics);
        const mtime = table.mtime(ROOT_INODE + 1);
        t.equal(mtime.seconds + mtime.nanoseconds / 1e9, seconds, modTime);
      }
    });

    await t.test('symbolic links are 0777, and nobody is the owner 2^32-1', async t => {
      const id = 2 ** 32 - 1;
      const link: SampleEntry = {
        name: 's',
        type: 'symlink',
        linkname: 'x',
        mode: 0o644,
        uid: id,
        gid: id - 1,
      };
      const tree = read([[link]], semantics);
      const ino = inodeAt(tree, 's');
      t.strictSame([tree.table.mode(ino), tree.table.uid(ino), tree.table.gid(ino)], [0o120777, 0, id - 1]);
    });
  });
}
