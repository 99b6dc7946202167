/**
 * `pull rootfs:` and `pull overlay:` of a real registry, held against what others make of the same image: containerd's
 * overlayfs snapshotter, layer by layer and mounted; umoci; and the kernel, which mounts what we wrote.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { hostPlatform } from '../../lib/registry/platform.js';
import { spawned as command } from '../cli/run-command.js';
import { packLayer, pushImage, type SampleLayer } from '../image/sample-image.js';
import { openRepository } from '../registry/fixture.js';
import { type DiskEntry, walkDisk } from '../unpack/disk-walk.js';
import { type Line, type SampleMember, tarOf } from '../unpack/sample-tar.js';
import { Containerd } from './support/containerd.js';
import { DockerRegistry } from './support/docker-registry.js';
import { run } from './support/process.js';
import { writeSampleTree } from './support/sample-tree.js';
import { needs } from './support/tools.js';
import { workspace } from './support/workspace.js';

const skip =
  (process.geteuid?.() !== 0 && 'not root') ||
  needs('docker-registry', 'skopeo', 'umoci', 'containerd', 'ctr', 'tar');

const xattrs = (pairs: Readonly<Record<string, string>>): ReadonlyMap<string, Uint8Array> =>
  new Map(Object.entries(pairs).map(([name, value]) => [name, Buffer.from(value, 'latin1')]));
const CAPABILITY = `\x01\x00\x00\x02\x00\x20${'\x00'.repeat(14)}`;
const OWNED = { uid: 5, gid: 6, mtime: 1_600_000_000, nanoseconds: 123_456_789 };
const EVERY_MARK = {
  'trusted.overlay.opaque': 'y',
  'user.overlay.opaque': 'y',
  'trusted.x': '1',
  'user.x': '1',
};

/** What layers may have that containerd takes, each in a folder of its own: by layers, the lowest first. */
const CASES: Readonly<Record<string, readonly (readonly Line[])[]>> = {
  opaque: [
    ['d/', 'd/old', 'd/x', 'e/', 'e/old'],
    ['d/old', 'd/.wh..wh..opq', 'd/y', 'e/.wh..wh..opq'],
  ],
  'opaque-below-new': [['a'], ['d/', 'd/.wh..wh..opq', 'd/f', 'other/.wh..wh..opq']],
  'whiteout-then-file': [
    ['a/', 'a/b'],
    ['a/.wh.b', 'a/b'],
  ],
  'whiteout-then-directory': [
    ['a/', 'a/b/', 'a/b/old'],
    ['a/.wh.b', 'a/b/', 'a/b/new'],
  ],
  'file-over-directory': [['d/', 'd/c1', 'd/c2'], ['d'], ['d/x']],
  'directory-over-file': [
    ['d', 'e'],
    ['d/', 'd/x', 'e/x'],
  ],
  'name-of-symlink': [['s -> nowhere', 'l = s']],
  'names-not-clean': [['etc/', './etc/x', 'a/../b', 's -> etc', 's/../z', 'h = etc/x']],
  'file-below-lower-symlink': [['usr/', 'usr/lib/', 'usr/lib/old', 'lib -> usr/lib'], ['lib/foo']],
  'whiteout-below-lower-symlink': [['usr/', 'usr/lib/', 'usr/lib/old', 'lib -> usr/lib'], ['lib/.wh.old']],
  'opaque-below-lower-symlink': [
    ['usr/', 'usr/lib/', 'usr/lib/old', 'lib -> usr/lib'],
    ['lib/.wh..wh..opq', 'lib/f'],
  ],
  'below-own-symlink': [['etc/', 'up -> etc', 'up/x', 'gone -> nowhere', 'gone/z']],
  'directory-again': [
    [{ name: 'd/', mode: 0o700, ...OWNED, xattrs: xattrs({ 'user.0': 'x' }) }, 'd/f', 'e/'],
    [
      { name: 'd/', mode: 0o711, uid: 2, xattrs: xattrs({ 'user.a': '1' }) },
      { name: 'd/', mode: 0o755, uid: 3, mtime: 99, xattrs: xattrs({ 'user.b': '2' }) },
      'd/g',
    ],
  ],
  'directory-implied': [
    ['new/f', { name: 'tmp/', mode: 0o1777, ...OWNED, xattrs: xattrs({ 'user.t': '1' }) }],
    ['tmp/g', 'other/h', 'new/deep/er/f'],
  ],
  'last-header-of-inode': [
    [
      { name: 'f', mode: 0o600, ...OWNED, body: 'abc', xattrs: xattrs({ 'user.a': '1' }) },
      {
        name: 'g',
        type: 'hardlink',
        target: 'f',
        mode: 0o4755,
        uid: 9,
        gid: 9,
        mtime: 77,
        xattrs: xattrs({ 'user.b': '2' }),
      },
    ],
  ],
  'file-again': [
    [{ name: 'f', body: 'one' }, 'g = f', { name: 'f', body: 'two!' }],
    [
      { name: 'f', mode: 0o640, body: '3' },
      { name: 'k', xattrs: xattrs({ 'user.a': '1' }) },
      { name: 'k', body: 'again' },
    ],
  ],
  'aufs-marks': [['a'], ['.wh..wh.plnk/1.2', '.wh.b/x']],
  'whiteouts-of-every-type': [
    ['a', 'b', 'c', 'd', 'e/', 'e/f'],
    ['.wh.a/', '.wh.b -> x', { name: '.wh.c', body: 'bytes' }, '.wh.d c1,3', '.wh.e'],
  ],
  'whiteouts-of-nothing': [['a'], ['.wh.nope', 'nodir/.wh.nope']],
  'whiteout-below-file': [['x'], ['x/.wh.nope']],
  'device-0-0': [
    ['f', 'g'],
    ['f c0,0', 'new c0,0', 'null c1,3', 'pipe |'],
  ],
  'marks-as-xattrs': [
    ['d/', 'd/f'],
    [
      { name: 'd/', xattrs: xattrs(EVERY_MARK) },
      { name: 'd/g', xattrs: xattrs(EVERY_MARK) },
    ],
  ],
  times: [[-1, -86_400, 0, 16_725_225_600, 9_223_372_036].map(mtime => ({ name: `t${mtime}`, mtime }))],
  'times-of-others': [
    [
      { name: 'd/', ...OWNED },
      { name: 'd/s', type: 'symlink', target: '../f', ...OWNED },
      { name: 'd/p', type: 'fifo', mode: 0o600, ...OWNED },
      { name: 'd/c', type: 'char', mode: 0o666, device: [1, 3], ...OWNED },
      { name: 'd/b', type: 'block', mode: 0o660, device: [259, 70_000], ...OWNED },
    ],
    ['d/.wh.s', 'd/.wh.p'],
  ],
  'ids-and-modes': [
    [
      { name: 'big', uid: 2 ** 31, gid: 2 ** 32 - 2 },
      { name: 'none', uid: 2 ** 32 - 1, gid: 2 ** 32 - 1 },
      {
        name: 'suid',
        mode: 0o6755,
        ...OWNED,
        body: 'bytes',
        xattrs: xattrs({ 'security.capability': CAPABILITY }),
      },
      { name: 'closed/', mode: 0, ...OWNED },
      { name: 'closed/f', mode: 0o4000, ...OWNED },
      { name: 'sticky/', mode: 0o3775, ...OWNED },
      { name: 's', type: 'symlink', target: 'x', mode: 0o644, ...OWNED },
    ],
    ['suid/x', 'closed/g', 'sticky/g'],
  ],
  again: [['a', 'b'], ['.wh.a'], ['a', 'b']],
};

