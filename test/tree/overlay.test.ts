import t, { type Test } from 'tap';
import tar from 'tar-stream';
import { InodeTree } from '../../lib/tree/inode-tree.js';
import { KIND } from '../../lib/tree/node-kind.js';
import { Overlay } from '../../lib/tree/overlay.js';
import { NONE, ROOT } from '../../lib/tree/path-walk.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import type { Ztoc } from '../../lib/ztoc/ztoc.js';
import fc from '../property.js';

/** An entry of a layer: 'path/' is a directory, 'path' a file, 'path -> target' a symbolic, 'path = target' a hard link. */
type Line = string;

async function layerOf(lines: readonly Line[]): Promise<Ztoc> {
  const pack = tar.pack();
  for (const line of lines) {
    const [, name = '', arrow, linkname = ''] = /^(.*?)(?: (->|=) (.*))?$/.exec(line) ?? [];
    if (arrow === '->') pack.entry({ name, type: 'symlink', linkname });
    else if (arrow === '=') pack.entry({ name, type: 'link', linkname });
    else if (name.endsWith('/')) pack.entry({ name, type: 'directory' });
    else pack.entry({ name, type: 'file' }, name);
  }
  pack.finalize();
  return (await buildZtoc(pack as AsyncIterable<Uint8Array>)).ztoc;
}

async function overlayOf(...layers: (readonly Line[])[]): Promise<InodeTree> {
  const tree = new InodeTree(100_000);
  const overlay = new Overlay(tree, 'apply', 'spec');
  for (const lines of layers) overlay.apply(await layerOf(lines));
  return tree;
}

/** Every path with the layer that its inode comes from: 'dir/ 0', 'dir/file 1'. */
function listing(tree: InodeTree): string[] {
  const paths: string[] = [];
  const visit = (node: number, path: string) => {
    for (const child of tree.children(node)) {
      const { kind, layer, entry } = tree.origin(tree.inode(child));
      const name = `${path}${tree.name(child)}${kind === KIND.dir ? '/' : ''}`;
      paths.push(`${name} ${entry === NONE ? 'implied' : layer}`);
      if (kind === KIND.dir) visit(child, name);
    }
  };
  visit(ROOT, '');
  return paths.sort();
}

async function check(t: Test, layers: (readonly Line[])[], expected: string[]): Promise<void> {
  t.strictSame(listing(await overlayOf(...layers)), expected.sort());
}

t.test('upper layers add to, replace and shadow lower ones', async t => {
  await check(
    t,
    [
      ['a/', 'a/x', 'a/y'],
      ['a/y', 'b'],
    ],
    ['a/ 0', 'a/x 0', 'a/y 1', 'b 1'],
  );
  await check(t, [['a/', 'a/x'], ['a/']], ['a/ 1', 'a/x 0']);
  await check(t, [['a/', 'a/x'], ['a']], ['a 1']);
  await check(t, [['a'], ['a/', 'a/x']], ['a/ 1', 'a/x 1']);
  await check(t, [['a'], ['a -> b']], ['a 1']);
});

t.test('names that differ only in form are one', async t => {
  await check(
    t,
    [
      ['./a/', './a/x'],
      ['a//y', '/a/x', 'b/../a/z'],
    ],
    ['a/ 0', 'a/x 1', 'a/y 1', 'a/z 1'],
  );
  await check(t, [['../../etc/passwd', 'a/../../../b']], ['etc/ implied', 'etc/passwd 0', 'b 0']);
});

t.test('missing parents are directories that no layer declares', async t => {
  await check(t, [['a/b/c']], ['a/ implied', 'a/b/ implied', 'a/b/c 0']);
  await check(t, [['a'], ['a/b']], ['a/ implied', 'a/b 1']);
});

t.test('a whiteout hides what lower layers have', async t => {
  await check(t, [['a/', 'a/x', 'a/y'], ['a/.wh.x']], ['a/ 0', 'a/y 0']);
  await check(t, [['a/', 'a/x'], ['.wh.a']], []);
  await check(t, [['a'], ['.wh.a'], ['a']], ['a 2']);
  await check(t, [['a'], ['.wh.missing']], ['a 0']);
});

t.test('a whiteout below a file of its own layer leaves the file alone', async t => {
  // What umoci writes where a file takes the place of a directory.
  await check(
    t,
    [
      ['a/', 'a/x'],
      ['a', 'a/.wh.x'],
    ],
    ['a 1'],
  );
  await check(
    t,
    [
      ['a/', 'a/x'],
      ['a/.wh.x', 'a'],
    ],
    ['a 1'],
  );
});

