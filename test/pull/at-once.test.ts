/** How much goes on at the same time: requests of one pull, of all pulls, and who gets what comes. */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { pullImage } from '../../lib/pull/pull-image.js';
import { pullLimits } from '../../lib/pull/pull-limits.js';
import type { PulledBlob, PullTarget } from '../../lib/pull/pull-target.js';
import { ReadContext } from '../../lib/span/read-context.js';
import type { TestRegistry } from '../../lib/testing/testing.js';
import { DIGESTS, filesIn, LAYERS, setting } from './sample-pull.js';

/** Holds every request for a blob up until so many are there, or no more come. @returns the most at a time */
function busiest(registry: TestRegistry, expected: number): () => number {
  let underWay = 0;
  let most = 0;
  registry.inject({
    match: { method: 'GET', path: '/blobs/' },
    until: async () => {
      underWay++;
      most = Math.max(most, underWay);
      for (let tries = 0; most < expected && tries < 500; tries++) await delay(10);
      // For one too many.
      await delay(10);
      underWay--;
    },
  });
  return () => most;
}

t.test('no more requests than the limits say, and as many', async t => {
  const chunk = { concurrentDownloadChunkSize: 2 ** 20 };
  for (const [limits, expected] of [
    [{ maxConcurrentDownloadsPerImage: 1, ...chunk }, 1],
    [{ maxConcurrentDownloadsPerImage: 2, ...chunk }, 2],
    [{ maxConcurrentDownloads: 1, ...chunk }, 1],
    [{ maxConcurrentDownloadsPerImage: 2 }, 2],
  ] as const) {
    const { image, transport, folder, registry } = await setting(t, LAYERS.slice(0, 2));
    const most = busiest(registry, expected);
    await pullImage(image, { targets: [`oci:${folder}/a`], transport, limits, context: new ReadContext() });
    t.equal(most(), expected, JSON.stringify(limits));
  }
  const { image, transport, folder, registry } = await setting(t, LAYERS.slice(0, 2));
  const most = busiest(registry, 7);
  const limits = { maxConcurrentDownloadsPerImage: 0, ...chunk };
  await pullImage(image, { targets: [`oci:${folder}/a`], transport, limits });
  t.ok(most() >= 7, `${most()} without a limit`);
});

t.test('all pulls of a context share their limit', async t => {
  const { image, transport, folder, registry } = await setting(t, LAYERS.slice(0, 2));
  const context = new ReadContext();
  const most = busiest(registry, 2);
  const limits = { maxConcurrentDownloads: 2, concurrentDownloadChunkSize: 2 ** 20 };
  await Promise.all(
    ['a', 'b'].map(name =>
      pullImage(image, { targets: [`oci:${folder}/${name}`], transport, limits, context }),
    ),
  );
  t.equal(most(), 2);
});