/** All cases, in as many layers as the longest has. */
function layersOfCases(): SampleLayer[] {
  const cases = Object.entries(CASES);
  return [0, 1, 2].map(position => {
    const lines = cases.flatMap(([folder, layers]) =>
      (layers[position] ?? []).map(line => below(folder, line)),
    );
    const folders = position === 0 ? cases.map(([folder]) => `${folder}/`) : [];
    return packLayer(Buffer.from(tarOf([...folders, ...lines], String(position))));
  });
}

function below(folder: string, line: Line): Line {
  if (typeof line === 'string') return `${folder}/${line.replace(' = ', ` = ${folder}/`)}`;
  const target = line.type === 'hardlink' ? `${folder}/${line.target}` : line.target;
  const type = line.type ?? (line.name.endsWith('/') ? 'dir' : 'reg');
  return {
    ...line,
    type,
    name: `${folder}/${line.name}`,
    ...(target === undefined ? {} : { target }),
  } as SampleMember;
}

type Compared = Omit<DiskEntry, 'blocks' | 'size' | 'nlink'> & {
  readonly size?: number;
  readonly nlink?: number;
};

/** By path: all but what file systems count for themselves, and the times of whiteouts, which nobody sees. */
function treeOf(folder: string): Map<string, Compared> {
  return new Map(
    walkDisk(folder).map(({ blocks: _, size, nlink, ...entry }) => {
      const format = entry.mode & 0o170000;
      if (format === 0o040000) return [entry.path, entry];
      const isWhiteout = format === 0o020000 && entry.device[0] === 0 && entry.device[1] === 0;
      return [entry.path, { ...entry, size, nlink, mtime: isWhiteout ? '' : entry.mtime }];
    }),
  );
}

