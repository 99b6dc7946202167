/**
 * The pure rules that HttpSource stands on: Content-Range, redaction, redirect
 * targets, retry policy.
 */

import t from 'tap';
import type { SociError, SociErrorCode } from '../../lib/errors.js';
import { parseContentRange } from '../../lib/source/http/content-range.js';
import { httpError, timeoutError } from '../../lib/source/http/http-error.js';
import { isRedirect, locationOf } from '../../lib/source/http/location.js';
import { redactUrl, shownValue } from '../../lib/source/http/redact.js';
import { Retries } from '../../lib/source/http/retry.js';
import {
  backoff,
  DEFAULT_RETRY_POLICY,
  parseRetryAfter,
  retryPolicy,
} from '../../lib/source/http/retry-policy.js';
import { type HttpTarget, parseTarget, redirected } from '../../lib/source/http/target.js';
import { isTemporary } from '../../lib/source/http/temporary.js';
import { DEFAULT_TIMEOUTS } from '../../lib/source/http/timeouts.js';
import fc from '../property.js';

const AT = { method: 'GET', url: new URL('http://host.example/x') };

function followRedirect(from: HttpTarget, location: string | undefined): HttpTarget {
  return redirected(from, locationOf({ method: 'GET', url: from.url, header: () => location }));
}

t.test('Content-Range', async t => {
  t.same(parseContentRange('bytes 0-0/1'), { range: { start: 0, end: 1 }, total: 1 });
  t.same(parseContentRange('bytes 10-19/*'), { range: { start: 10, end: 20 }, total: undefined });
  t.same(
    parseContentRange('Bytes 1-2/4'),
    { range: { start: 1, end: 3 }, total: 4 },
    'the unit is case-insensitive',
  );
  t.same(parseContentRange('bytes */12'), { range: undefined, total: 12 });
  t.same(
    parseContentRange('bytes 5000000000-5000000009/6000000000'),
    { range: { start: 5e9, end: 5e9 + 10 }, total: 6e9 },
    'beyond 32 bits',
  );
  const malformed = [
    '',
    'bytes',
    'bytes 0-0',
    'bytes 1-0/2',
    'bytes 0-2/2',
    'bytes 0-1/2, bytes 0-1/2',
    'bytes=0-1/2',
    'bytes  0-1/2',
    'bytes 0-1/2 ',
    'bytes -1-1/2',
    'bytes 0x0-1/2',
    'bytes 0-1e3/2000',
    'bytes */*',
    'items 0-1/2',
    'bytes 0-9007199254740991/9007199254740992',
    'bytes 0-1/9007199254740993',
    'bytes 0-1/99999999999999999999',
  ];
  for (const value of malformed) t.equal(parseContentRange(value), undefined, `'${value}'`);
  t.equal(parseContentRange(undefined), undefined);
  fc.assert(
    fc.property(fc.string(), fc.nat(), fc.nat(), (text, a, b) => {
      for (const value of [text, `bytes ${text}`, `bytes ${a}-${b}/${text}`]) {
        const parsed = parseContentRange(value);
        if (!parsed?.range) continue;
        if (parsed.range.start >= parsed.range.end) return false;
        if (parsed.total !== undefined && parsed.range.end > parsed.total) return false;
      }
      return true;
    }),
  );
});

t.test('redaction', async t => {
  t.equal(
    redactUrl(
      'https://user:pw@host.example:5000/v2/a/blobs/sha256:1?X-Amz-Signature=abc&X-Amz-Date=1&flag#frag',
    ),
    'https://host.example:5000/v2/a/blobs/sha256:1?X-Amz-Signature=REDACTED&X-Amz-Date=REDACTED&REDACTED',
  );
  t.equal(redactUrl('http://host/plain'), 'http://host/plain');
  t.equal(redactUrl('http://host/?'), 'http://host/?');
  t.equal(redactUrl('not a url: secret'), '(not a URL)');
  t.equal(redactUrl('https://host/?a=b=secret==&c'), 'https://host/?a=REDACTED&REDACTED');
  t.equal(shownValue('"v\u001b[2J\u009b1m\u202e"'), '"v?[2J?1m?"', 'a server cannot write to the terminal');
  t.equal(shownValue('x'.repeat(15_000)).length, 100);
});

