/** A real file system that is too small: what fits is kept, and nobody who reads notices. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Store } from '../../lib/store/store.js';
import { Origin, sample, watchStores } from './sample-blob.js';

function mounted(folder: string, size: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

t.test('a tmpfs of 1 MiB', async t => {
  // Not in the test's own folder, which is removed before anything can be unmounted.
  const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-full-'));
  t.teardown(() => rmdirSync(folder));
  if (process.platform !== 'linux' || !mounted(folder, '1m')) {
    t.pass('only root mounts file systems');
    return;
  }
  t.teardown(() => execFileSync('umount', [folder]));
  const heard = watchStores(t);
  const blob = sample(3 * 2 ** 20 + 5);
  for (const sync of [false, true]) {
    const store = await Store.open(join(folder, 'store'), { maxBytes: 2 ** 30, sync });
    const source = await store.open(blob, new Origin(blob));
    for (let at = 0; at < blob.size; at += 100_000) {
      const length = Math.min(100_000, blob.size - at);
      const right = Buffer.compare(await source.read(at, length), blob.bytes.subarray(at, at + length));
      if (right !== 0) t.fail(`wrong at ${at}`);
    }
    await source.close();
    await store.put(blob.digest, blob.bytes);
    await store.close();
  }
  t.ok(heard.includes('failure write ENOSPC'), heard.join());
  t.notOk(heard.includes('refused'));
  const store = await Store.open(join(folder, 'store'), { maxBytes: 2 ** 30 });
  const origin = new Origin(blob);
  const source = await store.open(blob, origin);
  t.equal(Buffer.compare(await source.read(0, 500_000), blob.bytes.subarray(0, 500_000)), 0);
  t.ok(origin.fetched < 500_000, 'what fitted is there');
  await source.close();
  // A bound that the file system has room for makes it work again.
  await store.collect({ maxBytes: 0 });
  t.same(await store.list(), []);
  await store.close();
});
