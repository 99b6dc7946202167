/** Reads of all lanes at one real server: what is asked for, what makes room, what goes on where, and what ends how. */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { ERROR_CODES, SociError } from '../../lib/errors.js';
import { HttpSource, type HttpSourceOptions } from '../../lib/source/http/http-source.js';
import { HttpTransport } from '../../lib/source/http/http-transport.js';
import { LANES, Urgency } from '../../lib/source/lanes.js';
import { type Fault, FaultyServer } from '../helpers/http-server.js';
import fc from '../property.js';

const MIB = 1024 * 1024;
const SIZE = 3 * MIB + 4567;
const BODY = new Uint8Array(SIZE).map((_, i) => (i * 2654435761) >>> 24);
const REASON = { why: 'no longer wanted' };

interface Setup {
  readonly server: FaultyServer;
  readonly transport: HttpTransport;
  open(options?: HttpSourceOptions): Promise<HttpSource>;
}

/** A server, and sources that share a transport. None of them tries anything twice. */
async function setUp(t: Test, connections = 16): Promise<Setup> {
  const server = await FaultyServer.listen();
  const transport = new HttpTransport({ connections });
  const url = server.put('/blob', { body: BODY, etag: '"1"' });
  t.teardown(async () => {
    await transport.close();
    await server.close();
  });
  const open = (options: HttpSourceOptions = {}): Promise<HttpSource> =>
    HttpSource.open(url, { size: SIZE, retry: { retries: 0 }, transport, ...options });
  return { server, transport, open };
}

const ranges = ({ requests }: FaultyServer): (string | undefined)[] => requests.map(({ range }) => range);

/** Until `source` has got so many bytes. */
async function hasGot(source: HttpSource, bytes: number): Promise<void> {
  while (source.stats.bytes < bytes) await delay(2);
}

const isRight = (bytes: Uint8Array, offset = 0): boolean =>
  Buffer.compare(bytes, BODY.subarray(offset, offset + bytes.length)) === 0;

t.test('what nobody waits for is asked for in pieces', async t => {
  const { server, open } = await setUp(t);
  const source = await open();
  t.ok(isRight(await source.read(5, SIZE - 5, { lane: 'background' }), 5));
  t.same(ranges(server), [
    `bytes=5-${MIB + 4}`,
    `bytes=${MIB + 5}-${2 * MIB + 4}`,
    `bytes=${2 * MIB + 5}-${3 * MIB + 4}`,
    `bytes=${3 * MIB + 5}-${SIZE - 1}`,
  ]);
  for (const lane of ['demand', 'prefetch'] as const) {
    await source.read(0, SIZE, { lane });
    t.equal(ranges(server).at(-1), `bytes=0-${SIZE - 1}`);
  }
  t.rejects(source.read(0, 1, { lane: 'soon' as 'demand' }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});

t.test('a stream that nobody waits for comes in pieces, or whole from a server without ranges', async t => {
  const { server, open } = await setUp(t);
  const source = await open();
  const all = async (): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of source.stream({ lane: 'background' })) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  t.ok(isRight(await all()));
  t.equal(server.requests.length, 4);
  server.decide = () => ({ ignoreRange: true });
  const whole = await all();
  t.equal(whole.length, SIZE);
  t.ok(isRight(whole));
  const [begin, rangeless]: [string[], string[]] = [[], []];
  for await (const chunk of source.streamAsRange({ lane: 'background' }, () => rangeless.push('told'))) {
    begin.push(String(chunk.length));
    t.same(rangeless, ['told'], 'before the first byte');
    if (begin.length > 1) break;
  }
});

t.test('broken off for somebody who waits, it goes on where it was: no failure, no retry', async t => {
  const { server, open } = await setUp(t);
  const [slow, quick] = [await open(), await open()];
  server.faults.push({ stall: 100_000 });
  const background = slow.read(0, SIZE, { lane: 'background' });
  await hasGot(slow, 100_000);
  server.faults.push({ delay: 30 });
  t.ok(isRight(await quick.read(7, 50), 7));
  t.ok(isRight(await background));
  t.same(ranges(server).slice(0, 3), [`bytes=0-${MIB - 1}`, 'bytes=7-56', `bytes=100000-${MIB + 99_999}`]);
  t.equal(slow.stats.retries, 0);
  t.equal(slow.stats.bytes, SIZE, 'nothing was fetched twice');
});

t.test('what was fetched ahead makes room where there is no connection left', async t => {
  const { server, open } = await setUp(t, 1);
  const [ahead, quick] = [await open(), await open()];
  server.faults.push({ stall: 50_000 });
  const prefetch = ahead.read(0, SIZE, { lane: 'prefetch' });
  await hasGot(ahead, 50_000);
  t.ok(isRight(await quick.read(7, 50), 7));
  t.ok(isRight(await prefetch));
  t.same(ranges(server), [`bytes=0-${SIZE - 1}`, 'bytes=7-56', `bytes=50000-${SIZE - 1}`]);
  t.equal(ahead.stats.retries, 0);
});

t.test('what somebody has come to wait for is not broken off', async t => {
  const { server, open } = await setUp(t);
  const [raised, quick] = [await open(), await open()];
  const urgency = new Urgency('background');
  server.faults.push({ drip: { bytes: 100_000, every: 3 } });
  const read = raised.read(0, 900_000, { urgency });
  await hasGot(raised, 100_000);
  urgency.raise('demand');
  await quick.read(7, 50);
  t.ok(isRight(await read));
  t.equal(raised.stats.requests, 1);
});

const WAITING: readonly (readonly [string, Fault])[] = [
  ['behind somebody who waits', { delay: Number.POSITIVE_INFINITY }],
  ['behind a body that does not end', { stall: 10 }],
];

for (const [where, fault] of WAITING) {
  t.test(`abort and close ${where}`, async t => {
    const { server, transport, open } = await setUp(t, 1);
    const [first, second, third, fourth] = await Promise.all([open(), open(), open(), open()]);
    server.faults.push(fault);
    const blocking = first.read(0, 1000);
    await server.received(1);
    const controller = new AbortController();
    const aborted = second.read(0, SIZE, { lane: 'background', signal: controller.signal });
    const closed = third.read(0, SIZE, { lane: 'prefetch' });
    const left = fourth.read(0, 10);
    const settled = Promise.allSettled([blocking, aborted, closed, left]);
    controller.abort(REASON);
    await third.close();
    await transport.close();
    const results = (await settled).map(result => result.status === 'rejected' && result.reason);
    t.match(results, [
      { code: 'ERR_SOCI_CLOSED' },
      REASON,
      { code: 'ERR_SOCI_CLOSED' },
      { code: 'ERR_SOCI_CLOSED' },
    ]);
    t.equal(server.requests.length, 1, 'nothing else was sent');
    await server.drained();
    await t.rejects(first.read(0, 1), { code: 'ERR_SOCI_CLOSED' });
  });
}

t.test('all sources that share a transport leave a host alone that asks for it', async t => {
  const { server, open } = await setUp(t);
  const [one, two] = [await open(), await open({ retry: { retries: 0 } })];
  server.faults.push({ status: 429, headers: { 'retry-after': '1' } });
  await t.rejects(one.read(0, 10), { code: 'ERR_SOCI_HTTP_STATUS', data: { status: 429, retryAfter: 1000 } });
  const asked = performance.now();
  await two.read(0, 10);
  t.ok(performance.now() - asked > 900, 'not before it may be asked again');
  server.faults.push({ status: 429, headers: { 'retry-after': '3600' } });
  await t.rejects(one.read(0, 10), { code: 'ERR_SOCI_HTTP_STATUS', data: { retryAfter: 3_600_000 } });
  t.ok(isRight(await two.read(0, 10)), 'nobody waits for an hour');
});

const fault: fc.Arbitrary<Fault | undefined> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: fc.nat(200_000).map(reset => ({ reset })) },
  { weight: 2, arbitrary: fc.nat(200_000).map(cut => ({ cut })) },
  fc.nat(200_000).map(partial => ({ partial: partial + 1 })),
  fc.constant({ reset: 'before-headers' as const }),
  fc.constantFrom(404, 429, 500, 503).map(status => ({ status })),
  fc.constant({ status: 429, headers: { 'retry-after': '0' } }),
  fc.constant({ status: 503, headers: { 'retry-after': '86400' } }),
  fc.constant({ drip: { bytes: 40_000, every: 1 } }),
  fc.constant({ delay: 5 }),
  fc.constant({ ignoreRange: true }),
  fc.constant({ headers: { 'content-range': 'bytes 5-6/7' } }),
  fc.constant({ status: 503, body: new Uint8Array(300_000) }),
);