t.test('limits that nobody gave', async t => {
  t.same(pullLimits(), {
    maxConcurrentDownloads: -1,
    maxConcurrentDownloadsPerImage: 3,
    concurrentDownloadChunkSize: 0,
    maxConcurrentUnpacks: -1,
    maxConcurrentUnpacksPerImage: 1,
  });
  t.match(pullLimits({ maxConcurrentDownloads: 2 }), { maxConcurrentDownloadsPerImage: 2 });
  t.match(pullLimits({ maxConcurrentDownloads: -5, maxConcurrentDownloadsPerImage: 100 }), {});
  for (const limits of [{ concurrentDownloadChunkSize: -1 }, { maxConcurrentDownloads: 1.5 }, { chunk: 1 }]) {
    t.throws(() => pullLimits(limits as never), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
});

t.test('two pulls into one place fetch everything once, and both are right', async t => {
  const { image, transport, folder, requests, registry } = await setting(t);
  registry.inject({ match: { path: DIGESTS[0]! }, delay: 5 });
  const limits = { concurrentDownloadChunkSize: 2 ** 20 };
  const results = await Promise.all(
    ['one', 'two'].map(tag =>
      pullImage(image, {
        targets: [`oci:${folder}/layout:${tag}`, `oci-archive:${folder}/a.tar:${tag}`],
        transport,
        limits,
      }),
    ),
  );
  const ranges = requests()
    .filter(({ path }) => path.endsWith(DIGESTS[0]!))
    .map(({ range }) => range);
  t.equal(new Set(ranges).size, ranges.length, ranges.join());
  t.same(
    results.map(({ targets }) => targets.map(({ outcome }) => outcome)),
    [
      ['written', 'written'],
      ['written', 'written'],
    ],
  );
  for (const place of [`oci:${folder}/layout`, `oci-archive:${folder}/a.tar`]) {
    for (const tag of ['one', 'two']) {
      const again = await pullImage(`${place}:${tag}`, {
        targets: [`oci:${folder}/check-${tag}`],
        transport,
      });
      t.equal(again.size, results[0]?.size);
    }
  }
  t.same(
    filesIn(folder).filter(name => name.includes('seekable-oci-pull')),
    [],
  );
});

/** A target that keeps nothing, and says how it was given what. */
function watching(
  t: Test,
  take: (blob: PulledBlob, signal: AbortSignal) => Promise<void>,
): PullTarget & { said: string[] } {
  const said: string[] = [];
  const folder = t.testdir({});
  return {
    name: 'watching',
    path: folder,
    staging: `${folder}/staging`,
    said,
    check: async () => void said.push('check'),
    open: async () => ({
      present: undefined,
      begin: async (_, lacking) => void said.push(`begin ${lacking.length}`),
      write: take,
      leaveOut: () => {},
      commit: async () => {
        said.push('commit');
        return 'written';
      },
      close: async () => void said.push('close'),
    }),
  };
}

t.test('whoever streams gets every byte: as it comes, late, and slowly', async t => {
  const { image, transport, requests, pushed } = await setting(t);
  const digests: string[][] = [];
  const read = async (blob: PulledBlob, how: 'slow' | 'fast') => {
    const hash = createHash('sha256');
    for await (const chunk of blob.stream()) {
      hash.update(chunk);
      if (how === 'slow') await delay(3);
    }
    digests.push([blob.descriptor.digest, `sha256:${hash.digest('hex')}`]);
  };
  const target = watching(t, async (blob, signal) => {
    await Promise.all([read(blob, 'fast'), read(blob, 'slow')]);
    await blob.whole(signal);
    await read(blob, 'fast');
    const source = await blob.open(signal);
    const { size } = blob.descriptor;
    const tail = await source.read(Math.max(0, size - 10), Math.min(10, size));
    const at = DIGESTS.indexOf(blob.descriptor.digest);
    if (at >= 0) t.ok(Buffer.from(tail).equals(LAYERS[at]!.subarray(-10)));
    await source.close();
  });
  for (const limits of [{}, { concurrentDownloadChunkSize: 2 ** 20 }]) {
    const { path } = target;
    await pullImage(image, { targets: [target, `oci:${path}/oci`], transport, limits });
  }
  t.equal(digests.length, 2 * 3 * 4);
  for (const [expected, found] of digests) t.equal(found, expected);
  t.same(target.said, ['check', 'begin 4', 'commit', 'close', 'check', 'begin 4', 'commit', 'close']);
  t.ok(requests().length < 30, pushed.descriptor.digest);
});

t.test('a target that fails ends the pull, and is closed', async t => {
  const { image, transport, folder } = await setting(t);
  const target = watching(t, async blob => {
    for await (const _ of blob.stream()) throw new Error('no more');
  });
  const pull = pullImage(image, { targets: [target, `oci:${folder}/layout`], transport });
  await t.rejects(pull, { message: 'no more' });
  t.same(target.said, ['check', 'begin 4', 'close']);
  t.notOk(filesIn(folder).includes('layout/index.json'));
});