/** One line for every path and field that differ, and for every name that only one has. */
function differences(ours: ReadonlyMap<string, Compared>, theirs: ReadonlyMap<string, Compared>): string[] {
  const lines: string[] = [];
  for (const path of new Set([...ours.keys(), ...theirs.keys()])) {
    const [mine, other] = [ours.get(path), theirs.get(path)];
    if (mine === undefined || other === undefined) {
      lines.push(`${path}: only ${mine === undefined ? 'theirs' : 'ours'}`);
      continue;
    }
    for (const field of Object.keys(mine) as (keyof Compared)[]) {
      const [found, expected] = [JSON.stringify(mine[field]), JSON.stringify(other[field])];
      if (found !== expected) lines.push(`${path}: ${field} ${found} in place of ${expected}`);
    }
  }
  return lines;
}

/**
 * A directory that no header is for gets the time of day from containerd, and 1970 or the lower layer's time from us:
 * unpacking twice makes the same files.
 */
function withoutTimesSince(
  start: number,
  ...trees: readonly Map<string, Compared>[]
): Map<string, Compared>[] {
  const isNew = (entry: Compared | undefined): boolean =>
    entry !== undefined &&
    (entry.mode & 0o170000) === 0o040000 &&
    BigInt(entry.mtime) >= BigInt(start) * 1_000_000n;
  const paths = new Set(trees.flatMap(tree => [...tree.keys()].filter(path => isNew(tree.get(path)))));
  return trees.map(
    tree =>
      new Map([...tree].map(([path, entry]) => [path, paths.has(path) ? { ...entry, mtime: 'new' } : entry])),
  );
}

async function pulled(
  t: Test,
  image: string,
  folder: string,
): Promise<{ readonly root: string; readonly layers: string; readonly lowerdir: string }> {
  const [root, layers] = [join(folder, 'root'), join(folder, 'layers')];
  const args = ['pull', image, `rootfs:${root}`, `overlay:${layers}`, '--json', '--quiet'];
  const { status, stdout, stderr } = await command(args);
  t.equal(status, 0, stderr);
  return { root, layers, lowerdir: JSON.parse(stdout.toString()).targets[1].tree.lowerdir };
}

