/**
 * Whatever sequence of faults a server produces, a read or stream ends with the
 * right bytes or with a typed error, in bounded time and with bounded traffic.
 */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { ERROR_CODES, SociError } from '../../lib/errors.js';
import { HttpSource } from '../../lib/source/http/http-source.js';
import { type Fault, FaultyServer } from '../helpers/http-server.js';
import fc from '../property.js';

const BODY = new Uint8Array(randomBytes(200_000));
const at = fc.nat({ max: BODY.length });

const fault: fc.Arbitrary<Fault | undefined> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 4, arbitrary: at.map(cut => ({ cut })) },
  { weight: 3, arbitrary: at.map(reset => ({ reset })) },
  at.map(short => ({ short })),
  at.map(partial => ({ partial: partial + 1 })),
  fc.integer({ min: 1, max: 500_000 }).map(long => ({ long })),
  fc.constantFrom(200, 204, 302, 307, 400, 401, 404, 416, 429, 500, 501, 503).map(status => ({ status })),
  fc.constant({ reset: 'before-headers' as const }),
  fc.constant({ ignoreRange: true }),
  fc.constant({ raw: 'nonsense' }),
  fc.constant({ delay: 3 }),
  fc.constant({ redirect: '/other' }),
  fc.constant({ headers: { etag: '"2"' } }),
  fc.constant({ headers: { 'content-encoding': 'gzip' } }),
  fc.tuple(at, at, at).map(([a, b, c]) => ({ headers: { 'content-range': `bytes ${a}-${b}/${c}` } })),
);

t.test('right bytes or a typed error', async t => {
  const server = await FaultyServer.listen();
  t.teardown(() => server.close());
  const object = { body: BODY, etag: '"1"' };
  const url = server.put('/blob', object);
  server.put('/other', object);
  const outcomes = { right: 0, failed: 0 };
  const codes: readonly string[] = ERROR_CODES;

  const check = (bytes: Uint8Array, expected: Uint8Array): void => {
    if (Buffer.compare(bytes, expected) !== 0) throw new Error('wrong bytes');
    outcomes.right += 1;
  };
  const failed = (error: unknown): void => {
    if (!(error instanceof SociError) || !codes.includes(error.code)) throw error;
    outcomes.failed += 1;
  };

  await fc.assert(
    fc.asyncProperty(fc.array(fault, { maxLength: 8 }), at, at, fc.boolean(), async (faults, a, b, whole) => {
      server.faults.splice(0);
      const source = await HttpSource.open(url, {
        size: BODY.length,
        retry: { retries: 4, minDelay: 0, maxDelay: 1 },
        transport: { timeouts: { headers: 1000, bodyIdle: 1000 } },
      });
      server.faults.push(...faults);
      const [start, end] = whole ? [0, BODY.length] : [Math.min(a, b), Math.max(a, b)];
      try {
        if (whole) {
          const chunks: Uint8Array[] = [];
          for await (const chunk of source.stream()) chunks.push(chunk);
          check(Buffer.concat(chunks), BODY);
        } else {
          check(await source.read(start, end - start), BODY.subarray(start, end));
        }
      } catch (error) {
        failed(error);
      } finally {
        await source.close();
      }
      // 5 attempts, each with at most one stale location and its redirects.
      if (source.stats.requests > 5 * 4) throw new Error(`${source.stats.requests} requests`);
      if (source.stats.bytes > end - start + 5 * 400_000) throw new Error(`${source.stats.bytes} bytes`);
    }),
    { numRuns: 250 },
  );
  t.ok(outcomes.right > 20, `${outcomes.right} reads were right`);
  t.ok(outcomes.failed > 20, `${outcomes.failed} reads failed as they should`);
  await server.drained();
});
