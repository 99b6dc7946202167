/** How much a pull does at once. */
import t from 'tap';
import { fastPullLimits, PULL_PRESETS } from '../../lib/configuration/pull-presets.js';
import fc from '../property.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const summary = (cores: number, memoryBytes: number): readonly number[] => {
  const limits = fastPullLimits({ cores, memoryBytes });
  return [limits.maxConcurrentDownloadsPerImage, limits.maxConcurrentUnpacksPerImage];
};

t.test('what a machine can use', async t => {
  t.strictSame(summary(1, 256 * MIB), [2, 1]);
  t.strictSame(summary(2, GIB), [8, 2]);
  t.strictSame(summary(4, 4 * GIB), [16, 4]);
  t.strictSame(summary(8, 2 * GIB), [16, 4], 'memory counts as well as cores');
  t.strictSame(summary(128, 512 * GIB), [16, 16]);
});

t.test('the reference’s defaults', async t => {
  t.strictSame(PULL_PRESETS.reference({ cores: 128, memoryBytes: 512 * GIB }), {
    maxConcurrentDownloads: -1,
    maxConcurrentDownloadsPerImage: 3,
    concurrentDownloadChunkSize: 0,
    maxConcurrentUnpacks: -1,
    maxConcurrentUnpacksPerImage: 1,
  });
});

t.test('what it needs stays within the machine, and grows with it', async () => {
  const machine = fc.record({
    cores: fc.integer({ min: 1, max: 1024 }),
    memoryBytes: fc.integer({ min: 1, max: 2 ** 42 }),
  });
  fc.assert(
    fc.property(machine, ({ cores, memoryBytes }) => {
      const limits = fastPullLimits({ cores, memoryBytes });
      const ahead = limits.maxConcurrentDownloads * limits.concurrentDownloadChunkSize;
      const larger = fastPullLimits({ cores: cores + 1, memoryBytes: memoryBytes * 2 });
      return (
        limits.maxConcurrentUnpacks <= cores &&
        (limits.maxConcurrentDownloads === 2 || ahead <= memoryBytes / 16) &&
        limits.maxConcurrentDownloads >= limits.maxConcurrentDownloadsPerImage &&
        larger.maxConcurrentUnpacks >= limits.maxConcurrentUnpacks &&
        larger.maxConcurrentDownloads >= limits.maxConcurrentDownloads
      );
    }),
  );
});

t.test('arguments', async t => {
  const code = 'ERR_SOCI_INVALID_ARGUMENT';
  for (const bad of [
    { cores: 0, memoryBytes: 1 },
    { cores: 1, memoryBytes: -1 },
    { cores: 1.5, memoryBytes: 1 },
  ]) {
    t.throws(() => fastPullLimits(bad), { code });
  }
  t.throws(() => fastPullLimits({ cores: 1, memoryBytes: 1, memoryByts: 1 } as never), {
    code,
    message: /did you mean/,
  });
});
