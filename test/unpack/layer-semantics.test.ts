/**
 * Layers that tools read in different ways, unpacked. `container` is the merged tree that a container sees (what
 * containerd's overlayfs snapshotter and the kernel make of them), `spec` what the specification says, `layers` each
 * layer's directory as overlayfs wants it. Files hold the position of their layer.
 */
import { join } from 'node:path';
import t from 'tap';
import type { Semantics } from '../../lib/tree/layer-note.js';
import { unpackWith } from '../../lib/unpack/unpack-image.js';
import type { UnpackTarget } from '../../lib/unpack/unpack-options.js';
import { listDisk } from './disk-walk.js';
import { IS_ROOT, OPEN, scratchFolder } from './fixture.js';
import { type Line, tarOf } from './sample-tar.js';

interface Row {
  readonly tar: readonly (readonly Line[])[];
  readonly container: readonly string[] | Refusal;
  /** Default: what a container sees. */
  readonly spec?: readonly string[] | Refusal;
  readonly layers: readonly (readonly string[])[] | Refusal;
  /** Default: the same. */
  readonly specLayers?: readonly (readonly string[])[];
}

interface Refusal {
  readonly code: string;
}

const NO_TARGET: Refusal = { code: 'ERR_SOCI_LINK_TARGET' };
const LOWER = ['a/', 'a/b/', 'a/b/old'];
const LOWER_FILES = ['a/', 'a/b/', 'a/b/old 0'];
const USR = ['usr/', 'usr/lib/', 'usr/lib/old', 'lib -> usr/lib'];
const USR_FILES = ['lib -> usr/lib', 'usr/', 'usr/lib/', 'usr/lib/old 0'];

