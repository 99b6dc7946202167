/**
 * HttpSource against servers that break: each fault ends in the right bytes or
 * in the error that says what went wrong, and never in a download of everything.
 */
import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import t, { type Test } from 'tap';
import { HttpSource, type HttpSourceOptions } from '../../lib/source/http/http-source.js';
import { type Fault, FaultyServer, type ServedObject } from '../helpers/http-server.js';

const BODY = new Uint8Array(randomBytes(1_000_000));
const OBJECT: ServedObject = { body: BODY, etag: '"v1"', lastModified: 'Thu, 01 Jan 2026 00:00:00 GMT' };
const QUICK: HttpSourceOptions = { retry: { minDelay: 1, maxDelay: 4, retries: 3 } };
/** For servers that fall silent: short for us, long for a busy machine. */
const IMPATIENT: HttpSourceOptions = {
  ...QUICK,
  transport: { timeouts: { headers: 500, bodyIdle: 500 } },
};

const CHUNKED_206 =
  'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 100-100099/1000000\r\nTransfer-Encoding: chunked\r\n\r\n';

async function serve(t: Test, object: ServedObject = OBJECT): Promise<{ server: FaultyServer; url: string }> {
  const server = await FaultyServer.listen();
  t.teardown(() => server.close());
  return { server, url: server.put('/blob', object) };
}

async function opened(
  t: Test,
  options: HttpSourceOptions = {},
  object: ServedObject = OBJECT,
): Promise<{ server: FaultyServer; source: HttpSource }> {
  const { server, url } = await serve(t, object);
  const source = await HttpSource.open(url, { ...QUICK, ...options });
  t.teardown(() => source.close());
  return { server, source };
}

