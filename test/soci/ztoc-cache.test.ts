/** Caches of our own ztocs: nothing comes out that did not go in under the same key. */
import { execFileSync } from 'node:child_process';
import { readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';

import { FolderZtocCache } from '../../lib/soci/folder-ztoc-cache.js';
import { MemoryZtocCache } from '../../lib/soci/memory-ztoc-cache.js';
import type { ZtocKey } from '../../lib/soci/ztoc-cache.js';
import { failure, sampleBytes } from '../registry/fixture.js';
import { temporaryFolder } from './sample-image.js';

const KEY: ZtocKey = {
  layerDigest: `sha256:${'a'.repeat(64)}`,
  spanSize: 4194304,
  buildToolIdentifier: 'tool',
};

async function onlyFile(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  if (files.length !== 1) throw new Error(`expected one file, found ${files.join(', ')}`);
  return files[0]!;
}

t.test('a ztoc is found under its own key only', async t => {
  const folder = await temporaryFolder(t);
  for (const cache of [new MemoryZtocCache(), new FolderZtocCache(join(folder, 'not', 'yet', 'there'))]) {
    t.equal(await cache.get(KEY), undefined);
    const bytes = sampleBytes(1000);
    await cache.put(KEY, bytes);
    t.same(Buffer.from((await cache.get(KEY))!), Buffer.from(bytes));
    for (const other of [
      { layerDigest: `sha256:${'b'.repeat(64)}` },
      { spanSize: 4194305 },
      { buildToolIdentifier: '../../tool' },
      { buildToolIdentifier: 'tool"' },
    ]) {
      t.equal(await cache.get({ ...KEY, ...other }), undefined, JSON.stringify(other));
    }
    await cache.put(KEY, Buffer.from('newer'));
    t.equal(Buffer.from((await cache.get(KEY))!).toString(), 'newer');
  }
});

t.test('memory: the least recently used go first', async t => {
  const cache = new MemoryZtocCache(2500);
  const keys = [1, 2, 3].map(spanSize => ({ ...KEY, spanSize }));
  await cache.put(keys[0]!, sampleBytes(1000));
  await cache.put(keys[1]!, sampleBytes(1000));
  await cache.get(keys[0]!);
  await cache.put(keys[2]!, sampleBytes(1000));
  const kept = await Promise.all(keys.map(async key => (await cache.get(key)) !== undefined));
  t.same(kept, [true, false, true]);
});

t.test('folder: a damaged, cut or foreign file is as good as none, and is replaced', async t => {
  const folder = await temporaryFolder(t);
  const cache = new FolderZtocCache(folder);
  const bytes = sampleBytes(1000);
  await cache.put(KEY, bytes);
  const file = await onlyFile(folder);
  const whole = await readFile(file);
  const damage: Readonly<Record<string, () => Promise<void>>> = {
    'one byte differs': () => writeFile(file, whole.with(500, whole[500]! ^ 1)),
    'another digest': () => writeFile(file, whole.with(20, whole[20]! ^ 1)),
    cut: () => truncate(file, 700),
    'cut inside the digest': () => truncate(file, 10),
    empty: () => truncate(file, 0),
  };
  for (const [name, apply] of Object.entries(damage)) {
    await apply();
    t.equal(await cache.get(KEY), undefined, name);
    await cache.put(KEY, bytes);
    t.same(Buffer.from((await cache.get(KEY))!), Buffer.from(bytes));
  }
});

t.test('folder: many writers of one key leave one whole file', async t => {
  const folder = await temporaryFolder(t);
  const writers = Array.from({ length: 10 }, () => new FolderZtocCache(folder));
  await Promise.all(writers.map((cache, i) => cache.put(KEY, sampleBytes(100_000, i))));
  await onlyFile(folder);
  t.equal((await writers[0]!.get(KEY))?.length, 100_000);
});

t.test('folder: what is no digest names no file; what cannot be written is said', async t => {
  const folder = await temporaryFolder(t);
  const cache = new FolderZtocCache(folder);
  const layerDigest = 'sha256:../../etc/passwd';
  t.equal((await failure(cache.get({ ...KEY, layerDigest }))).code, 'ERR_SOCI_DIGEST_INVALID');
  await writeFile(join(folder, 'file'), '');
  const blocked = new FolderZtocCache(join(folder, 'file'));
  t.equal(await blocked.get(KEY), undefined);
  t.equal((await failure(blocked.put(KEY, sampleBytes(10)))).code, 'ERR_SOCI_OUTPUT');
  const reason = new Error('enough');
  t.equal(await failure(cache.put(KEY, sampleBytes(10), { signal: AbortSignal.abort(reason) })), reason);
  t.same(await readdir(folder), ['file'], 'nothing is left of it');
});

t.test('folder: what is no regular file is not read', async t => {
  const folder = await temporaryFolder(t);
  const cache = new FolderZtocCache(folder);
  const bytes = sampleBytes(1000);
  await cache.put(KEY, bytes);
  const file = await onlyFile(folder);
  await rm(file);
  await symlink('/dev/zero', file);
  t.equal(await cache.get(KEY), undefined, 'a device without end');
  await rm(file);
  execFileSync('mkfifo', [file]);
  t.equal(await cache.get(KEY), undefined, 'a fifo that nobody writes to');
  await cache.put(KEY, bytes);
  t.same(Buffer.from((await cache.get(KEY))!), Buffer.from(bytes), 'it is replaced');
});
