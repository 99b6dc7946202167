/** The cache folder: what is ours is listed and goes, the least recently used first; nothing else is touched. */
import { existsSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';

import { listCache, markUsed, pruneCache } from '../../lib/files/cache-folder.js';
import { makeFolders } from '../../lib/files/folders.js';

const HEX = 'a'.repeat(64);

/** @param day of the year in which it was used last */
function put(root: string, name: string, size: number, day: number): string {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, Buffer.alloc(size));
  const time = new Date(Date.UTC(2020, 0, day));
  utimesSync(path, time, time);
  return path;
}

t.test('what is kept, the least recently used first', async t => {
  const root = t.testdir({});
  const ztoc = put(root, `ztocs/sha256/${HEX}/${'b'.repeat(32)}.ztoc`, 10, 3);
  const tar = put(root, `tars/${HEX}.tar`, 100, 1);
  const blob = put(root, `blobs/sha256/${HEX}`, 1, 2);
  const digest = `sha256:${HEX}`;
  t.match(await listCache(root), [
    { kind: 'tar', path: tar, digest, size: 100 },
    { kind: 'blob', path: blob, digest, size: 1 },
    { kind: 'ztoc', path: ztoc, digest, size: 10 },
  ]);
  await markUsed(tar);
  t.equal((await listCache(root)).at(-1)?.path, tar);
  t.same(await listCache(join(root, 'nowhere')), []);
});

t.test('prune removes until no more than a size is left', async t => {
  const root = t.testdir({});
  const files = [1, 2, 3].map(day => put(root, `tars/${`${day}`.repeat(64)}.tar`, 100, day));
  t.same((await pruneCache(root, 300)).removed, []);
  const { removed, left } = await pruneCache(root, 250);
  t.match(removed, [{ path: files[0] }]);
  t.equal(left, 200);
  t.same(
    files.map(path => existsSync(path)),
    [false, true, true],
  );
  // Two at the same time want the same: what one has removed is no failure of the other.
  await Promise.all([pruneCache(root, 0), pruneCache(root, 0)]);
  t.same(await listCache(root), []);
});

t.test('what is not ours stays, whatever the folder; so does what somebody is writing', async t => {
  const dir = t.testdir({ ours: {}, theirs: {} });
  const root = join(dir, 'ours');
  const foreign = [
    put(root, 'tars/holiday.tar', 10, 1),
    put(root, 'blobs/sha256/short', 10, 1),
    put(root, 'thesis.txt', 10, 1),
    put(root, 'ztocs/sha256/elsewhere/x.ztoc', 10, 1),
  ];
  const outside = join(dir, 'theirs');
  const victim = put(outside, `${HEX}.tar`, 10, 1);
  const linked = join(root, 'linked');
  mkdirSync(linked);
  symlinkSync(outside, join(linked, 'tars'));
  const half = join(root, 'tars', `.${HEX}.tar.${'0'.repeat(12)}.tmp`);
  writeFileSync(half, 'half');
  const abandoned = put(root, `tars/.${HEX}.tar.${'1'.repeat(12)}.tmp`, 10, 1);
  await pruneCache(root, 0);
  await pruneCache(linked, 0);
  for (const path of [...foreign, victim, half]) t.ok(existsSync(path), path);
  t.notOk(existsSync(abandoned), 'nobody writes to a file for years');
});

t.test('folders are made with their parents, or the system says why not', async t => {
  const root = t.testdir({ file: '' });
  await makeFolders(join(root, 'a', 'b', 'c'));
  await makeFolders(join(root, 'a', 'b', 'c'));
  t.ok(existsSync(join(root, 'a', 'b', 'c')));
  await t.rejects(makeFolders(join(root, 'file', 'a')), { code: 'ENOTDIR' });
  await t.rejects(makeFolders(join(root, 'file')), { code: 'EEXIST' });
  // There, nothing can be made, and ENOENT is what is said: asking again for the parent would never end.
  if (process.platform === 'linux') await t.rejects(makeFolders('/proc/nothing/here'), { code: 'ENOENT' });
});
