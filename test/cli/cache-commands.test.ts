/** `cache ls`, `cache prune`, and which cache directory is used. */
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

import { defaultCacheDirectory } from '../../lib/cli/cache-directory.js';
import { pushIndexedImage } from '../image/sample-image.js';
import { command, fails } from './run-command.js';
import { repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const registry = await startRegistry(t);
await pushIndexedImage(repositoryOf(t, registry), await sampleLayers(), { tag: 'latest' });
const image = `${registry.host}/demo/app`;

t.test('ls and prune', async t => {
  const dir = t.testdir({});
  const cache = (...args: string[]) => command(['cache', ...args, '--cache-dir', dir]);
  t.match((await cache('ls')).stdout.toString(), /: 0 B in 0 files\n$/);
  t.equal((await command(['ls', image, '/etc', '--cache-dir', dir])).status, 0);
  const { files, size } = JSON.parse((await cache('ls', '--json')).stdout.toString());
  t.equal(files.length, 4, 'config, index and two ztocs');
  t.match(files[0], { kind: 'blob', digest: /^sha256:/, path: dir });
  t.match((await cache('ls')).stdout.toString(), /^blob +sha256:[0-9a-f]{64} +\S+ (B|KiB) +20/m);
  t.match((await cache('prune')).stdout.toString(), ': 0 B removed, ');
  t.match(
    JSON.parse((await cache('prune', '--json', '--max-size', '1KiB')).stdout.toString()).size,
    /^\d{1,4}$/,
  );
  t.match((await cache('prune', '--all')).stdout.toString(), ' removed, 0 B left');
  t.ok(size > 0);
  fails(t, await cache('prune', '--all', '--max-size', '1'), 'ERR_SOCI_INVALID_ARGUMENT', 2);
});

t.test('an explicit directory that cannot be used is an error at once', async t => {
  const dir = t.testdir({ file: '' });
  const before = registry.requests.length;
  fails(t, await command(['ls', image, '--cache-dir', join(dir, 'file', 'x')]), 'ENOTDIR');
  if (process.platform === 'linux') {
    fails(t, await command(['ls', image, '--cache-dir', '/proc/nothing/here']), 'ENOENT');
  }
  t.equal(registry.requests.length, before);
});

t.test('the default that cannot be used is told, and done without', async t => {
  const dir = t.testdir({ file: '', open: {} });
  const { status, stderr } = await command(['ls', image], undefined, { XDG_CACHE_HOME: join(dir, 'file') });
  t.equal(status, 0, stderr);
  t.match(stderr, /^nothing is kept for the next time \(--cache-dir\): ENOTDIR/);
  t.same(defaultCacheDirectory({ XDG_CACHE_HOME: 'relative' }, '/home/me'), '/home/me/.cache/seekable-oci');
  t.same(defaultCacheDirectory({}, ''), undefined, 'an empty HOME is no directory');
  const homeless = await command(['ls', image], undefined, { XDG_CACHE_HOME: '', HOME: '' });
  t.equal(homeless.status, 0, homeless.stderr);
  t.match(homeless.stderr, 'nothing is kept for the next time');
  chmodSync(dir, 0o700);
  t.same(readdirSync(dir).sort(), ['file', 'open']);
});
