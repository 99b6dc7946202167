/** A front end that knows inodes only: it sees and reads all that paths show, of an image and of a layer. */
import { constants } from 'node:fs';
import t from 'tap';
import type { Image } from '../../lib/image/image.js';
import { openLayer } from '../../lib/image/layer.js';
import { openImage } from '../../lib/image/open-image.js';
import type { FileTree } from '../../lib/tree/file-tree.js';
import { layerOf, pushIndexedImage } from '../image/sample-image.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { CountingSource, forgetSpans } from '../span/counting-source.js';
import { noise, sample, type TarEntry, tarOf, textLike } from '../span/sample-layers.js';

const LOWER: readonly TarEntry[] = [
  { name: 'etc/', type: 'directory', mode: 0o755 },
  { name: 'etc/os-release', body: Buffer.from('ID=sample\n'), uid: 3, gid: 4 },
  { name: 'etc/removed', body: Buffer.from('gone') },
  { name: 'bin', type: 'symlink', linkname: 'usr/bin' },
  { name: 'usr/bin/tool', body: textLike(300_000), mode: 0o4755 },
  { name: 'usr/bin/alias', type: 'link', linkname: 'usr/bin/tool', mode: 0o4755 },
  { name: 'null', type: 'character-device', devmajor: 1, devminor: 3 },
  { name: 'pipe', type: 'fifo' },
  { name: 'broken', type: 'link', linkname: 'nowhere' },
  { name: 'noted', body: noise(10), pax: { 'SCHILY.xattr.user.note': 'hello', 'SCHILY.xattr.user.b': '' } },
];
const UPPER: readonly TarEntry[] = [
  { name: 'etc/.wh.removed', body: Buffer.alloc(0) },
  { name: 'etc/motd', body: Buffer.from('welcome\n') },
  { name: 'made/by/file', body: noise(200_000) },
];

async function imageOf(): Promise<Image> {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const layers = [await layerOf(LOWER), await layerOf(UPPER)];
  const { descriptor } = await pushIndexedImage(repository, layers);
  const image = await openImage({ repository, reference: descriptor.digest }, { missingZtoc: 'fail' });
  t.teardown(() => image.close());
  return image;
}

/** What a kernel would do: list by cookies, look every name up, ask for attributes, read to the end. */
async function walk(tree: FileTree): Promise<Map<string, { ino: number; content: string }>> {
  const found = new Map<string, { ino: number; content: string }>();
  const pending = [{ ino: tree.root, path: '' }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { ino, kind, size } = tree.attributes(next.ino);
    let content: string = kind;
    if (kind === 'symlink') content = tree.readlink(ino).toString();
    if (kind === 'reg') content = (await readAll(tree, ino, size)).toString('latin1');
    found.set(next.path || '/', { ino, content });
    if (kind !== 'dir') continue;
    let cookie = 0;
    for (;;) {
      const names = tree.readdir(ino, cookie, 2);
      for (const name of names) {
        t.equal(tree.lookup(ino, name.name), name.ino);
        t.equal(tree.attributes(name.ino).kind, name.kind);
        if (name.kind === 'dir') t.equal(tree.parent(name.ino), ino);
        pending.push({ ino: name.ino, path: `${next.path}/${name.name}` });
      }
      if (names.length < 2) break;
      cookie = names.at(-1)?.cookie ?? 0;
    }
  }
  return found;
}

async function readAll(tree: FileTree, ino: number, size: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  const part = Buffer.alloc(65_536);
  for (let offset = 0; ; ) {
    const read = await tree.readInto(ino, offset, part, { lane: 'background' });
    if (read === 0) break;
    parts.push(Buffer.from(part.subarray(0, read)));
    offset += read;
  }
  const all = Buffer.concat(parts);
  t.equal(all.length, size);
  return all;
}

t.test('an image by inode is the image by path', async t => {
  const image = await imageOf();
  const tree = await image.tree();
  t.equal(await image.tree(), tree, 'the same each time');
  const found = await walk(tree);
  const names = await image.readdir('/', { recursive: true });
  t.strictSame([...found.keys()].sort(), ['/', ...names.map(name => `/${name}`)].sort());
  for (const [path, { ino, content }] of found) {
    if (content === 'missing') {
      await t.rejects(image.lstat(path), { code: 'ENOENT' });
      continue;
    }
    const stats = await image.lstat(path);
    const node = tree.attributes(ino);
    t.match(stats, {
      ino,
      mode: node.mode,
      nlink: node.nlink,
      uid: node.uid,
      gid: node.gid,
      size: node.size,
    });
    t.strictSame(tree.xattrs(ino), await image.xattrs(path, { followSymlinks: false }));
    if (stats.isFile()) t.equal(content, await image.readFile(path, 'latin1'), path);
    if (stats.isSymbolicLink()) t.equal(content, await image.readlink(path));
  }
  t.equal(new Set([...found.values()].map(({ ino }) => ino)).size, tree.nodeCount, 'numbers without gaps');
});

