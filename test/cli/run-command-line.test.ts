/** A run of the command knows the surroundings that it is given, and nothing of the process it is in. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import t from 'tap';
import { runCommandLine } from '../../lib/cli/run-command-line.js';
import { StandardOutput } from '../../lib/cli/standard-output.js';
import { Interrupted, type Surroundings } from '../../lib/cli/surroundings.js';
import { pushIndexedImage } from '../image/sample-image.js';
import { command } from './run-command.js';
import { repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const PASSWORD = 'correct horse battery';

function surroundings(more: Partial<Surroundings> = {}) {
  const errors = new PassThrough({ encoding: 'utf8' });
  const given: Surroundings = {
    input: () => Readable.from([]),
    output: new StandardOutput(new PassThrough()),
    errors,
    env: {},
    signal: new AbortController().signal,
    ...more,
  };
  return { given, said: (): string => errors.read() ?? '' };
}

t.test('credentials are those of its DOCKER_CONFIG, and of its HOME', async t => {
  const registry = await startRegistry(t, { auth: { type: 'basic', username: 'me', password: PASSWORD } });
  const credentials = () => ({ username: 'me', password: PASSWORD });
  const repository = repositoryOf(t, registry, { credentials });
  await pushIndexedImage(repository, await sampleLayers(), { tag: 'latest' });
  const auth = Buffer.from(`me:${PASSWORD}`).toString('base64');
  const config = JSON.stringify({ auths: { [registry.host]: { auth } } });
  const home = t.testdir({ '.docker': { 'config.json': config } });
  const args = ['cat', `${registry.host}/demo/app`, '/etc/motd'];
  const known = [{ DOCKER_CONFIG: join(home, '.docker') }, { DOCKER_CONFIG: '', HOME: home }];
  const [anyone, ...owners] = await Promise.all([{}, ...known].map(env => command(args, undefined, env)));
  t.equal(anyone?.status, 1);
  for (const { status, stderr } of owners) t.equal(status, 0, stderr);
});

t.test('the proxy is that of its environment', async t => {
  const proxy = createServer().listen(0, '127.0.0.1');
  t.teardown(() => proxy.close());
  await new Promise(resolve => proxy.once('listening', resolve));
  const asked: (string | undefined)[] = [];
  proxy.on('request', ({ url }, response) => {
    asked.push(url);
    response.writeHead(403).end();
  });
  proxy.on('connect', ({ url }, socket) => {
    asked.push(url);
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  const HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const args = ['ls', 'registry.invalid/app', '--plain-http', '--retries', '0'];
  t.equal((await command(args, undefined, { HTTP_PROXY })).status, 1);
  t.match(asked[0], 'registry.invalid');
});

t.test('an output that is closed is status 141, and says nothing', async t => {
  const closed = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  });
  closed.on('error', () => undefined);
  const { given, said } = surroundings({ output: new StandardOutput(closed) });
  t.equal(await runCommandLine(['--help'], given), 141);
  t.equal(said(), '');
  const full = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('no space'), { code: 'ENOSPC' })),
  });
  full.on('error', () => undefined);
  const onFull = surroundings({ output: new StandardOutput(full) });
  t.equal(await runCommandLine(['--help'], onFull.given), 1);
  t.equal(onFull.said(), 'seekable-oci: no space [ENOSPC]\n');
});

t.test('a signal decides the status', async t => {
  for (const [name, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const signal = AbortSignal.abort(new Interrupted(name));
    const { given, said } = surroundings({ signal, env: { HOME: t.testdir() } });
    t.equal(await runCommandLine(['ls', 'registry.invalid/app'], given), status);
    t.notMatch(said(), /seekable-oci:/);
  }
});

t.test('what is printed of requests ends with the run', async t => {
  const registry = await startRegistry(t);
  await pushIndexedImage(repositoryOf(t, registry), await sampleLayers(), { tag: 'latest' });
  const args = ['cat', `${registry.host}/demo/app`, '/etc/motd'];
  const env = { HOME: t.testdir() };
  const talking = surroundings({ env });
  t.equal(await runCommandLine([...args, '--debug'], talking.given), 0);
  t.match(talking.said(), /^debug: 200 GET /m);
  t.equal(await runCommandLine(args, surroundings({ env }).given), 0);
  t.equal(talking.said(), '');
});