const wish = fc.record({
  lane: fc.constantFrom(...LANES),
  start: fc.nat(SIZE - 300_000),
  length: fc.integer({ min: 1, max: 300_000 }),
  after: fc.nat(8),
  raised: fc.option(fc.nat(10)),
  aborted: fc.option(fc.nat(20)),
});

t.test(
  'whatever a server does under reads of all lanes: right bytes or a typed error, and it goes on',
  async t => {
    const codes: readonly string[] = ERROR_CODES;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fault, { maxLength: 25 }),
        fc.array(wish, { maxLength: 12 }),
        async (faults, wishes) => {
          const server = await FaultyServer.listen();
          const transport = new HttpTransport({
            connections: 3,
            timeouts: { headers: 1000, bodyIdle: 1000 },
          });
          const source = await HttpSource.open(server.put('/blob', { body: BODY, etag: '"1"' }), {
            size: SIZE,
            retry: { retries: 2, minDelay: 0, maxDelay: 1 },
            transport,
          });
          server.faults.push(...faults);
          const read = async ({
            lane,
            start,
            length,
            after,
            raised,
            aborted,
          }: (typeof wishes)[0]): Promise<void> => {
            const urgency = new Urgency(lane);
            const controller = new AbortController();
            await delay(after);
            const timers = [
              raised !== null && setTimeout(() => urgency.raise('demand'), raised),
              aborted !== null && setTimeout(() => controller.abort(REASON), aborted),
            ];
            try {
              const bytes = await source.read(start, length, { urgency, signal: controller.signal });
              if (!isRight(bytes, start)) throw new Error('wrong bytes');
            } catch (error) {
              if (error === REASON && aborted !== null) return;
              if (!(error instanceof SociError) || !codes.includes(error.code)) throw error;
            } finally {
              for (const timer of timers) if (timer !== false) clearTimeout(timer);
            }
          };
          try {
            await Promise.all(wishes.map(read));
            server.faults.splice(0);
            const last = LANES.map(async (lane, i) => isRight(await source.read(i, 1000, { lane }), i));
            if ((await Promise.all(last)).includes(false)) throw new Error('wrong bytes in the end');
          } finally {
            await transport.close();
            await server.close();
          }
        },
      ),
      { numRuns: 60 },
    );
    t.pass();
  },
);
