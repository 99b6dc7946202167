/**
 * HttpSource against nginx: what our own test server believes of HTTP, asked of
 * somebody else's implementation.
 */
import { readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { Agent } from 'undici';
import { openLayer } from '../../lib/image/layer.js';
import { HttpSource, type HttpSourceOptions } from '../../lib/source/http/http-source.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { collect, fixturePath, QUICK, sampleBytes } from '../registry/fixture.js';
import { tarOf } from '../soci/sample-image.js';
import { Nginx } from './support/nginx.js';
import { needs } from './support/tools.js';

const skip = needs('nginx');
const body = Buffer.from(sampleBytes(300_000));
const SERVER = `
    location /moved/ { rewrite ^/moved/(.*)$ /$1 redirect; }
    location /no-ranges/ { rewrite ^/[^/]*/(.*)$ /$1 break; max_ranges 0; }
    location /untagged/ { rewrite ^/[^/]*/(.*)$ /$1 break; etag off; add_header Last-Modified ""; }
    location /compressing/ { rewrite ^/[^/]*/(.*)$ /$1 break; gzip on; gzip_types *; gzip_min_length 1; }
    location /secret/ {
      if ($http_authorization != "Bearer open-sesame") { return 401; }
      rewrite ^/[^/]*/(.*)$ /$1 break;
    }
    location /slow/ { rewrite ^/[^/]*/(.*)$ /$1 break; limit_rate 200k; }
    location /busy/ { return 503; }`;

async function start(t: Test): Promise<Nginx> {
  const nginx = await Nginx.start(t, { server: SERVER });
  await writeFile(join(nginx.root, 'object'), body);
  await writeFile(join(nginx.root, 'empty'), '');
  return nginx;
}

async function open(t: Test, url: string, options: HttpSourceOptions = {}): Promise<HttpSource> {
  const source = await HttpSource.open(url, { retry: QUICK, ...options });
  t.teardown(() => source.close());
  return source;
}

t.test('ranges, sizes and streams', { skip }, async t => {
  const nginx = await start(t);
  const source = await open(t, nginx.url('object'));
  t.equal(source.size, body.length);
  for (const [offset, length] of [
    [0, 1],
    [0, body.length],
    [body.length - 1, 1],
    [12_345, 67_890],
  ] as const) {
    t.ok(body.subarray(offset, offset + length).equals(await source.read(offset, length)));
  }
  t.ok((await collect(source.stream())).equals(body));
  const requests = await nginx.requests('/object', 6);
  t.same(
    requests.map(({ status, range }) => [status, range]),
    [
      [206, 'bytes=0-0'],
      [206, 'bytes=0-0'],
      [206, `bytes=0-${body.length - 1}`],
      [206, `bytes=${body.length - 1}-${body.length - 1}`],
      [206, 'bytes=12345-80234'],
      [200, undefined],
    ],
  );
  t.equal((await open(t, nginx.url('empty'))).size, 0);
  await t.rejects(open(t, nginx.url('nothing')), { code: 'ERR_SOCI_HTTP_STATUS' });
});

t.test('an object that is replaced is noticed, whatever its length', { skip }, async t => {
  const nginx = await start(t);
  for (const [name, replacement] of [
    ['same-length', Buffer.from(sampleBytes(body.length, 2))],
    ['longer', Buffer.from(sampleBytes(body.length + 1, 2))],
    ['shorter', body.subarray(0, 1000)],
  ] as const) {
    const path = join(nginx.root, name);
    await writeFile(path, body);
    const source = await open(t, nginx.url(name));
    await source.read(0, 10);
    // nginx's ETag is made of the modification time in seconds and the length.
    await writeFile(`${path}.new`, replacement);
    await utimes(`${path}.new`, 1_000_000_000, 1_000_000_000);
    await rename(`${path}.new`, path);
    await t.rejects(source.read(200_000, 10), { code: 'ERR_SOCI_SOURCE_CHANGED' }, name);
    await t.rejects(collect(source.stream()), { code: 'ERR_SOCI_SOURCE_CHANGED' }, `${name}, as a stream`);
  }
});

t.test('redirects, authorization, no ranges, no validators', { skip }, async t => {
  const nginx = await start(t);
  const moved = await open(t, nginx.url('moved/object'));
  t.ok(body.subarray(5, 105).equals(await moved.read(5, 100)));
  t.equal(moved.stats.redirects, 1, 'the redirect is remembered');

  await t.rejects(open(t, nginx.url('secret/object')), { code: 'ERR_SOCI_HTTP_STATUS' });
  const secret = await open(t, nginx.url('secret/object'), {
    headers: { authorization: 'Bearer open-sesame' },
  });
  t.ok(body.subarray(5, 105).equals(await secret.read(5, 100)));

  await t.rejects(open(t, nginx.url('no-ranges/object')), { code: 'ERR_SOCI_HTTP_NO_RANGES' });
  const whole = await open(t, nginx.url('no-ranges/object'), { ranges: 'optional' });
  t.ok((await collect(whole.stream())).equals(body), 'as a stream it can be read without ranges');

  const untagged = await open(t, nginx.url('untagged/object'));
  t.ok(body.subarray(5, 105).equals(await untagged.read(5, 100)));

  const compressing = await open(t, nginx.url('compressing/object'));
  t.ok(body.subarray(5, 105).equals(await compressing.read(5, 100)), 'bytes as stored, not as compressed');

  await t.rejects(open(t, nginx.url('busy/object')), { code: 'ERR_SOCI_HTTP_STATUS' });
  t.equal((await nginx.requests('/busy/object', 3)).length, 1 + QUICK.retries, 'asked again');
});

t.test('a server that goes away in the middle of a body and comes back', { skip }, async t => {
  const nginx = await start(t);
  const source = await open(t, nginx.url('slow/object'), {
    retry: { retries: 20, minDelay: 50, maxDelay: 100 },
  });
  const reading = collect(source.stream());
  while (source.stats.bytes < 50_000) await sleep(5);
  await nginx.crash();
  t.ok((await reading).equals(body), 'the stream is whole');
  t.ok(source.stats.retries > 0);
  const resumed = (await nginx.requests('/slow/object', 3)).at(-1);
  t.match(
    resumed,
    { status: 206, range: /^bytes=[1-9]\d*-299999$/, ifRange: /^"/ },
    'resumed, not begun anew',
  );
});

t.test('TLS', { skip }, async t => {
  const nginx = await Nginx.start(t, { tls: true });
  const layer = gzipSync(await tarOf({ 'etc/hello': 'hello\n', 'etc/noise': body }));
  await writeFile(join(nginx.root, 'layer'), layer);
  await t.rejects(open(t, nginx.url('layer')), { code: 'ERR_SOCI_HTTP_NETWORK' }, 'an unknown authority');
  const ca = await readFile(fixturePath('tls', 'ca.pem'), 'utf8');
  const dispatcher = new Agent({ connect: { ca } });
  t.teardown(() => dispatcher.close());
  const source = await open(t, nginx.url('layer'), { transport: { dispatcher } });
  const opened = await openLayer(source, (await buildZtoc(source, { spanSize: 65_536 })).ztoc);
  t.teardown(() => opened.close());
  t.equal((await opened.readFile('etc/hello')).toString(), 'hello\n');
  t.ok((await opened.readFile('etc/noise')).equals(body));
});