function same(t: Test, bytes: Uint8Array, start: number, end: number, message?: string): void {
  t.equal(Buffer.compare(bytes, BODY.subarray(start, end)), 0, message ?? `bytes ${start}-${end - 1}`);
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

t.test('a read is one request for exactly its range', async t => {
  const { server, source } = await opened(t);
  same(t, await source.read(1000, 5000), 1000, 6000);
  t.equal(server.requests.length, 2, 'the probe and the read');
  t.equal(server.requests[0]?.range, 'bytes=0-0');
  t.equal(server.requests[1]?.range, 'bytes=1000-5999');
  t.equal(server.requests[1]?.headers['accept-encoding'], 'identity');
  t.match(server.requests[1]?.headers['user-agent'], /^seekable-oci/);
  t.same(source.stats, { requests: 2, bytes: 5001, retries: 0, redirects: 0 });
  await source.read(7, 0);
  t.equal(server.requests.length, 2, 'nothing asked, nothing sent');
});

t.test('reads one after the other use one connection', async t => {
  const { server, source } = await opened(t);
  for (let i = 0; i < 5; i++) await source.read(i, 100_000);
  await t.rejects(source.read(0, BODY.length + 1));
  t.equal(server.connections, 1);
});

t.test('connections are shared and bounded', async t => {
  const { server, source } = await opened(t, { transport: { connections: 3 } });
  let most = 0;
  server.decide = () => {
    most = Math.max(most, server.connections);
    return { delay: 5 };
  };
  await Promise.all(Array.from({ length: 30 }, (_, i) => source.read(i * 10, 10)));
  t.ok(most <= 3, `at most 3 connections, saw ${most}`);
  server.decide = undefined;
  await source.close();
  await server.drained();
});

t.test('with a known size opening asks nothing, and the first read checks it', async t => {
  const { server, url } = await serve(t);
  const right = await HttpSource.open(url, { ...QUICK, size: BODY.length });
  t.teardown(() => right.close());
  t.equal(server.requests.length, 0);
  same(t, await right.read(5, 5), 5, 10);
  const wrong = await HttpSource.open(url, { ...QUICK, size: BODY.length - 1 });
  t.teardown(() => wrong.close());
  await t.rejects(wrong.read(0, 5), { code: 'ERR_SOCI_SOURCE_CHANGED', data: { found: BODY.length } });
  for (const size of [-1, 1.5, Number.NaN]) {
    await t.rejects(HttpSource.open(url, { size }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
});

t.test('failures that pass are retried', async t => {
  const passing: [string, Fault[], Fault?][] = [
    ['one 503', [{ status: 503 }]],
    ['429, 500 and 502', [{ status: 429 }, { status: 500 }, { status: 502, body: 'x'.repeat(100_000) }]],
    ['Retry-After of 0 s', [{ status: 503, headers: { 'retry-after': '0' } }]],
    ['a reset before the header', [{ reset: 'before-headers' }]],
    ['no header in time', [{ delay: Number.POSITIVE_INFINITY }]],
    ['a body that stalls', [{ stall: 1000 }]],
    ['a body that stalls at once', [{ stall: 0 }]],
    ['a body cut short', [{ cut: 1000 }]],
    ['a reset in the body', [{ reset: 3000 }]],
    ['a chunked body that is too short', [{ short: 1234 }]],
    ['a chunked body cut in a chunk', [{ raw: `${CHUNKED_206}64\r\n` }]],
    ['an empty chunked body', [{ short: 0 }]],
    ['part of the range only, correctly labelled', [{ partial: 4321 }]],
    ['three different ones', [{ cut: 1 }, { status: 500 }, { reset: 70_000 }]],
    ['a connection closed without a reply', [{ raw: '' }]],
  ];
  for (const [name, faults] of passing) {
    await t.test(name, async t => {
      const silent = faults.some(({ delay, stall }) => delay !== undefined || stall !== undefined);
      const { server, source } = await opened(t, silent ? IMPATIENT : QUICK);
      server.faults.push(...faults);
      same(t, await source.read(100, 100_000), 100, 100_100);
      t.equal(source.stats.retries, faults.length);
      t.equal(server.requests.length, 2 + faults.length);
    });
  }
});

t.test('a broken body is resumed where it stopped', async t => {
  t.test('conditionally, with a strong ETag', async t => {
    const { server, source } = await opened(t);
    server.faults.push({ cut: 1000 }, { cut: 500 });
    same(t, await source.read(100, 10_000), 100, 10_100);
    t.same(
      server.requests.slice(1).map(request => [request.range, request.headers['if-range']]),
      [
        ['bytes=100-10099', undefined],
        ['bytes=1100-10099', '"v1"'],
        ['bytes=1600-10099', '"v1"'],
      ],
    );
  });

  t.test('a weak ETag is not sent, but compared', async t => {
    const { server, source } = await opened(t, {}, { body: BODY, etag: 'W/"v1"' });
    server.faults.push({ cut: 1000 });
    same(t, await source.read(0, 5000), 0, 5000);
    t.equal(server.requests[2]?.headers['if-range'], undefined);
    server.faults.push({ cut: 1000 }, { headers: { etag: 'W/"v2"' } });
    await t.rejects(source.read(0, 5000), { code: 'ERR_SOCI_SOURCE_CHANGED' });
  });

  t.test('not with bytes of another object', async t => {
    const { server, source } = await opened(t);
    const replaced = new Uint8Array(randomBytes(BODY.length));
    server.faults.push({ cut: 1000 }, { replace: { body: replaced, etag: '"v2"' } });
    await t.rejects(source.read(0, 5000), {
      code: 'ERR_SOCI_SOURCE_CHANGED',
      data: { expected: '"v1"', found: '"v2"' },
    });
    t.ok(source.stats.bytes < 300_000, 'the whole new object was not downloaded');
  });

  t.test('within the retry budget', async t => {
    const { server, source } = await opened(t);
    server.decide = () => ({ cut: 10 });
    await t.rejects(source.read(0, 5000), {
      code: 'ERR_SOCI_SOURCE_SHORT',
      message: /gave up after 4 attempts/,
    });
    server.decide = () => ({ partial: 1 });
    await t.rejects(source.read(0, 5000), { code: 'ERR_SOCI_SOURCE_SHORT', data: { attempts: 4 } });
  });
});

t.test('a changed object is noticed', async t => {
  const other = new Uint8Array(randomBytes(BODY.length));
  const changes: [string, ServedObject][] = [
    ['ETag', { ...OBJECT, body: other, etag: '"v2"' }],
    ['length', { ...OBJECT, body: BODY.subarray(0, 999_999) }],
    ['Last-Modified, without ETag', { body: other, lastModified: 'Fri, 02 Jan 2026 00:00:00 GMT' }],
  ];
  for (const [name, replace] of changes) {
    await t.test(name, async t => {
      const { server, source } = await opened(t);
      server.faults.push({ replace });
      await t.rejects(source.read(0, 100), { code: 'ERR_SOCI_SOURCE_CHANGED' });
      await t.rejects(source.read(0, 100), { code: 'ERR_SOCI_SOURCE_CHANGED' }, 'and stays changed');
      await t.rejects(collect(source.stream()), { code: 'ERR_SOCI_SOURCE_CHANGED' });
      t.equal(source.stats.retries, 0);
    });
  }

  t.test('shrunk below the range: 416', async t => {
    const { server, source } = await opened(t);
    server.faults.push({ replace: { body: BODY.subarray(0, 10) } });
    await t.rejects(source.read(500, 10), {
      code: 'ERR_SOCI_SOURCE_CHANGED',
      data: { expected: BODY.length, found: 10 },
    });
  });

  t.test('but not taken for changed', async t => {
    const { server, source } = await opened(t);
    server.faults.push(
      { headers: { etag: 'W/"v1"' } },
      { headers: { 'last-modified': 'Fri, 02 Jan 2026 00:00:00 GMT' } },
      { headers: { etag: null, 'last-modified': null } },
      { headers: { 'content-range': 'bytes 0-9/*' } },
    );
    for (let i = 0; i < 4; i++) same(t, await source.read(0, 10), 0, 10);
    t.equal(source.stats.retries, 0);
  });
});

t.test('replies that are not what was asked for', async t => {
  const wrong: [string, Fault, Record<string, unknown>][] = [
    [
      'another range',
      { headers: { 'content-range': 'bytes 5-104/1000000' } },
      { code: 'ERR_SOCI_HTTP_RANGE' },
    ],
    [
      'a longer range',
      { headers: { 'content-range': 'bytes 0-100/1000000' } },
      { code: 'ERR_SOCI_HTTP_RANGE' },
    ],
    ['malformed', { headers: { 'content-range': 'bytes 0-99' } }, { code: 'ERR_SOCI_HTTP_RANGE' }],
    ['no Content-Range', { headers: { 'content-range': null } }, { code: 'ERR_SOCI_HTTP_RANGE' }],
    [
      'multipart',
      { headers: { 'content-range': null, 'content-type': 'multipart/byteranges; boundary=x' } },
      { code: 'ERR_SOCI_HTTP_RANGE' },
    ],
    [
      'Content-Length contradicts',
      { partial: 50, headers: { 'content-range': 'bytes 0-99/1000000' } },
      { code: 'ERR_SOCI_HTTP_RANGE' },
    ],
    ['a longer body', { long: 1 }, { code: 'ERR_SOCI_HTTP_RANGE', message: /longer than 100 bytes/ }],
    ['a much longer body', { long: 5_000_000 }, { code: 'ERR_SOCI_HTTP_RANGE' }],
    ['gzip unasked', { headers: { 'content-encoding': 'gzip' } }, { code: 'ERR_SOCI_HTTP_ENCODING' }],
    ['another encoding', { headers: { 'content-encoding': 'x-\u00ff' } }, { code: 'ERR_SOCI_HTTP_ENCODING' }],
    [
      'the whole object',
      { ignoreRange: true },
      { code: 'ERR_SOCI_HTTP_NO_RANGES', message: /ranges: 'optional'/ },
    ],
    [
      '416 for a range inside',
      { status: 416, headers: { 'content-range': 'bytes */1000000' } },
      { code: 'ERR_SOCI_HTTP_RANGE' },
    ],
    ['416 without a length', { status: 416 }, { code: 'ERR_SOCI_HTTP_RANGE' }],
    ['204', { status: 204 }, { code: 'ERR_SOCI_HTTP_STATUS', data: { status: 204 } }],
    ['304', { status: 304 }, { code: 'ERR_SOCI_HTTP_STATUS', data: { status: 304 } }],
    ['300', { status: 300 }, { code: 'ERR_SOCI_HTTP_STATUS' }],
    ['401', { status: 401 }, { code: 'ERR_SOCI_HTTP_STATUS', message: /401 Unauthorized/ }],
    ['403', { status: 403, body: 'x'.repeat(1_000_000) }, { code: 'ERR_SOCI_HTTP_STATUS' }],
    ['404', { status: 404 }, { code: 'ERR_SOCI_HTTP_STATUS', data: { status: 404 } }],
    ['501', { status: 501 }, { code: 'ERR_SOCI_HTTP_STATUS' }],
    ['no HTTP at all', { raw: 'SSH-2.0-OpenSSH_9.2\r\n' }, { code: 'ERR_SOCI_HTTP_NETWORK' }],
    ['a huge header', { headers: { 'x-long': 'x'.repeat(100_000) } }, { code: 'ERR_SOCI_HTTP_NETWORK' }],
    [
      'a switch of protocols',
      { raw: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n' },
      {},
    ],
  ];
  for (const [name, fault, expected] of wrong) {
    await t.test(name, async t => {
      const { server, source } = await opened(t, { retry: { retries: 0 } });
      server.faults.push(fault);
      await t.rejects(source.read(0, 100), { name: 'SociError', ...expected });
      t.equal(server.requests.length, 2, 'asked once only');
      t.ok(source.stats.bytes <= 300_000, `the body was not downloaded: ${source.stats.bytes} bytes`);
      same(t, await source.read(0, 100), 0, 100, 'the next read works');
    });
  }

  t.test('any number of interim replies do not keep it waiting', async t => {
    const { server, source } = await opened(t, { retry: { retries: 0 } });
    server.faults.push({ raw: 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1000) });
    await t.rejects(source.read(0, 100), { name: 'SociError' });
  });
});

t.test('opening', async t => {
  t.test('a server without ranges', async t => {
    const { server, url } = await serve(t);
    server.decide = () => ({ ignoreRange: true });
    await t.rejects(HttpSource.open(url, QUICK), { code: 'ERR_SOCI_HTTP_NO_RANGES' });
    t.equal(server.requests.length, 1, 'and is not asked again');

    const source = await HttpSource.open(url, { ...QUICK, ranges: 'optional' });
    t.teardown(() => source.close());
    t.equal(source.size, BODY.length);
    t.equal(source.ranges, false);
    await t.rejects(source.read(0, 10), { code: 'ERR_SOCI_HTTP_NO_RANGES' });
    same(t, await collect(source.stream()), 0, BODY.length);
    server.decide = () => ({ ignoreRange: true, cut: 500_000 });
    await t.rejects(collect(source.stream()), { code: 'ERR_SOCI_SOURCE_SHORT' }, 'cannot resume');
    server.decide = () => ({
      ignoreRange: true,
      headers: { 'content-length': null, 'transfer-encoding': 'chunked' },
    });
    await t.rejects(HttpSource.open(url, { ...QUICK, ranges: 'optional' }), { code: 'ERR_SOCI_HTTP_RANGE' });
  });

  t.test('refuses what it cannot trust', async t => {
    const cases: [Fault, string][] = [
      [{ headers: { 'content-range': 'bytes 0-0/*' } }, 'ERR_SOCI_HTTP_RANGE'],
      [{ headers: { 'content-range': 'bytes 0-9/100' } }, 'ERR_SOCI_HTTP_RANGE'],
      [{ status: 416 }, 'ERR_SOCI_HTTP_RANGE'],
      [{ status: 416, headers: { 'content-range': 'bytes */5' } }, 'ERR_SOCI_HTTP_RANGE'],
      [{ headers: { 'content-encoding': 'gzip' } }, 'ERR_SOCI_HTTP_ENCODING'],
      [{ status: 404 }, 'ERR_SOCI_HTTP_STATUS'],
    ];
    for (const [fault, code] of cases) {
      const { server, url } = await serve(t);
      server.faults.push(fault);
      await t.rejects(HttpSource.open(url, QUICK), { code });
      await server.drained();
    }
  });

  t.test('retries like a read', async t => {
    const { server, url } = await serve(t);
    server.faults.push({ status: 503 }, { reset: 'before-headers' });
    const source = await HttpSource.open(url, QUICK);
    t.teardown(() => source.close());
    t.equal(source.stats.retries, 2);
  });

  t.test('nobody is there', async t => {
    const { server, url } = await serve(t);
    await server.close();
    await t.rejects(HttpSource.open(url, { ...QUICK, retry: { retries: 1, minDelay: 1 } }), {
      code: 'ERR_SOCI_HTTP_NETWORK',
      data: { reason: 'ECONNREFUSED', attempts: 2 },
    });
  });
});

t.test('waiting as the server says', async t => {
  const { server, source } = await opened(t);
  server.faults.push({ status: 429, headers: { 'retry-after': '1' } });
  const before = performance.now();
  same(t, await source.read(0, 10), 0, 10);
  t.ok(performance.now() - before >= 950, 'not before the second is over');
  server.faults.push({ status: 429, headers: { 'retry-after': '3600' } });
  await t.rejects(source.read(0, 10), { code: 'ERR_SOCI_HTTP_STATUS', message: /asks to wait 3600 s/ });
});

t.test('timeouts', async t => {
  const cases: [string, Fault, string][] = [
    ['headers', { delay: Number.POSITIVE_INFINITY }, 'headers'],
    ['body', { stall: 10 }, 'body'],
    ['request', { drip: { bytes: 1, every: 20 } }, 'request'],
  ];
  for (const [name, fault, phase] of cases) {
    await t.test(name, async t => {
      const { server, source } = await opened(t, {
        retry: { retries: 0 },
        transport: { timeouts: { headers: 100, bodyIdle: 100, request: 300 } },
      });
      server.faults.push(fault);
      await t.rejects(source.read(0, 1000), { code: 'ERR_SOCI_HTTP_TIMEOUT', data: { phase } });
      await server.drained();
      same(t, await source.read(0, 1000), 0, 1000, 'a new connection serves the next read');
    });
  }
  for (const timeouts of [{ headers: 0 }, { connect: 1.5 }, { request: 2 ** 31 }]) {
    await t.rejects(HttpSource.open('http://127.0.0.1:1/', { transport: { timeouts } }), {
      code: 'ERR_SOCI_INVALID_ARGUMENT',
    });
  }
  await t.rejects(HttpSource.open('http://127.0.0.1:1/', { transport: { connections: 0 } }), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
  });
});

t.test('stream()', async t => {
  t.test('is one request without Range', async t => {
    const { server, source } = await opened(t);
    same(t, await collect(source.stream()), 0, BODY.length);
    t.equal(server.requests.length, 2);
    t.equal(server.requests[1]?.range, undefined);
  });

  t.test('resumes mid-body', async t => {
    const { server, source } = await opened(t, { ...IMPATIENT, retry: { retries: 4, minDelay: 1 } });
    server.faults.push({ cut: 300_000 }, { status: 503 }, { reset: 200_000 }, { stall: 100_000 });
    same(t, await collect(source.stream()), 0, BODY.length);
    t.same(
      server.requests.slice(2).map(request => request.headers['if-range']),
      ['"v1"', '"v1"', '"v1"', '"v1"'],
    );
    t.equal(source.stats.retries, 4);
  });

  t.test('refuses a body of another length', async t => {
    const { server, source } = await opened(t, { retry: { retries: 0 } });
    server.faults.push(
      { long: 1 },
      { short: 10 },
      { ignoreRange: true, headers: { 'content-encoding': 'gzip' } },
    );
    await t.rejects(collect(source.stream()), { code: 'ERR_SOCI_HTTP_RANGE' });
    await t.rejects(collect(source.stream()), { code: 'ERR_SOCI_SOURCE_SHORT' });
    await t.rejects(collect(source.stream()), { code: 'ERR_SOCI_HTTP_ENCODING' });
  });

  t.test('holds little when its consumer is slow, and closes the connection when left', async t => {
    const body = new Uint8Array(64 * 1024 * 1024);
    const { server, source } = await opened(t, IMPATIENT, { body });
    for await (const chunk of source.stream()) {
      t.ok(chunk.length > 0);
      // Longer than bodyIdle: a consumer that takes its time is no stalled server.
      await new Promise(resolve => setTimeout(resolve, 800));
      break;
    }
    t.ok(source.stats.bytes < 2 * 1024 * 1024, `${source.stats.bytes} bytes were taken from the socket`);
    await server.drained();
  });

  t.test('a slow consumer gets everything', async t => {
    const { source } = await opened(t, IMPATIENT);
    let pauses = 0;
    const chunks: Uint8Array[] = [];
    for await (const chunk of source.stream()) {
      chunks.push(chunk);
      if (pauses++ < 2) await new Promise(resolve => setTimeout(resolve, 800));
    }
    same(t, Buffer.concat(chunks), 0, BODY.length);
    t.equal(source.stats.retries, 0);
  });
});

t.test('diagnostics_channel', async t => {
  const { server, source } = await opened(t);
  const events: unknown[] = [];
  const listener = (event: unknown): void => void events.push(event);
  subscribe('seekable-oci:http:request', listener);
  t.teardown(() => unsubscribe('seekable-oci:http:request', listener));
  server.faults.push({ status: 503 }, { reset: 'before-headers' });
  await source.read(0, 100);
  t.match(events, [
    { url: source.name, range: 'bytes=0-99', status: 503, bytes: 0, ms: Number },
    { status: undefined, bytes: 0 },
    { status: 206, bytes: 100 },
  ]);
});