const ROWS: Readonly<Record<string, Row>> = {
  'A1 an opaque mark behind what is new': {
    tar: [
      ['d/', 'd/old'],
      ['d/new', 'd/.wh..wh..opq'],
    ],
    container: ['d/', 'd/new 1'],
    layers: [
      ['d/', 'd/old 0'],
      ['d/ opaque', 'd/new 1'],
    ],
  },
  'A1 an opaque mark between two new files, one with an old name': {
    tar: [
      ['d/', 'd/old', 'd/x'],
      ['d/old', 'd/.wh..wh..opq', 'd/y'],
    ],
    container: ['d/', 'd/old 1', 'd/y 1'],
    layers: [
      ['d/', 'd/old 0', 'd/x 0'],
      ['d/ opaque', 'd/old 1', 'd/y 1'],
    ],
  },
  'A2 a whiteout, then a file': {
    tar: [
      ['a/', 'a/b'],
      ['a/.wh.b', 'a/b'],
    ],
    container: ['a/', 'a/b 1'],
    layers: [
      ['a/', 'a/b 0'],
      ['a/', 'a/b 1'],
    ],
  },
  'A2 a whiteout, then a directory': {
    tar: [LOWER, ['a/.wh.b', 'a/b/', 'a/b/new']],
    container: ['a/', 'a/b/', 'a/b/new 1', 'a/b/old 0'],
    spec: ['a/', 'a/b/', 'a/b/new 1'],
    layers: [LOWER_FILES, ['a/', 'a/b/', 'a/b/new 1']],
    specLayers: [LOWER_FILES, ['a/', 'a/b/ opaque', 'a/b/new 1']],
  },
  'A2 a file, then its whiteout': {
    tar: [
      ['a/', 'a/b'],
      ['a/b', 'a/.wh.b'],
    ],
    container: ['a/', 'a/b 1'],
    layers: [
      ['a/', 'a/b 0'],
      ['a/', 'a/b 1'],
    ],
  },
  'A2 a directory, then its whiteout': {
    tar: [LOWER, ['a/b/', 'a/b/new', 'a/.wh.b']],
    container: ['a/', 'a/b/', 'a/b/new 1'],
    layers: [LOWER_FILES, ['a/', 'a/b/ opaque', 'a/b/new 1']],
  },
  'A3 a file over a directory, then what was below it': {
    tar: [['d/', 'd/c1', 'd/c2'], ['d'], ['d/x']],
    container: ['d/', 'd/x 2'],
    layers: [['d/', 'd/c1 0', 'd/c2 0'], ['d 1'], ['d/', 'd/x 2']],
  },
  'A3 a file and its child in one layer': {
    tar: [['d', 'd/x']],
    container: ['d/', 'd/x 0'],
    layers: [['d/', 'd/x 0']],
  },
  'A4 a hard link to a file of a lower layer': {
    tar: [['f'], ['g = f']],
    container: ['f 0', 'g 0'],
    layers: NO_TARGET,
  },
  'A4 a hard link to a file that the layer hides': {
    tar: [
      ['f', 'g'],
      ['.wh.f', 'g = f'],
    ],
    container: [],
    spec: NO_TARGET,
    layers: [
      ['f 0', 'g 0'],
      ['f c0,0', 'g c0,0'],
    ],
  },
  'A5 a hard link before its target': {
    tar: [['g = f', 'f']],
    container: NO_TARGET,
    layers: [['f 0', 'g 0']],
  },
  'A5 a hard link before its target, which a lower layer has': {
    tar: [['f'], ['g = f', 'f']],
    container: ['f 1', 'g 0'],
    layers: [['f 0'], ['f 1', 'g 1']],
  },
  'A6 a second name of a symbolic link': {
    tar: [['s -> nowhere', 'l = s']],
    container: ['l -> nowhere', 's -> nowhere'],
    layers: [['l -> nowhere', 's -> nowhere']],
  },
  'A7 names that are not clean': {
    tar: [['etc/', '/etc/x', './../../etc/y', 'a/../b', 's -> etc', 's/../z', 'h = ../../etc/x']],
    container: ['b 0', 'etc/', 'etc/x 0', 'etc/y 0', 'h 0', 's -> etc', 'z 0'],
    layers: [['b 0', 'etc/', 'etc/x 0', 'etc/y 0', 'h 0', 's -> etc', 'z 0']],
  },
  'A8 a file below a symbolic link of a lower layer': {
    tar: [USR, ['lib/foo']],
    container: ['lib/', 'lib/foo 1', 'usr/', 'usr/lib/', 'usr/lib/old 0'],
    spec: ['lib -> usr/lib', 'usr/', 'usr/lib/', 'usr/lib/foo 1', 'usr/lib/old 0'],
    layers: [USR_FILES, ['lib/', 'lib/foo 1']],
  },
  'A8 a whiteout below a symbolic link of a lower layer': {
    tar: [USR, ['lib/.wh.old']],
    container: ['lib/', 'usr/', 'usr/lib/', 'usr/lib/old 0'],
    spec: ['lib -> usr/lib', 'usr/', 'usr/lib/'],
    layers: [USR_FILES, ['lib/', 'lib/old c0,0']],
  },
  'A8 an opaque mark below a symbolic link of a lower layer': {
    tar: [USR, ['lib/.wh..wh..opq']],
    container: ['lib/', 'usr/', 'usr/lib/', 'usr/lib/old 0'],
    spec: ['lib -> usr/lib', 'usr/', 'usr/lib/'],
    layers: [USR_FILES, ['lib/ opaque']],
  },
  'A8 a link out of the image, and what is below it in one layer': {
    tar: [['up -> ../../..', 'up/x', 'abs -> /etc', 'etc/', 'abs/y', 'gone -> nowhere', 'gone/z']],
    container: [
      'abs -> /etc',
      'etc/',
      'etc/y 0',
      'gone -> nowhere',
      'nowhere/',
      'nowhere/z 0',
      'up -> ../../..',
      'x 0',
    ],
    layers: [
      [
        'abs -> /etc',
        'etc/',
        'etc/y 0',
        'gone -> nowhere',
        'nowhere/',
        'nowhere/z 0',
        'up -> ../../..',
        'x 0',
      ],
    ],
  },
  'A8 links that loop': {
    tar: [['a -> b', 'b -> a', 'a/x', 'c']],
    container: { code: 'ELOOP' },
    layers: { code: 'ELOOP' },
  },
  'A11 a file written after a link to it, and the link again': {
    tar: [['f', 'g = f', 'f', 'g = f']],
    container: ['f 0', 'g 0'],
    layers: [['f 0', 'g 0']],
  },
  'A11 a hard link to itself': {
    tar: [['f'], ['f = f']],
    container: ['f 0'],
    layers: NO_TARGET,
  },
  'A12 whiteouts of no name': {
    tar: [['a'], ['.wh.', '.wh..']],
    container: ['a 0'],
    layers: [['a 0'], []],
  },
  'A13 marks that aufs keeps for itself': {
    tar: [['a'], ['.wh..wh.aufs', '.wh..wh.orph/', '.wh..wh.foo', '.wh..wh.plnk/1.2', '.wh.b/x']],
    container: ['.wh..wh.plnk/', '.wh..wh.plnk/1.2 1', '.wh.b/', '.wh.b/x 1', 'a 0'],
    layers: [['a 0'], ['.wh..wh.plnk/', '.wh..wh.plnk/1.2 1', '.wh.b/', '.wh.b/x 1']],
  },
  'A13 whiteouts of every type': {
    tar: [
      ['a', 'b', 'c', 'd'],
      ['.wh.a/', '.wh.b -> x', { name: '.wh.c', body: 'bytes' }, '.wh.d c1,3'],
    ],
    container: [],
    layers: [
      ['a 0', 'b 0', 'c 0', 'd 0'],
      ['a c0,0', 'b c0,0', 'c c0,0', 'd c0,0'],
    ],
  },
  'A14 a device 0/0': {
    tar: [
      ['f', 'g'],
      ['f c0,0', 'new c0,0', 'null c1,3'],
    ],
    container: ['g 0', 'null c1,3'],
    spec: ['f c0,0', 'g 0', 'new c0,0', 'null c1,3'],
    layers: [
      ['f 0', 'g 0'],
      ['f c0,0', 'new c0,0', 'null c1,3'],
    ],
  },
  'A17 the same layer again': {
    tar: [['a', 'b'], ['.wh.a'], ['a', 'b']],
    container: ['a 2', 'b 2'],
    layers: [['a 0', 'b 0'], ['a c0,0'], ['a 2', 'b 2']],
  },
  'A18 whiteouts of nothing': {
    tar: [['a'], ['.wh.nope', 'nodir/.wh.nope', 'other/.wh..wh..opq']],
    container: ['a 0', 'nodir/', 'other/'],
    layers: [['a 0'], ['nodir/', 'nodir/nope c0,0', 'nope c0,0', 'other/ opaque']],
  },
  'A18 a whiteout below a file of a lower layer': {
    tar: [['x'], ['x/.wh.nope']],
    container: ['x/'],
    layers: [['x 0'], ['x/', 'x/nope c0,0']],
  },
  'A18 a whiteout below a whiteout': {
    tar: [
      ['d/', 'd/e/', 'd/e/x', 'd/y'],
      ['.wh.d', 'd/e/.wh.x'],
    ],
    container: ['d/', 'd/e/'],
    layers: [
      ['d/', 'd/e/', 'd/e/x 0', 'd/y 0'],
      ['d/ opaque', 'd/e/', 'd/e/x c0,0'],
    ],
  },
  'A18 a file and a whiteout below it in one layer': {
    tar: [
      ['d/', 'd/e'],
      ['d', 'd/.wh.e'],
    ],
    container: ['d 1'],
    layers: [['d/', 'd/e 0'], ['d 1']],
  },
};