t.test('numbers are the same whenever an image is opened', async t => {
  const numbers = async () => (await imageOf()).readdir('/', { recursive: true, withFileTypes: true });
  t.strictSame((await numbers()).length, (await numbers()).length);
  const first = await walk(await (await imageOf()).tree());
  const second = await walk(await (await imageOf()).tree());
  t.strictSame(
    [...first].map(([path, { ino }]) => `${path} ${ino}`).sort(),
    [...second].map(([path, { ino }]) => `${path} ${ino}`).sort(),
  );
});

t.test('single questions, and what is none', async t => {
  const image = await imageOf();
  const tree = await image.tree();
  const at = (...names: string[]): number =>
    names.reduce((ino, name) => tree.lookup(ino, name) ?? 0, tree.root);
  t.equal(tree.parent(tree.root), tree.root);
  t.equal(tree.lookup(tree.root, 'removed'), undefined);
  t.equal(tree.lookup(at('etc'), 'removed'), undefined, 'whited out');
  t.equal(at('usr', 'bin', 'tool'), at('usr', 'bin', 'alias'));
  t.equal(tree.attributes(at('usr', 'bin', 'tool')).mode, constants.S_IFREG | 0o4755);
  t.equal(tree.attributes(at('null')).rdev, 0x103);
  const noted = at('noted');
  t.strictSame(tree.xattr(noted, 'user.note'), Buffer.from('hello'));
  t.strictSame(tree.xattr(noted, Buffer.from('user.b')), Buffer.alloc(0));
  t.equal(tree.xattr(noted, 'user.none'), undefined);
  t.strictSame(
    tree.readdir(at('etc'), 0, 1).map(({ name }) => name.toString()),
    ['motd'],
  );
  t.strictSame(
    tree.readdir(at('etc'), 1).map(({ name }) => name.toString()),
    ['os-release'],
  );
  t.strictSame(tree.readdir(at('etc'), 2), []);
  t.strictSame(tree.readdir(at('etc'), 1e9), []);
  t.throws(() => tree.readdir(noted), { code: 'ENOTDIR' });
  t.throws(() => tree.lookup(noted, 'x'), { code: 'ENOTDIR' });
  t.throws(() => tree.readlink(noted), { code: 'EINVAL' });
  t.throws(() => tree.readdir(tree.root, -1), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  for (const ino of [0, -1, 1.5, tree.nodeCount + 1, Number.NaN]) {
    t.throws(() => tree.attributes(ino), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
  const buffer = Buffer.alloc(10);
  await t.rejects(tree.readInto(at('etc'), 0, buffer), { code: 'EISDIR' });
  await t.rejects(tree.readInto(at('pipe'), 0, buffer), { code: 'EINVAL', message: /fifo/ });
  await t.rejects(tree.readInto(at('broken'), 0, buffer), { code: 'ENOENT' });
  await t.rejects(tree.readInto(noted, -1, buffer), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  t.equal(await tree.readInto(noted, 7, buffer), 3);
  t.equal(await tree.readInto(noted, 10, buffer), 0);
  const reason = new Error('enough');
  await t.rejects(tree.readInto(noted, 0, buffer, { signal: AbortSignal.abort(reason) }), reason);
  await image.close();
  await t.rejects(tree.readInto(noted, 0, buffer), { code: 'ERR_SOCI_CLOSED' });
  t.equal(tree.attributes(noted).size, 10, 'what is in memory can still be asked for');
});

t.test('a layer by inode', async t => {
  const one = await sample(await tarOf([...LOWER, ...UPPER]));
  forgetSpans();
  await using layer = await openLayer(new CountingSource(one.layer), one.ztoc);
  const kept = await walk(layer.tree({ whiteouts: 'keep' }));
  for (const [path, { content }] of kept) {
    if (!['dir', 'missing', 'char', 'fifo'].includes(content) && path !== '/bin') {
      t.equal((await layer.readFile(path)).toString('latin1'), content, path);
    }
  }
  t.ok(kept.has('/etc/.wh.removed'));
  const tree = layer.tree();
  t.equal(layer.tree(), tree);
  const overlay = await walk(tree);
  t.notOk(overlay.has('/etc/.wh.removed'));
  t.equal(overlay.get('/etc/removed')?.content, 'gone', 'its own file stays');
  const upper = await sample(await tarOf(UPPER));
  await using second = await openLayer(new CountingSource(upper.layer), upper.ztoc);
  t.equal((await walk(second.tree())).get('/etc/removed')?.content, 'char');
});