t.test('a whiteout hides nothing of its own layer, wherever it stands', async t => {
  await check(t, [['a'], ['a', '.wh.a']], ['a 1']);
  await check(t, [['a'], ['.wh.a', 'a']], ['a 1']);
  await check(
    t,
    [
      ['a/', 'a/x'],
      ['a/', 'a/y', '.wh.a'],
    ],
    ['a/ 1', 'a/y 1'],
  );
  await check(
    t,
    [
      ['a/', 'a/x'],
      ['.wh.a', 'a/', 'a/y'],
    ],
    ['a/ 1', 'a/y 1'],
  );
});

t.test('an opaque directory hides what lower layers have in it', async t => {
  const lower = ['a/', 'a/b/', 'a/b/x', 'a/y'];
  await check(t, [lower, ['a/', 'a/.wh..wh..opq', 'a/z']], ['a/ 1', 'a/z 1']);
  await check(
    t,
    [lower, ['a/', 'a/z', 'a/b/', 'a/b/w', 'a/.wh..wh..opq']],
    ['a/ 1', 'a/z 1', 'a/b/ 1', 'a/b/w 1'],
  );
  await check(t, [lower, ['.wh..wh..opq']], []);
  await check(t, [lower, ['a/.wh..wh.plnk', 'a/.wh..wh.aufs']], ['a/ 0', 'a/b/ 0', 'a/b/x 0', 'a/y 0']);
});

t.test('parents that are symbolic links are followed inside the image', async t => {
  const lower = ['usr/', 'usr/lib/', 'usr/lib/x', 'lib -> usr/lib', 'abs -> /usr', 'out -> ../../usr'];
  const rest = ['usr/ 0', 'usr/lib/ 0', 'lib 0', 'abs 0', 'out 0'];
  await check(t, [lower, ['lib/y']], [...rest, 'usr/lib/x 0', 'usr/lib/y 1']);
  await check(t, [lower, ['abs/lib/.wh.x']], rest);
  await check(t, [lower, ['out/z']], [...rest, 'usr/lib/x 0', 'usr/z 1']);
  await check(t, [['a -> b', 'b -> a'], ['a/x']], ['a 0', 'b 0']);
  await check(
    t,
    [lower, ['lib/', 'lib/only']],
    [...rest.filter(path => path !== 'lib 0'), 'usr/lib/x 0', 'lib/ 1', 'lib/only 1'],
  );
});

t.test('hard links share an inode, across layers too', async t => {
  const tree = await overlayOf(['a', 'b = a'], ['c = ./a', 'd/e = /b']);
  const a = tree.child(ROOT, 'a');
  const others = ['b', 'c'].map(name => tree.child(ROOT, name));
  others.push(tree.child(tree.child(ROOT, 'd'), 'e'));
  for (const node of others) t.equal(tree.inode(node), tree.inode(a));
  t.equal(tree.links(tree.inode(a)), 4);
  t.strictSame(tree.origin(tree.inode(a)), { kind: KIND.reg, layer: 0, entry: 0 });
});

t.test('a hard link to a file of a lower layer stays in a directory that becomes opaque', async t => {
  await check(
    t,
    [
      ['a/', 'a/x'],
      ['a/', 'a/y = a/x', 'a/.wh..wh..opq'],
    ],
    ['a/ 1', 'a/y 0'],
  );
});

t.test('an opaque directory that is whited out too keeps nothing of the lower one', async t => {
  await check(
    t,
    [
      ['a/', 'a/x'],
      ['a/.wh..wh..opq', 'a/y', '.wh.a'],
    ],
    ['a/ implied', 'a/y 1'],
  );
});

t.test('a hidden name takes its link away, and the file stays under its other names', async t => {
  const tree = await overlayOf(['a', 'b = a'], ['.wh.a']);
  t.equal(tree.child(ROOT, 'a'), NONE);
  t.equal(tree.links(tree.inode(tree.child(ROOT, 'b'))), 1);
});

t.test('a hard link to nothing, to a directory or to itself is a name without a file', async t => {
  const tree = await overlayOf(['d/', 'a = missing', 'b = d', 'c = c']);
  for (const name of ['a', 'b', 'c']) t.equal(tree.kind(tree.inode(tree.child(ROOT, name))), KIND.missing);
  const replaced = await overlayOf(['c/', 'c/a'], ['c = c/a']);
  t.equal(
    replaced.kind(replaced.inode(replaced.child(ROOT, 'c'))),
    KIND.missing,
    'what it is to goes with the directory',
  );
  const same = await overlayOf(['a'], ['a = a']);
  t.equal(same.kind(same.inode(same.child(ROOT, 'a'))), KIND.reg);
});

