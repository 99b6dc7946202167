/** Layers that would make a tree take the square of their size, or all memory. */
import t from 'tap';
import { InodeTree } from '../../lib/tree/inode-tree.js';
import { Overlay } from '../../lib/tree/overlay.js';
import { NONE, ROOT } from '../../lib/tree/path-walk.js';
import { tocOf } from './sample-toc.js';

t.test('whiteouts of one large directory, over and over, cost its size once', async t => {
  const COUNT = 30_000;
  const tree = new InodeTree(1e6);
  const overlay = new Overlay(tree);
  overlay.apply(tocOf(COUNT, index => ({ name: `a/lower-${index}` })));
  overlay.apply(
    tocOf(3 * COUNT, index => {
      if (index < COUNT) return { name: `a/upper-${index}` };
      return { name: index % 2 === 0 ? 'a/.wh..wh..opq' : '.wh.a' };
    }),
  );
  t.equal([...tree.children(tree.child(ROOT, 'a'))].length, COUNT);
  t.equal(tree.child(tree.child(ROOT, 'a'), 'lower-7'), NONE);
  t.ok(tree.child(tree.child(ROOT, 'a'), 'upper-7') !== NONE);
});

t.test('one name written over and over is one name', async t => {
  const tree = new InodeTree(100);
  const overlay = new Overlay(tree);
  overlay.apply(
    tocOf(10_000, index => ({ name: 'a/file', type: index % 2 === 0 ? 'reg' : 'symlink', linkname: 'x' })),
  );
  t.strictSame(
    [...tree.children(tree.child(ROOT, 'a'))].map(node => tree.name(node)),
    ['file'],
  );
  t.equal(tree.links(tree.inode(tree.child(tree.child(ROOT, 'a'), 'file'))), 1);
});

t.test('a directory that comes back is empty', async t => {
  const tree = new InodeTree(100);
  const overlay = new Overlay(tree);
  overlay.apply(tocOf(2, index => ({ name: ['a/old', 'a/b/old'][index] ?? '' })));
  overlay.apply(tocOf(1, () => ({ name: 'a' })));
  overlay.apply(tocOf(2, index => ({ name: ['a/new', 'a/b/new'][index] ?? '' })));
  const a = tree.child(ROOT, 'a');
  const names = (node: number) => [...tree.children(node)].map(child => tree.name(child)).sort();
  t.strictSame(names(a), ['b', 'new']);
  t.strictSame(names(tree.child(a, 'b')), ['new']);
});

t.test('a path of a hundred thousand directories ends at the limit of names', async t => {
  const overlay = new Overlay(new InodeTree(50_000));
  t.throws(() => overlay.apply(tocOf(1, () => ({ name: 'a/'.repeat(100_000) }))), { code: 'ERR_SOCI_LIMIT' });
});

t.test('300,000 names are a tree of a few dozen megabytes', async t => {
  const tree = new InodeTree(1e6);
  const overlay = new Overlay(tree);
  for (let layer = 0; layer < 40; layer += 1) {
    overlay.apply(
      tocOf(7500, index => ({ name: `usr/share/package-${index % 75}/part-${layer}/file-${index}` })),
    );
  }
  t.ok(tree.bytes < 40e6, `${tree.bytes} bytes`);
  const found = tree.child(tree.child(ROOT, 'usr'), 'share');
  t.equal([...tree.children(found)].length, 75);
});
