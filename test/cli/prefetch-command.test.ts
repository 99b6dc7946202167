/** `prefetch`: an image, or what is wanted of it, into a store; what is said of it, and with which status. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { pushIndexedImage } from '../image/sample-image.js';
import { command, fails, type Outcome } from './run-command.js';
import { BIG, makeLayout, repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const layers = await sampleLayers();
const lower = layers[0]!.descriptor.digest;

async function sample(t: Test) {
  const registry = await startRegistry(t);
  await pushIndexedImage(repositoryOf(t, registry), layers, { tag: 'latest' });
  const image = `${registry.host}/demo/app`;
  const store = join(t.testdir({}), 'store');
  const prefetch = (...args: string[]): Promise<Outcome> =>
    command(['prefetch', image, ...args, '--store', store]);
  const offline = (path: string): Promise<Outcome> =>
    command(['cat', image, path, '--store', store, '--offline']);
  return { registry, image, store, prefetch, offline };
}

t.test('--all: a line for each layer, and the status that it leads to', async t => {
  const { prefetch, offline, image, store } = await sample(t);
  const { status, stdout, stderr } = await prefetch('--all', '--max-rate', '1GiB');
  t.equal(status, 0, stderr);
  const text = stdout.toString();
  t.match(
    text,
    /^layer 0 sha256:[0-9a-f]{12}: 0 B there, [\d.]+ [KM]iB fetched, complete, diffID proved\nlayer 1 /,
  );
  t.match(text, /\n[\d.]+ [KM]iB of [\d.]+ [KM]iB wanted of 2 layers in the store\n$/);
  t.ok((await offline('/big')).stdout.equals(BIG));
  const told = await command(['status', image, '--store', store]);
  t.match(told.stdout.toString(), / proved, its diffID proved\n/);
  t.match(told.stdout.toString(), /: all of it, proved\n$/);
});

t.test('paths and patterns; what is not there is said, and fails nothing else', async t => {
  const { prefetch, offline } = await sample(t);
  const some = await prefetch('/etc/motd', '/usr');
  t.equal(some.status, 0, some.stderr);
  t.equal((await offline('/etc/motd')).stdout.toString(), 'welcome\n');
  t.equal((await offline('/usr/lib/tool')).status, 0);
  t.match(await offline('/big'), { status: 1, stderr: /\[ERR_SOCI_OFFLINE\]/ });
  const missing = await prefetch('/none*', '/etc/os-release', '--json');
  t.equal(missing.status, 1);
  t.match(JSON.parse(missing.stdout.toString()), {
    into: 'store',
    omitted: [{ path: '/none*', reason: 'missing' }],
    failures: { length: 0 },
  });
  t.match((await prefetch('/none')).stderr, '/none is left out: the image has no such file\n');
  t.equal((await offline('/etc/os-release')).status, 0);
});

t.test("a load order, in a file; without any word what the image's index names", async t => {
  const { prefetch, offline, store, image } = await sample(t);
  const file = `${store}.json`;
  const recorded = await command(['load-order', 'record', image, '-', '-o', file], Buffer.from('/big\n'));
  t.equal(recorded.status, 0, recorded.stderr);
  const order = JSON.parse(
    await command(['load-order', 'show', file, '--json']).then(each => each.stdout.toString()),
  );
  writeFileSync(
    file,
    JSON.stringify({
      ...order,
      version: '1.0',
      loads: [...order.loads, { ...order.loads[0], path: '/gone' }],
    }),
  );
  const loaded = await prefetch('--load-order', file);
  t.equal(loaded.status, 0, 'a load order is advice');
  t.match(loaded.stderr, '/gone is left out: the image has no such file\n');
  t.ok((await offline('/big')).stdout.equals(BIG));
  const unnamed = await prefetch();
  t.equal(unnamed.stdout.toString(), 'nothing is named that has to be fetched\n');
  t.match(unnamed.stderr, 'say what to fetch with PATHs, --load-order or --all');
});

t.test('what fails is told, layer by layer', async t => {
  const { prefetch, registry } = await sample(t);
  t.equal((await prefetch()).status, 0);
  registry.inject({ match: { path: lower }, reply: { status: 404 } });
  const told = await prefetch('--all', '--retries', '0');
  t.equal(told.status, 1);
  t.match(told.stderr, /^layer 0 sha256:[0-9a-f]{12}, spans 0 to \d+: .* \[ERR_SOCI_/m);
  t.match(told.stdout.toString(), /layer 0 .* [\d.]+ [KM]iB failed\nlayer 1 .* diffID proved\n/);
});

t.test('usage', async t => {
  const { prefetch, image } = await sample(t);
  const code = 'ERR_SOCI_INVALID_ARGUMENT';
  fails(t, await command(['prefetch', image, '--all']), code, 2);
  fails(t, await prefetch('--all', '/big'), code, 2);
  fails(t, await prefetch('--all', '--load-order', 'x'), code, 2);
  fails(t, await prefetch('--max-rate', '0'), code, 2);
  fails(t, await prefetch('--load-order', 'none'), 'ERR_SOCI_REGISTRY_NOT_FOUND');
});

t.test('an image that is on this machine anyway', async t => {
  const { operand, folder, repository } = makeLayout(t);
  await pushIndexedImage(repository, layers, { tag: 'v1' });
  const local = await command(['prefetch', `${operand}:v1`, '--all', '--store', join(folder, '..', 'store')]);
  fails(t, local, 'ERR_SOCI_INVALID_ARGUMENT', 2);
});
