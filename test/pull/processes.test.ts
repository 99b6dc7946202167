/** Real processes that pull: interrupted, killed, two at a time, on a disk that is full or that takes nothing. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { TestRegistry } from '../../lib/testing/testing.js';
import { finished, spawned, start } from '../cli/run-command.js';
import { linuxOnly } from '../posix/linux-only.js';
import { blobIn, DIGESTS, filesIn, LAYERS, listedIn, setting } from './sample-pull.js';

const [BIG = ''] = DIGESTS;
/** So that what has arrived of a layer is its beginning. */
const ONE_REQUEST = ['--preset', 'reference'];

/** Lets so many bytes of the largest layer pass, and then no more until it is released. */
function stalling(registry: TestRegistry, bytes: number): void {
  registry.inject({ match: { path: BIG }, times: 1, stallAfter: bytes });
}

/** Settles when the store beside a target has that much. */
async function arrived(folder: string, bytes: number): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    const data = filesIn(folder).find(name => name.endsWith(`partial/sha256/${BIG.slice(7)}`));
    const blocks =
      data === undefined ? '0' : execFileSync('stat', ['-c', '%b', join(folder, data)]).toString();
    if (Number(blocks) * 512 >= bytes) return;
    await delay(10);
  }
  throw new Error('nothing arrives');
}

function whole(t: Test, folder: string): void {
  for (const [at, digest] of DIGESTS.entries())
    t.ok(blobIn(join(folder, 'layout'), { digest })?.equals(LAYERS[at]!), `layer ${at}`);
  t.same(
    filesIn(folder).filter(name => name.includes('seekable-oci-pull')),
    [],
    'nothing is left of what was in the making',
  );
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
  t.test(`${signal} in the middle, and again`, linuxOnly, async t => {
    const { image, registry, folder, requests } = await setting(t);
    const targets = [`oci:${folder}/layout:v1`, `oci-archive:${folder}/app.tar`];
    stalling(registry, 5 * 2 ** 20);
    const child = start(['pull', image, ...targets, ...ONE_REQUEST]);
    const ended = finished(child);
    await arrived(folder, 4 * 2 ** 20);
    child.kill(signal);
    const { status } = await ended;
    t.equal(status, { SIGINT: 130, SIGTERM: 143, SIGKILL: null }[signal]);
    const left = filesIn(folder).filter(name => !name.includes('seekable-oci-pull'));
    t.notOk(left.includes('layout/index.json') || left.includes('app.tar'), left.join());
    t.notOk(blobIn(join(folder, 'layout'), { digest: BIG }));
    requests();
    const again = await spawned(['pull', image, ...targets, '--json', ...ONE_REQUEST]);
    t.equal(again.status, 0, again.stderr);
    const big = JSON.parse(again.stdout.toString()).blobs.find(
      ({ digest }: { digest: string }) => digest === BIG,
    );
    t.equal(big.outcome, 'resumed');
    // Of what lay on the disk, pieces that the journal did not have yet are fetched again.
    t.ok(big.fetched <= LAYERS[0]!.length - 2 * 2 ** 20, `${big.fetched}`);
    whole(t, folder);
  });
}

t.test('two processes, one image, one store, one place', linuxOnly, async t => {
  const { image, registry, folder, requests, pushed } = await setting(t);
  registry.inject({ match: { path: BIG }, delay: 10 });
  const pull = (tag: string, ...more: string[]) =>
    spawned(['pull', image, `oci:${folder}/layout:${tag}`, '--concurrent-download-chunk-size=1mb', ...more]);
  const tags = ['a', 'b', 'c'];
  const together = await Promise.all(tags.map(tag => pull(tag)));
  for (const { status, stderr } of together) t.equal(status, 0, stderr);
  t.same(
    listedIn(`${folder}/layout`)
      .map(({ annotations }) => annotations?.['org.opencontainers.image.ref.name'])
      .sort(),
    tags,
    'no line is lost',
  );
  const ranges = requests().filter(({ path }) => path.endsWith(BIG));
  t.ok(ranges.length <= 15, `${ranges.length} requests for what takes 10`);
  whole(t, folder);
  const store = ['--store', join(folder, 'store')];
  const stored = await Promise.all(['d', 'e'].map(tag => pull(tag, ...store)));
  for (const { status, stderr } of stored) t.equal(status, 0, stderr);
  t.equal(listedIn(`${folder}/layout`).length, 5, pushed.descriptor.digest);
});

/** A file system of its own, which only root can make. */
function mounted(t: Test, ...options: readonly string[]): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-pull-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', ...options, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    rmdirSync(folder);
    return undefined;
  }
  t.teardown(() => {
    execFileSync('umount', [folder]);
    rmdirSync(folder);
  });
  return folder;
}

t.test('a full disk', linuxOnly, async t => {
  const { image, requests } = await setting(t);
  const folder = mounted(t, '-o', 'size=6m');
  if (folder === undefined) {
    t.pass('only root mounts file systems');
    return;
  }
  for (const target of [`oci:${folder}/layout`, `oci-archive:${folder}/app.tar`]) {
    const { status, stderr } = await spawned(['pull', image, target, '--concurrent-download-chunk-size=1mb']);
    t.equal(status, 1);
    t.match(stderr, /(no space left on device|ENOSPC).* \[ERR_SOCI_OUTPUT\]/i);
    t.notOk(filesIn(folder).some(name => name.endsWith('index.json') || name.endsWith('/app.tar')));
    t.ok(requests().length < 30, 'and not all of it was fetched in vain');
  }
  execFileSync('mount', ['-o', 'remount,size=96m', folder]);
  const { status, stderr, stdout } = await spawned([
    'pull',
    image,
    `oci:${folder}/layout`,
    `oci-archive:${folder}/app.tar`,
    '--json',
  ]);
  t.equal(status, 0, stderr);
  const { fetched, size } = JSON.parse(stdout.toString());
  t.ok(fetched < size, 'what fitted is there');
  whole(t, folder);
});

t.test('a disk that takes nothing', linuxOnly, async t => {
  const { image, requests } = await setting(t);
  const folder = mounted(t, '-o', 'size=1m');
  if (folder === undefined) {
    t.pass('only root mounts file systems');
    return;
  }
  mkdirSync(join(folder, 'empty'));
  execFileSync('mount', ['-o', 'remount,ro', folder]);
  for (const target of [`oci:${folder}/empty`, `oci:${folder}/new`, `docker-archive:${folder}/x.tar`]) {
    const { status, stderr } = await spawned(['pull', image, target]);
    t.equal(status, 1);
    t.match(stderr, /read-only file system \[ERR_SOCI_OUTPUT\]/, target);
  }
  t.equal(requests().filter(({ path }) => path.includes('/blobs/')).length, 0);
});