/** What the kernel makes of the directories. */
async function mountedTree(folder: string, lowerdir: string): Promise<Map<string, Compared>> {
  await mkdir(folder);
  await run('mount', ['-t', 'overlay', 'overlay', '-o', lowerdir, folder]);
  try {
    return treeOf(folder);
  } finally {
    await run('umount', [folder]);
  }
}

/** The image in the registry is what containerd makes of it, layer by layer and mounted, and one tree either way. */
async function likeContainerd(t: Test, image: string, folder: string): Promise<void> {
  const start = Date.now();
  const containerd = await Containerd.start(t);
  await containerd.pull(image);
  const { root, layers, lowerdir } = await pulled(t, image, folder);
  const tree = treeOf(root);
  t.same(
    differences(await mountedTree(join(folder, 'ours'), lowerdir), tree),
    [],
    'overlay: mounted is rootfs:',
  );
  const place = join(folder, 'theirs');
  await mkdir(place);
  await containerd.mounted(image, place, folders => {
    t.equal(folders.length, lowerdir.split(':').length);
    for (const [position, snapshot] of folders.entries()) {
      const [ours, theirs] = withoutTimesSince(
        start,
        treeOf(join(layers, String(position))),
        treeOf(snapshot),
      );
      t.same(differences(ours!, theirs!), [], `layer ${position}`);
    }
    const [ours, theirs] = withoutTimesSince(start, tree, treeOf(place));
    t.same(differences(ours!, theirs!), [], 'mounted');
  });
}

t.test('every case that containerd takes', { skip }, async t => {
  const folder = await workspace(t);
  const registry = await DockerRegistry.start(t);
  await pushImage(openRepository(registry.client(t), registry), layersOfCases(), {
    tag: 'v1',
    platform: hostPlatform(),
  });
  await likeContainerd(t, `${registry.host}/demo/app:v1`, folder);
});

t.test("this machine's files, and a layer that changes and hides some of them", { skip }, async t => {
  const folder = await workspace(t);
  const registry = await DockerRegistry.start(t);
  const image = `${join(folder, 'layout')}:v1`;
  await run('umoci', ['init', '--layout', join(folder, 'layout')]);
  await run('umoci', ['new', '--image', image]);
  const addLayer = async (name: string, root: string, paths: readonly string[]): Promise<void> => {
    const tar = join(folder, name);
    const forms = ['--format=pax', '--xattrs', '--xattrs-include=*', '--sort=name'];
    await run('tar', ['-cf', tar, ...forms, '-C', root, ...paths]);
    await run('umoci', ['raw', 'add-layer', '--image', image, tar]);
  };
  await addLayer('machine.tar', '/', ['etc', 'var/lib/dpkg/info']);
  const upper = join(folder, 'upper');
  await writeSampleTree(upper, 'pax');
  await mkdir(join(upper, 'etc'));
  await mkdir(join(upper, 'var/lib/dpkg/info'), { recursive: true });
  for (const name of [
    'etc/.wh.passwd',
    'var/lib/dpkg/info/.wh..wh..opq',
    'var/lib/dpkg/info/one',
    'etc/hostname',
  ]) {
    await writeFile(join(upper, name), '');
  }
  await addLayer('upper.tar', upper, ['.']);
  await run('umoci', ['config', '--image', image, '--architecture', hostPlatform().architecture]);
  await registry.skopeo('copy', [], `oci:${image}`, `docker://${registry.host}/app:v1`);
  const start = Date.now();
  await likeContainerd(t, `${registry.host}/app:v1`, folder);

  await run('umoci', ['unpack', '--image', image, join(folder, 'bundle')]);
  const [ours, theirs] = withoutTimesSince(
    start,
    treeOf(join(folder, 'root')),
    treeOf(join(folder, 'bundle/rootfs')),
  );
  t.ok(ours!.size > 1000);
  t.same(differences(ours!, theirs!), [], 'umoci');
});
