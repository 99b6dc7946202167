import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Store } from '../../lib/index.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import { Urgency } from '../../lib/source/lanes.js';
import { SYSTEM_DISK } from '../../lib/store/disk.js';
import { SharedRate } from '../../lib/store/shared-rate.js';

const RATE = 1_000_000;
const never = new AbortController().signal;

/** ms that it took: tests compare it with the least that it may take, never with the most. */
async function duration(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

t.test('all that share a folder share the rate', async t => {
  const root = t.testdir();
  const rates = [new SharedRate(SYSTEM_DISK, root, RATE), new SharedRate(SYSTEM_DISK, root, RATE)];
  const takes = Array.from({ length: 5 }, () =>
    rates.map(rate => rate.take(20_000, new Urgency('background'), never)),
  );
  const took = await duration(() => Promise.all(takes.flat()));
  // The first of ten goes at once.
  t.ok(took >= 175, `${took} ms for 180 ms of bytes`);
  for (const rate of rates) await rate.close();
});

t.test('who waits for the bytes does not wait for the rate', async t => {
  const rate = new SharedRate(SYSTEM_DISK, t.testdir(), 1);
  await rate.take(1_000_000, new Urgency('background'), never);
  await rate.take(1_000_000, new Urgency('demand'), never);
  const urgency = new Urgency('background');
  const waiting = rate.take(1_000_000, urgency, never);
  urgency.raise('demand');
  await waiting;
  await rate.close();
});

t.test('what was taken and not fetched is given back', async t => {
  const root = t.testdir();
  const rate = new SharedRate(SYSTEM_DISK, root, 1000);
  await rate.take(3_000_000, new Urgency('background'), never);
  const controller = new AbortController();
  const waiting = rate.take(9_000_000, new Urgency('prefetch'), controller.signal);
  const reason = new Error('not wanted any more');
  controller.abort(reason);
  await t.rejects(waiting, reason);
  await rate.giveBack(3_000_000);
  // Another would wait for hours if anything of it were left.
  const other = new SharedRate(SYSTEM_DISK, root, 1000);
  await other.take(1, new Urgency('background'), never);
  await rate.close();
  await other.close();
});

t.test('a file that says anything else costs nothing but its memory of the past', async t => {
  for (const bytes of [Buffer.alloc(8, 0x7f), Buffer.alloc(8, 0xff), Buffer.from('abc'), Buffer.alloc(0)]) {
    const root = t.testdir();
    await mkdir(join(root, 'use'));
    writeFileSync(join(root, 'use', 'rate'), bytes);
    const rate = new SharedRate(SYSTEM_DISK, root, RATE);
    await rate.take(1, new Urgency('background'), never);
    await rate.close();
  }
});

t.test('where there can be no file each process keeps the rate by itself', async t => {
  const root = t.testdir({ use: 'a file where the folder should be' });
  const rate = new SharedRate(SYSTEM_DISK, root, RATE);
  await rate.take(50_000, new Urgency('background'), never);
  const took = await duration(() => rate.take(1, new Urgency('background'), never));
  t.ok(took >= 45, `${took} ms for 50 ms of bytes`);
  await rate.close();
});

t.test('a store with a bound fetches at that rate what nobody waits for', async t => {
  const bytes = Buffer.alloc(100_000, 'x');
  const blob = { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, size: bytes.length };
  const root = t.testdir();
  for (const lane of ['demand', 'background'] as const) {
    await using store = await Store.open(join(root, lane), { maxBytesPerSecond: RATE });
    const source = await store.open(blob, new BufferSource(bytes));
    const took = await duration(async () => {
      await source.read(0, 50_000, { lane });
      await source.read(60_000, 40_000, { lane });
    });
    if (lane === 'background') t.ok(took >= 45, `${took} ms for 50 ms of bytes`);
    t.same(Buffer.from(await source.read(0, bytes.length, { lane })), bytes);
    await source.close();
  }
  await t.rejects(Store.open(root, { maxBytesPerSecond: 0 }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});
