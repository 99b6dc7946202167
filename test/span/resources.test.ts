/** What a process shares among all layers: settings, decode pool, memory budget, cache and shared work. */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { DecodePool } from '../../lib/span/decode-pool.js';
import { MemoryBudget } from '../../lib/span/memory-budget.js';
import { configure, settings } from '../../lib/span/read-context.js';
import { ENTRY_BYTES, SpanCache, type SpanKey } from '../../lib/span/span-cache.js';
import { sha256 } from '../../lib/span/span-digest.js';
import { WINDOW_BYTES, windowAfter, windowFollows } from '../../lib/span/windows.js';
import { gate } from './counting-source.js';
import { noise } from './sample-layers.js';

function key(content: string, span: number): SpanKey {
  return `${content}:${span}`;
}

t.test('configure', async t => {
  const before = settings();
  t.teardown(() => configure({ ...before }));
  t.equal(configure({ cacheBytes: 0 }).cacheBytes, 0);
  t.equal(settings().memoryBytes, before.memoryBytes, 'what is not given stays');
  const wrong: [object, RegExp][] = [
    [{ cacheBites: 1 }, /cacheBites/],
    [{ cacheBytes: -1 }, /cacheBytes/],
    [{ cacheBytes: 1.5 }, /cacheBytes/],
    [{ decodeConcurrency: 0 }, /decodeConcurrency/],
    [{ maxSpanBytes: '1' }, /maxSpanBytes/],
    [{ memoryBytes: undefined }, /memoryBytes/],
    [{ tempDirectory: '' }, /tempDirectory/],
    [{ toString: 1 }, /toString/],
  ];
  for (const [changes, message] of wrong) {
    t.throws(() => configure({ maxSpanBytes: 77, ...changes }), {
      code: 'ERR_SOCI_INVALID_ARGUMENT',
      message,
    });
    t.equal(settings().maxSpanBytes, before.maxSpanBytes, 'a refused change changes nothing');
  }
});

t.test('two jobs that a thread may take together share a place', async t => {
  const pool = new DecodePool(() => 2);
  const begun: string[] = [];
  const { opened, open } = gate();
  const jobs = [true, true, true, false, true, false].map((bulk, i) =>
    pool.run(
      async () => {
        begun.push(`${i}`);
        await opened;
      },
      { bulk },
    ),
  );
  await turn();
  t.same(begun, ['0', '1', '2'], 'the fourth does not fit, and nobody passes it');
  open();
  await Promise.all(jobs);
  t.equal(begun.length, 6);
});

t.test('the pool runs so many jobs at once, in order', async t => {
  let width = 2;
  const pool = new DecodePool(() => width);
  const begun: number[] = [];
  const gates = Array.from({ length: 5 }, gate);
  const jobs = gates.map(({ opened }, i) =>
    pool.run(async () => {
      begun.push(i);
      await opened;
    }),
  );
  await turn();
  t.same(begun, [0, 1]);
  gates[1]?.open();
  await jobs[1];
  await turn();
  t.same(begun, [0, 1, 2]);
  width = 4;
  pool.admit();
  await turn();
  t.same(begun, [0, 1, 2, 3, 4], 'a wider pool admits at once');
  for (const { open } of gates) open();
  await Promise.all(jobs);

  width = 1;
  await t.rejects(
    pool.run(async () => {
      throw new Error('job');
    }),
    { message: 'job' },
  );
  t.equal(await pool.run(async () => 1), 1, 'a failed job gives its place back');
  const blocked = gate();
  const running = pool.run(() => blocked.opened);
  const controller = new AbortController();
  const waiting = pool.run(async () => t.fail('it never runs'), { signal: controller.signal });
  controller.abort('gone');
  await t.rejects(
    waiting.catch(reason => Promise.reject(new Error(reason))),
    { message: 'gone' },
  );
  blocked.open();
  await running;
});

t.test('the budget grants leases in order, and one that is too large alone', async t => {
  const budget = new MemoryBudget(() => 100, new SpanCache(0));
  const order: string[] = [];
  const first = await budget.acquire(60);
  const large = budget.acquire(1000).then(lease => {
    order.push('large');
    return lease;
  });
  const small = budget.acquire(10).then(lease => {
    order.push('small');
    return lease;
  });
  const controller = new AbortController();
  const left = budget.acquire(10, { signal: controller.signal });
  await turn();
  t.same(order, [], 'a small one does not overtake');
  controller.abort(new Error('left'));
  await t.rejects(left, { message: 'left' });
  first.release(30);
  await turn();
  t.same(order, []);
  first.release();
  first.release();
  (await large).release();
  (await small).release();
  t.same(order, ['large', 'small']);
  t.equal(budget.held, 0, 'releasing twice gives back once');
});