/** A16, A19, A20 and the rest of A9, A10 and A15 are about attributes: attributes.test.ts. */
for (const [title, { tar, container, spec = container, layers, specLayers = layers }] of Object.entries(
  ROWS,
)) {
  t.test(title, { skip: !IS_ROOT && 'not root' }, async t => {
    const cases = [
      ['merged', 'overlay', container],
      ['merged', 'spec', spec],
      ['overlay', 'overlay', layers],
      ['overlay', 'spec', specLayers],
    ] as const;
    for (const [target, semantics, expected] of cases) {
      const found = await unpacked(scratchFolder(t), tar, target, semantics);
      t.strictSame(found, expected, `${target}, ${semantics}`);
    }
  });
}

async function unpacked(
  folder: string,
  tar: Row['tar'],
  target: UnpackTarget,
  semantics: Semantics,
): Promise<string[] | string[][] | { readonly code: unknown }> {
  const directory = join(folder, 'root');
  const layers = tar.map((lines, position) => ({ content: tarOf(lines, String(position)) }));
  try {
    await unpackWith({ target, directory, layers, semantics }, OPEN);
  } catch (error) {
    return { code: (error as { readonly code?: unknown }).code };
  }
  if (target === 'merged') return listDisk(directory);
  return tar.map((_, position) => listDisk(join(directory, String(position))));
}
