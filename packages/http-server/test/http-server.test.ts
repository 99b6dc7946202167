/** What a client sees of an image: RFC 9110 over the whole way, from a socket to an in-process registry. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { IncomingMessage, request, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { Image } from 'seekable-oci';
import t from 'tap';
import { imageListener } from '../src/index.js';
import { type Answer, ask, BIG, serve, TIME } from './sample-image.js';

const served = await serve(t);
const { image, port } = served;
const get = (path: string, headers = {}, method = 'GET') => ask(port, path, headers, method);

t.test('files, wherever they are', async t => {
  const cases: readonly (readonly [path: string, type: string, body: string])[] = [
    ['/etc/os-release', 'application/octet-stream', 'ID=sample\n'],
    ['/www/page.html', 'text/html; charset=utf-8', '<p>hello</p>\n'],
    ['/www/page.html?query#fragment', 'text/html; charset=utf-8', '<p>hello</p>\n'],
    [`http://127.0.0.1:${port}/www/page.html`, 'text/html; charset=utf-8', '<p>hello</p>\n'],
    ['/www/empty', 'application/octet-stream', ''],
    ['/www/100%25%20%26%20more%3f%23', 'application/octet-stream', 'percent'],
    ['/old', 'application/octet-stream', 'upper'],
    ['/etc/link', 'application/octet-stream', 'ID=sample\n'],
    ['/lib/os-release', 'application/octet-stream', 'ID=sample\n'],
    ['/etc/outside', 'application/octet-stream', 'ID=sample\n'],
  ];
  for (const [path, type, body] of cases) {
    const answer = await get(path);
    t.equal(answer.status, 200, path);
    t.equal(answer.body.toString(), body, path);
    t.equal(answer.headers['content-type'], type, path);
    t.equal(answer.headers['content-length'], String(body.length), path);
    t.equal(answer.headers['last-modified'], TIME.toUTCString(), path);
    t.match(answer.headers.etag, /^"[\w-]+"$/, path);
    t.equal(answer.headers['x-content-type-options'], 'nosniff');
    t.match(answer.headers['content-security-policy'], /sandbox/);
  }
  t.ok((await get('/big.bin')).body.equals(BIG), 'a file of many spans');
});

t.test('what is not there, or no file', async t => {
  const cases: readonly (readonly [path: string, status: number])[] = [
    ['/gone', 404],
    ['/etc/os-release/x', 404],
    ['/etc/os-release/', 404],
    ['/etc/nowhere', 404],
    ['/dev/null', 403],
  ];
  for (const [path, status] of cases) {
    const answer = await get(path);
    t.equal(answer.status, status, path);
    t.match(answer.headers['content-type'], /^text\/plain/);
    t.equal(answer.headers.etag, undefined);
  }
});

t.test('hostile paths are refused, not repaired', async t => {
  const paths = [
    '/../etc/os-release',
    '/etc/../../etc/os-release',
    '/etc/./os-release',
    '/%2e%2e/etc/os-release',
    '/etc/.%2E/os-release',
    '/etc%2fos-release',
    '/etc%2Fos-release',
    '/etc/os-release%00',
    '/%',
    '/%zz',
    '//etc/os-release',
    '/etc//os-release',
    '*',
  ];
  for (const path of paths) t.equal((await get(path)).status, 400, path);
  // A directory that a browser would take for another host if the answer were absolute.
  const moved = await get('/etc');
  t.equal(moved.status, 301);
  t.equal(moved.headers.location, './etc/');
});

t.test('only GET and HEAD, and HEAD reads nothing', async t => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const answer = await get('/etc/os-release', {}, method);
    t.equal(answer.status, 405, method);
    t.equal(answer.headers.allow, 'GET, HEAD');
  }
  const fresh = await serve(t);
  await fresh.image.load();
  const before = fresh.image.stats.requests;
  const paths = ['/big.bin', '/etc/os-release', '/etc/', '/gone', '/etc'];
  const heads: Answer[] = [];
  for (const path of paths) heads.push(await ask(fresh.port, path, { range: 'bytes=0-1' }, 'HEAD'));
  t.equal(fresh.image.stats.requests, before, 'no request');
  for (const [i, head] of heads.entries()) {
    const path = paths[i] ?? '';
    const full = await ask(fresh.port, path);
    t.equal(head.body.length, 0, path);
    t.equal(head.status, full.status, path);
    for (const name of [
      'content-length',
      'content-type',
      'etag',
      'last-modified',
      'accept-ranges',
    ] as const) {
      t.equal(head.headers[name], full.headers[name], `${path}: ${name}`);
    }
  }
  t.ok(fresh.image.stats.requests > before, 'GET makes some');
});

t.test('ranges', async t => {
  const size = BIG.length;
  const partial: readonly (readonly [range: string, start: number, end: number])[] = [
    ['bytes=0-0', 0, 1],
    ['bytes=1000000-1999999', 1_000_000, 2_000_000],
    [`bytes=${size - 1}-`, size - 1, size],
    ['bytes=-7', size - 7, size],
    [`bytes=-${size * 2}`, 0, size],
    [`bytes=5-${size * 2}`, 5, size],
    ['bytes = 3-4', 3, 5],
  ];
  for (const [range, start, end] of partial) {
    const answer = await get('/big.bin', { range });
    t.equal(answer.status, 206, range);
    t.equal(answer.headers['content-range'], `bytes ${start}-${end - 1}/${size}`, range);
    t.equal(answer.headers['content-length'], String(end - start), range);
    t.ok(answer.body.equals(BIG.subarray(start, end)), range);
  }
  for (const range of [
    'bytes=0-1,3-4',
    'bytes=4-3',
    'bytes=-',
    'bytes=a-b',
    'bytes=0x1-2',
    'lines=0-1',
    '0-1',
  ]) {
    const answer = await get('/etc/os-release', { range });
    t.equal(answer.status, 200, range);
    t.equal(answer.body.length, 10, range);
  }
  for (const [path, range, length] of [
    ['/big.bin', `bytes=${size}-`, size],
    ['/big.bin', 'bytes=-0', size],
    ['/big.bin', `bytes=${'9'.repeat(400)}-`, size],
    ['/www/empty', 'bytes=0-0', 0],
  ] as const) {
    const answer = await get(path, { range });
    t.equal(answer.status, 416, range);
    t.equal(answer.headers['content-range'], `bytes */${length}`);
  }
  const { headers } = await get('/etc/os-release');
  const unless: readonly (readonly [ifRange: string, status: number])[] = [
    [headers.etag ?? '', 206],
    ['"other"', 200],
    [`W/${headers.etag}`, 200],
    [headers['last-modified'] ?? '', 206],
    ['Mon, 01 Jan 2024 00:00:00 GMT', 200],
    ['nonsense', 200],
  ];
  for (const [ifRange, status] of unless) {
    const answer = await get('/etc/os-release', { range: 'bytes=3-8', 'if-range': ifRange });
    t.equal(answer.status, status, ifRange);
    t.equal(answer.body.toString(), status === 206 ? 'sample' : 'ID=sample\n');
  }
});

t.test('conditions, in the order of RFC 9110', async t => {
  const { etag = '' } = (await get('/etc/os-release')).headers;
  const later = new Date(TIME.getTime() + 1000).toUTCString();
  const earlier = new Date(TIME.getTime() - 1000).toUTCString();
  const same = TIME.toUTCString();
  const cases: readonly (readonly [headers: Record<string, string>, status: number])[] = [
    [{ 'if-none-match': etag }, 304],
    [{ 'if-none-match': `W/${etag}` }, 304],
    [{ 'if-none-match': `"a,b", ${etag}` }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"other"' }, 200],
    [{ 'if-none-match': '"other"', 'if-modified-since': same }, 200],
    [{ 'if-modified-since': same }, 304],
    [{ 'if-modified-since': later }, 304],
    [{ 'if-modified-since': earlier }, 200],
    [{ 'if-modified-since': 'nonsense' }, 200],
    [{ 'if-match': etag }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-match': `W/${etag}` }, 412],
    [{ 'if-match': '"other"' }, 412],
    [{ 'if-match': etag, 'if-unmodified-since': earlier }, 200],
    [{ 'if-unmodified-since': earlier }, 412],
    [{ 'if-unmodified-since': same }, 200],
    [{ 'if-match': etag, 'if-none-match': etag }, 304],
  ];
  for (const [headers, status] of cases) {
    const answer = await get('/etc/os-release', headers);
    t.equal(answer.status, status, JSON.stringify(headers));
    if (status === 304) {
      t.equal(answer.body.length, 0);
      t.equal(answer.headers.etag, etag);
    }
  }
});

t.test('an entity tag is of the bytes, not of the path', async t => {
  const tagOf = async (path: string) => (await get(path)).headers.etag;
  t.equal(await tagOf('/etc/link'), await tagOf('/etc/os-release'));
  t.equal(await tagOf('/lib/os-release'), await tagOf('/etc/os-release'));
  t.not(await tagOf('/www/page.html'), await tagOf('/etc/os-release'));
  t.not(await tagOf('/www/empty'), await tagOf('/www/page.html'));
});

t.test('directories', async t => {
  const page = await get('/www/');
  t.equal(page.status, 200);
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  t.match(page.body.toString(), '<a href="./page.html">page.html</a>');
  t.notMatch(page.body.toString(), '<b>', 'names are no markup');
  t.match(page.body.toString(), '<a href="../">');
  t.notMatch((await get('/')).body.toString(), '<a href="../">', 'nothing is above the root');
  const json = await get('/www/', { accept: 'application/json;q=0.9, text/html;q=0.1' });
  t.equal(json.headers['content-type'], 'application/json');
  t.equal(json.headers.vary, 'accept');
  const files = JSON.parse(json.body.toString()) as { name: string; type: string; href: string }[];
  t.strictSame(files.map(({ name }) => name).sort(), [
    '100% & more?#',
    '<b>&"\'.txt',
    'empty',
    'javascript:alert(1)',
    'page.html',
  ]);
  for (const { href, name } of files) {
    t.equal((await get(new URL(href, 'http://host/www/').pathname)).status, 200, `${name} is where it says`);
  }
  const root = JSON.parse((await get('/', { accept: 'application/json' })).body.toString()) as unknown[];
  t.match(root, [
    { name: 'big.bin', type: 'file' },
    { name: 'dev', type: 'directory', href: './dev/' },
  ]);
  t.match(root.at(2), { name: 'etc', href: './etc/' });
  t.match(root.at(3), { name: 'lib', type: 'symlink', href: './lib' });
  const twice = await get('/lib/');
  t.match(twice.body.toString(), 'os-release', 'a link to a directory is listed');
});

t.test('reading ends when the client leaves', async t => {
  const stalled = await serve(t);
  await stalled.image.load();
  const arrived = new Promise<void>(resolve => {
    stalled.registry.inject({
      match: { method: 'GET', path: /\/blobs\/sha256:/ },
      reply: () => {
        resolve();
        return new Promise(() => undefined);
      },
    });
  });
  const original = stalled.image.createReadStream.bind(stalled.image);
  let stream: Readable | undefined;
  Object.defineProperty(stalled.image, 'createReadStream', {
    value: (...args: Parameters<Image['createReadStream']>) => {
      stream = original(...args);
      return stream;
    },
  });
  const asked = request({ host: '127.0.0.1', port: stalled.port, path: '/big.bin', agent: false }).end();
  asked.on('error', () => undefined);
  await arrived;
  if (stream === undefined) throw new Error('the file was not read');
  t.notOk(stream.destroyed);
  const closed = once(stream, 'close').catch(() => undefined);
  asked.destroy();
  await closed;
  t.ok(stream.destroyed, 'although the registry never answered');
});

t.test('no more is read than the client takes', async t => {
  const PIECE = Buffer.alloc(65536, 'x');
  const PIECES = 200;
  let taken = 0;
  const slow = {
    stat: () => image.stat('/big.bin'),
    explain: () => image.explain('/big.bin'),
    async *createReadStream() {
      for (; taken < PIECES; taken++) yield PIECE;
    },
  } as unknown as Image;
  let written = 0;
  const wire = new Writable({
    highWaterMark: 1,
    // The first write is never done with.
    write(chunk: Buffer) {
      written += chunk.length;
    },
  });
  const incoming = new IncomingMessage(new Socket());
  Object.assign(incoming, { method: 'GET', url: '/big.bin' });
  const response = new ServerResponse(incoming);
  response.assignSocket(wire as unknown as Socket);
  imageListener(slow)(incoming, response);
  while (written === 0) await turn();
  for (let i = 0; i < 50; i++) await turn();
  t.ok(taken < 5, `${taken} pieces while none was taken`);
});

t.test('a registry that fails before the first byte is a status', async t => {
  const broken = await serve(t);
  await broken.image.load();
  const blob = { method: 'GET', path: /\/blobs\/sha256:/ };
  broken.registry.inject({ match: blob, reply: { status: 404, headers: { 'content-length': '0' } } });
  const refused = await ask(broken.port, '/big.bin');
  t.equal(refused.status, 502);
  t.match(refused.body.toString(), /^502 Bad Gateway: the image cannot be read \[ERR_SOCI_/);
  t.equal(refused.headers['content-length'], String(refused.body.length));
  t.equal(refused.headers.etag, undefined);
  t.notMatch(refused.body.toString(), broken.registry.host, 'no hosts in what clients see');
  broken.registry.clearFaults();
  t.equal((await ask(broken.port, '/etc/os-release')).status, 200);
  await broken.image.close();
  t.equal((await ask(broken.port, '/etc/os-release')).status, 503);
});

t.test('the command serves until it is told to end', async t => {
  const bin = path.join(import.meta.dirname, '../../bin/seekable-oci-http-server.js');
  const location = `${served.registry.host}/demo/app:1`;
  const child = spawn(process.execPath, [bin, location, '--port', '0', '--platform', 'linux/amd64']);
  t.teardown(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const url = new URL(line.slice(location.length + 2));
  t.equal(url.hostname, '127.0.0.1', 'of this machine alone');
  t.equal((await ask(Number(url.port), '/old')).body.toString(), 'upper');
  child.kill('SIGTERM');
  t.strictSame(await ended, [0, null]);
  for (const args of [[], ['a', 'b'], ['a', '--port', 'x'], ['a', '--unknown']]) {
    const wrong = spawn(process.execPath, [bin, ...args]);
    t.strictSame(await once(wrong, 'exit'), [2, null], `${args.join(' ')}: wrong usage`);
  }
});