t.test('a lease that is given up lets the next ones in', async t => {
  const budget = new MemoryBudget(() => 100, new SpanCache(0));
  const first = await budget.acquire(60);
  const controller = new AbortController();
  const large = budget.acquire(90, { signal: controller.signal });
  const small = budget.acquire(40);
  controller.abort(new Error('left'));
  await t.rejects(large);
  (await small).release();
  first.release();
  t.equal(budget.held, 0);
});

t.test('leases push cached spans out, the oldest first', async t => {
  const place = 20 + ENTRY_BYTES;
  const cache = new SpanCache(10 * place);
  const budget = new MemoryBudget(() => 5 * place, cache);
  for (let i = 0; i < 4; i++) cache.set(key('1', i), new Uint8Array(20));
  cache.get(key('1', 0));
  const lease = await budget.acquire(2.5 * place);
  t.equal(cache.size, 2 * place);
  t.ok(cache.has(key('1', 0)), 'what was used last stays');
  t.notOk(cache.has(key('1', 1)));
  lease.release();
});

t.test('the cache is bounded in bytes', async t => {
  const cache = new SpanCache(100 + 2 * ENTRY_BYTES);
  cache.set(key('1', 0), new Uint8Array(60 + ENTRY_BYTES));
  cache.set(key('2', 0), new Uint8Array(60));
  t.equal(cache.size, 60 + ENTRY_BYTES);
  cache.set(key('2', 1), new Uint8Array(101 + ENTRY_BYTES));
  t.notOk(cache.has(key('2', 1)), 'what alone exceeds the bound is not kept');
  t.ok(cache.has(key('2', 0)));
  cache.clear();
  t.equal(cache.size, 0);
  cache.set(key('2', 0), new Uint8Array(60));
  cache.resize(5);
  t.equal(cache.size, 0);
  cache.resize(0);
  cache.set(key('1', 0), new Uint8Array(1));
  t.equal(cache.size, 0, '0 keeps nothing');
});

t.test('very many tiny spans are bounded too', async t => {
  const cache = new SpanCache(100 * ENTRY_BYTES);
  for (let i = 0; i < 1000; i++) cache.set(key('1', i), new Uint8Array(1));
  t.equal(Array.from({ length: 1000 }, (_, i) => key('1', i)).filter(key => cache.has(key)).length, 99);
});

t.test('windows', async t => {
  const stream = noise(200_000);
  const zeros = Buffer.alloc(WINDOW_BYTES);
  const at = (offset: number) => Buffer.concat([zeros, stream.subarray(0, offset)]).subarray(-WINDOW_BYTES);
  for (const [from, to] of [
    [0, 0],
    [0, 10],
    [10, 32768],
    [100, 60_000],
    [60_000, 60_001],
    [60_000, 60_000],
  ] as const) {
    const output = stream.subarray(from, to);
    t.equal(Buffer.compare(windowAfter(at(from), output), at(to)), 0, `${from} to ${to}`);
    t.ok(windowFollows(at(to), at(from), output));
    for (const byte of [0, 1, WINDOW_BYTES - (to - from) - 1, WINDOW_BYTES - 1]) {
      if (byte < 0) continue;
      const forged = Buffer.from(at(to));
      forged[byte] = (forged[byte] as number) ^ 255;
      t.notOk(windowFollows(forged, at(from), output), `${from} to ${to}, byte ${byte}`);
    }
  }
  t.notOk(windowFollows(at(10).subarray(1), at(0), stream.subarray(0, 10)), 'a window has 32 KiB');
});

t.test('SHA-256 is the same however long the input', async t => {
  const { createHash } = await import('node:crypto');
  for (const length of [0, 1, 1_000_000, 8 * 1024 * 1024 + 1]) {
    const bytes = noise(length);
    t.same(Buffer.from(await sha256(bytes)), createHash('sha256').update(bytes).digest(), `${length} bytes`);
  }
});