t.test('names that are no UTF-8 are kept apart bytewise', async t => {
  const tree = new InodeTree(100);
  const names = ['\xff', '\xfe', 'é', '\xc3\xa9'];
  for (const [index, name] of names.entries()) {
    tree.add(ROOT, name, { kind: KIND.reg, layer: 0, entry: index }, 0);
  }
  t.same(
    names.map(name => tree.origin(tree.inode(tree.child(ROOT, name))).entry),
    [0, 1, 2, 3],
  );
});

t.test('the number of names is capped', async t => {
  const tree = new InodeTree(3);
  tree.add(ROOT, 'a', { kind: KIND.reg, layer: 0, entry: 0 }, 0);
  tree.add(ROOT, 'b', { kind: KIND.reg, layer: 0, entry: 1 }, 0);
  t.throws(() => tree.add(ROOT, 'c', { kind: KIND.reg, layer: 0, entry: 2 }, 0), { code: 'ERR_SOCI_LIMIT' });
});

/** The rules once more, as plainly as possible: paths in a Map, whiteouts before anything else of their layer. */
function model(layers: readonly (readonly Line[])[]): string[] {
  const paths = new Map<string, string>();
  const below = (path: string) => [...paths.keys()].filter(other => other.startsWith(`${path}/`));
  const drop = (path: string) => {
    for (const gone of [path, ...below(path)]) paths.delete(gone);
  };
  layers.forEach((lines, layer) => {
    for (const line of lines) {
      const at = line.lastIndexOf('/');
      const name = line.slice(at + 1);
      if (name === '.wh..wh..opq') for (const gone of below(line.slice(0, at))) paths.delete(gone);
      else if (name.startsWith('.wh.')) drop(`${line.slice(0, at + 1)}${name.slice(4)}`);
    }
    for (const line of lines) {
      const isDirectory = line.endsWith('/');
      const path = isDirectory ? line.slice(0, -1) : line;
      const parts = path.split('/');
      for (let i = 1; i < parts.length; i += 1) {
        const parent = parts.slice(0, i).join('/');
        if (!paths.get(parent)?.startsWith('dir')) paths.set(parent, 'dir implied');
      }
      if (parts.at(-1)?.startsWith('.wh.')) continue;
      if (!isDirectory) drop(path);
      paths.set(path, `${isDirectory ? 'dir' : 'file'} ${layer}`);
    }
  });
  return [...paths].map(([path, what]) => `${path}${what.replace('dir', '/').replace('file', '')}`).sort();
}

t.test('random layers give what a plain model of the rules gives', async t => {
  const name = fc.constantFrom('a', 'b', 'c');
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map(parts => parts.join('/'));
  const line = fc.oneof(
    path,
    path.map(text => `${text}/`),
    path.map(text => text.replace(/[^/]+$/, last => `.wh.${last}`)),
    path.map(text => `${text}/.wh..wh..opq`),
  );
  // Within one layer a path is declared once, as in every real layer.
  const layer = fc
    .uniqueArray(line, { maxLength: 8, selector: text => text.replace(/\/$/, '') })
    .filter(consistent);
  await fc.assert(
    fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), async layers => {
      t.strictSame(listing(await overlayOf(...layers)), model(layers), JSON.stringify(layers));
    }),
    { numRuns: 300 },
  );
});

/** No path of the layer is both a file and a directory in it, or whited out beside its own content. */
function consistent(lines: readonly Line[]): boolean {
  const directories = new Set(lines.flatMap(line => ancestors(line)));
  const plain = lines.filter(line => !line.endsWith('/') && !/\.wh\.[^/]*$/.test(line));
  const hidden = lines.flatMap(line => (/\.wh\.[abc]$/.test(line) ? [line.replace('.wh.', '')] : []));
  const declared = new Set([...directories, ...lines.map(line => line.replace(/\/$/, ''))]);
  return !plain.some(line => directories.has(line)) && !hidden.some(path => declared.has(path));
}

function ancestors(line: Line): string[] {
  const parts = line.replace(/\/$/, '').split('/');
  return parts.slice(0, -1).map((_, i) => parts.slice(0, i + 1).join('/'));
}