t.test('where requests may go', async t => {
  const invalid = [
    '',
    '/path',
    'ftp://h/',
    'file:///etc/passwd',
    'data:,x',
    'javascript:1',
    'http://',
    'h:5000/x',
  ];
  for (const url of invalid) t.throws(() => parseTarget(url), { code: 'ERR_SOCI_INVALID_ARGUMENT' }, url);

  t.test('credentials in the URL become a header', async t => {
    const target = parseTarget('https://us%40er:p%C3%A4ss@host/x?y=1#z');
    t.equal(target.url.href, 'https://host/x?y=1');
    t.equal(target.authorization, `Basic ${Buffer.from('us@er:päss').toString('base64')}`);
    t.throws(() => parseTarget('https://u:%ff@host/'), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  });

  t.test('redirects', async t => {
    const from = parseTarget('https://u:p@host.example/a/b?token=secret');
    const same = followRedirect(from, '../c?d=1#e');
    t.equal(same.url.href, 'https://host.example/c?d=1');
    t.equal(same.trusted, true);
    t.equal(same.authorization, from.authorization);
    for (const other of ['https://other.example/', 'https://host.example:444/', '//sub.host.example/x']) {
      const target = followRedirect(from, other);
      t.equal(target.trusted, false, other);
      t.equal(target.authorization, undefined);
      const back = followRedirect(target, 'https://host.example/a');
      t.equal(back.trusted, false, 'trust does not come back with the origin');
      t.equal(back.authorization, undefined);
      t.equal(followRedirect(target, '/elsewhere').trusted, false, 'nor with a hop inside the other origin');
    }
    t.equal(
      followRedirect(parseTarget('http://h/'), 'https://h/').trusted,
      false,
      'an upgrade is another origin',
    );
    const refused: [string | undefined, RegExp][] = [
      [undefined, /no Location/],
      ['http://host.example/', /plain http/],
      ['file:///etc/passwd', /scheme file:/],
      ['data:,x', /scheme data:/],
      ['https://a:b@host.example/', /credentials/],
      ['https://[', /not a URL/],
      ['https://169.254.169.254/latest/meta-data', /link-local or metadata/],
      ['https://2852039166/', /link-local or metadata/],
      ['https://[::ffff:169.254.169.254]/', /link-local or metadata/],
      ['https://[fe80::1]/', /link-local or metadata/],
      ['https://[fd00:ec2::254]/', /link-local or metadata/],
      ['https://metadata.google.internal./', /link-local or metadata/],
      ['https://127.0.0.2/', /address of this machine/],
      ['https://[::1]:8080/', /address of this machine/],
      ['https://x.localhost/', /address of this machine/],
      ['https://0/', /address of this machine/],
    ];
    for (const [location, message] of refused) {
      t.throws(
        () => followRedirect(from, location),
        { code: 'ERR_SOCI_HTTP_REDIRECT', message },
        String(location),
      );
      try {
        followRedirect(from, location);
      } catch (error) {
        t.notMatch(String(error), /secret|u:p|a:b/);
      }
    }
    const local = parseTarget('http://127.0.0.1:5000/');
    t.equal(followRedirect(local, 'http://localhost:5001/').trusted, false, 'this machine may stay on it');
    t.same([300, 301, 302, 303, 304, 305, 306, 307, 308].filter(isRedirect), [301, 302, 303, 307, 308]);
  });
});

t.test('what is retried', async t => {
  const failure = (code: SociErrorCode, data: Record<string, unknown> = {}): SociError =>
    httpError(code, AT, 'failed', data);
  for (const status of [408, 429, 500, 502, 503, 504, 507, 522]) {
    t.equal(isTemporary(failure('ERR_SOCI_HTTP_STATUS', { status })), true, `status ${status}`);
  }
  for (const status of [204, 301, 400, 401, 403, 404, 410, 416, 501, 505]) {
    t.equal(isTemporary(failure('ERR_SOCI_HTTP_STATUS', { status })), false, `status ${status}`);
  }
  for (const reason of ['ECONNRESET', 'ECONNREFUSED', 'EAI_AGAIN', 'UND_ERR_SOCKET', 'ETIMEDOUT']) {
    t.equal(isTemporary(failure('ERR_SOCI_HTTP_NETWORK', { reason })), true, reason);
  }
  for (const reason of [
    undefined,
    'ENOTFOUND',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'CERT_HAS_EXPIRED',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'HPE_INVALID_CONSTANT',
    'UND_ERR_HEADERS_OVERFLOW',
  ]) {
    t.equal(isTemporary(failure('ERR_SOCI_HTTP_NETWORK', { reason })), false, String(reason));
  }
  t.equal(isTemporary(failure('ERR_SOCI_HTTP_TIMEOUT')), true);
  t.equal(isTemporary(failure('ERR_SOCI_SOURCE_SHORT')), true);
  t.equal(isTemporary(failure('ERR_SOCI_SOURCE_CHANGED')), false);
  t.equal(isTemporary(failure('ERR_SOCI_HTTP_RANGE')), false);
  t.equal(isTemporary(new Error('ECONNRESET')), false);
});

t.test('how long it waits', async t => {
  const policy = DEFAULT_RETRY_POLICY;
  fc.assert(
    fc.property(fc.nat({ max: 200 }), fc.double({ min: 0, max: 1, noNaN: true }), (retry, random) => {
      const step = Math.min(policy.maxDelay, policy.minDelay * 2 ** retry);
      const wait = backoff(retry, policy, () => random);
      return wait >= step / 2 && wait <= step;
    }),
  );
  const now = Date.UTC(2026, 0, 1, 0, 0, 0);
  t.equal(parseRetryAfter('120', now), 120_000);
  t.equal(parseRetryAfter('0', now), 0);
  t.equal(parseRetryAfter('Thu, 01 Jan 2026 00:00:07 GMT', now), 7000);
  t.equal(parseRetryAfter('Wed, 31 Dec 2025 23:59:00 GMT', now), 0, 'a date that has passed');
  for (const value of [undefined, '', '-5', '1.5', '1e9', 'soon', '99999999999', 'Xyz, never']) {
    t.equal(parseRetryAfter(value, now), undefined, `'${value}'`);
  }
  for (const wrong of [
    { retries: -1 },
    { minDelay: Number.NaN },
    { maxDelay: Number.POSITIVE_INFINITY },
    { retires: 1 } as object,
  ]) {
    t.throws(() => retryPolicy(wrong), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
});

t.test('when it gives up', async t => {
  const quick = retryPolicy({ retries: 2, minDelay: 0, maxRetryAfter: 1000 });
  const { signal } = new AbortController();
  const busy = httpError('ERR_SOCI_HTTP_STATUS', AT, '503', { status: 503 });

  const retries = new Retries(quick, signal);
  await retries.pause(busy, 0);
  await retries.pause(busy, 0);
  await t.rejects(retries.pause(busy, 0), {
    code: 'ERR_SOCI_HTTP_STATUS',
    message: 'GET http://host.example/x: 503 (gave up after 3 attempts)',
    data: { status: 503, attempts: 3 },
  });

  const progressing = new Retries(quick, signal);
  for (let i = 1; i <= 20; i++) await progressing.pause(busy, i * 1024 * 1024);
  await progressing.pause(busy, 20 * 1024 * 1024 + 1);
  await t.rejects(progressing.pause(busy, 20 * 1024 * 1024 + 2), /gave up/, 'a few bytes are no progress');

  const patient = httpError('ERR_SOCI_HTTP_STATUS', AT, '429', { status: 429, retryAfter: 1001 });
  await t.rejects(new Retries(quick, signal).pause(patient, 0), /asks to wait 2 s/);

  const final = new Error('another error');
  await t.rejects(new Retries(quick, signal).pause(final, 0), final);

  const controller = new AbortController();
  const slow = new Retries(retryPolicy({ minDelay: 60_000, maxDelay: 60_000 }), controller.signal);
  const pause = t.rejects(slow.pause(busy, 0), /stop/);
  controller.abort(new Error('stop'));
  await pause;
});

t.test('silence is not waited for as often as failures are', async t => {
  const { signal } = new AbortController();
  const silent = timeoutError(AT, 'headers', 30_000);
  const policy = { ...DEFAULT_RETRY_POLICY, minDelay: 0 };
  const retries = new Retries(policy, signal);
  await retries.pause(silent, 0);
  await t.rejects(
    retries.pause(silent, 0),
    /within 30000 ms \(gave up after 2 attempts\)/,
    'a minute is enough',
  );

  const progressing = new Retries(policy, signal);
  for (let i = 0; i < 4; i++) await progressing.pause(silent, i);
  await t.rejects(
    progressing.pause(silent, 3),
    /gave up after 5 attempts/,
    'what arrives in between ends a silence',
  );
  // Mirrors may have used up all of the budget before somebody answers.
  const spent = new Retries({ ...policy, maxSilence: 0 }, signal);
  await spent.pause(httpError('ERR_SOCI_HTTP_STATUS', AT, '503', { status: 503 }), 0);
  await t.rejects(spent.pause(silent, 0), /gave up after 2 attempts/, 'an answer is no silence');

  const slow = timeoutError(AT, 'request', 300_000);
  await new Retries(policy, signal).pause(slow, 0);
  t.ok(2 * DEFAULT_TIMEOUTS.headers + DEFAULT_RETRY_POLICY.maxDelay < 90_000);
  t.ok(DEFAULT_TIMEOUTS.upload < 90_000 && DEFAULT_TIMEOUTS.upload >= DEFAULT_RETRY_POLICY.maxSilence);
});
