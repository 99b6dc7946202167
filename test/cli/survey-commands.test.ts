/** `inspect`, `tags`, `find`, `du`, `diff` and `ls --layer`: what is known of an image without reading its files. */
import t from 'tap';

import { OCI_INDEX } from '../../lib/registry/media-types.js';
import { layerOf, pushIndexedImage } from '../image/sample-image.js';
import { encodeIndex } from '../registry/fixture.js';
import type { TarEntry } from '../span/sample-layers.js';
import { command, fails, type Outcome } from './run-command.js';
import { BIG, LOWER, repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const registry = await startRegistry(t);
const repository = repositoryOf(t, registry);
const layers = await sampleLayers();
await pushIndexedImage(repository, layers, { tag: 'latest' });
const image = `${registry.host}/demo/app`;

function lines({ stdout, stderr, status }: Outcome): string[] {
  if (status !== 0) throw new Error(stderr);
  return stdout.toString().split('\n').slice(0, -1);
}

function json({ stdout, stderr, status }: Outcome) {
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.toString());
}

t.test('inspect: platforms, config, index and layers, without a layer or a ztoc', async t => {
  const before = registry.requests.length;
  const text = (await command(['inspect', image])).stdout.toString();
  const asked = registry.requests.slice(before).map(({ path }) => path);
  for (const { descriptor } of layers) t.notOk(asked.some(path => path.includes(descriptor.digest)));
  t.match(text, /^image +sha256:[0-9a-f]{64}$/m);
  t.match(text, /^type +application\/vnd\.oci\.image\.manifest\.v1\+json$/m);
  t.match(text, /^platform +linux\/amd64 +sha256:[0-9a-f]{64} +\S+ [KM]iB in 2 layers$/m);
  t.match(text, /^environment A=b$/m);
  t.match(text, /^index +sha256:[0-9a-f]{64} +v1, .* of ztocs for 2 layers$/m);
  t.match(text, new RegExp(`^1 +${layers[1]!.descriptor.digest} +[0-9]+ B +\\S+ (B|KiB) +application/`, 'm'));

  const found = json(await command(['inspect', '--json', image]));
  t.match(found.platforms, [{ platform: 'linux/amd64', layers: 2 }]);
  t.match(found.index, { version: 'v1', via: 'referrer', layers: 2 });
  t.same(
    found.layers.map(({ digest }: { digest: string }) => digest),
    layers.map(({ descriptor }) => descriptor.digest),
  );
  t.match(found.layers[0].ztoc, { digest: /^sha256:/, spanSize: 65536 });
  t.equal(json(await command(['inspect', '--json', '--index', 'none', image])).index, null);
});

t.test('inspect of what is no image says what it is, without its blobs', async t => {
  const { descriptor } = await repository.getManifest('latest');
  const soci = json(await command(['inspect', '--json', image])).index.digest;
  const before = registry.requests.length;
  const text = (await command(['inspect', `${image}@${soci}`])).stdout.toString();
  t.notOk(registry.requests.slice(before).some(({ path }) => path.includes('/blobs/')));
  t.match(text, `artifact    ${soci}\n`);
  t.match(text, /^type +application\/vnd\.amazon\.soci\.index\.v1\+json$/m);
  t.match(text, `subject     ${descriptor.digest}  application/vnd.oci.image.manifest.v1+json\n`);
  t.match(text, /^LAYER +DIGEST +SIZE +TYPE$/m);
  t.match(text, /^1 +sha256:[0-9a-f]{64} +\S+ \S+ +application\/octet-stream$/m);
  const found = json(await command(['inspect', '--json', `${image}@${soci}`]));
  t.match(found, {
    digest: soci,
    artifactType: 'application/vnd.amazon.soci.index.v1+json',
    platforms: [],
    subject: { digest: descriptor.digest },
    layers: [{ position: 0, mediaType: 'application/octet-stream', size: Number }, { position: 1 }],
  });

  const entry = { ...(await repository.getManifest(soci)).descriptor, artifactType: found.artifactType };
  const index = await repository.pushManifest(encodeIndex([entry]), OCI_INDEX);
  const listed = `${image}@${index.digest}`;
  t.match(lines(await command(['inspect', listed])).at(-1), /^0 +sha256:.* application\/vnd\.amazon\.soci/);
  t.match(json(await command(['inspect', '--json', listed])), { manifests: [{ digest: soci }] });
  fails(t, await command(['inspect', '--platform', 'linux/s390x', image]), 'ERR_SOCI_PLATFORM');
});

t.test('tags', async t => {
  t.same(lines(await command(['tags', image])), ['latest']);
  t.same(json(await command(['tags', '--json', image])), ['latest']);
  fails(t, await command(['tags', `${registry.host}/demo/none`]), 'ERR_SOCI_REGISTRY_NOT_FOUND');
});

t.test('find', async t => {
  t.same(lines(await command(['find', image, '/etc'])), [
    '/etc',
    '/etc/link',
    '/etc/motd',
    '/etc/os-release',
  ]);
  t.same(lines(await command(['find', image, '-name', '*o*', '-type', 'f'])), [
    '/etc/motd',
    '/etc/os-release',
    '/noted',
    '/usr/lib/tool',
  ]);
  t.same(lines(await command(['find', image, '-type', 'l'])), ['/etc/link', '/lib']);
  t.same(lines(await command(['find', image, '-size', '+1MiB'])), ['/big']);
  t.same(lines(await command(['find', image, '/etc', '--size', '-9'])), ['/etc/motd']);
  t.match(json(await command(['find', '--json', image, '/etc/motd'])), [{ path: '/etc/motd', size: 8 }]);
  fails(t, await command(['find', image, '/nothing']), 'ENOENT');
  fails(t, await command(['find', image, '-type', 'x']), 'ERR_SOCI_INVALID_ARGUMENT', 2);
});

t.test('du: directories after what is in them, hard links once', async t => {
  const total = BIG.length + 10 + 8 + 10 + 1;
  t.same(lines(await command(['du', image])), [
    '0\t/dev',
    '18\t/etc',
    '10\t/usr/lib',
    '10\t/usr',
    `${total}\t/`,
  ]);
  t.same(lines(await command(['du', '-sh', image])), ['1.91 MiB\t/']);
  t.same(json(await command(['du', '--json', image, '/etc'])), [{ path: '/etc', bytes: 18, files: 2 }]);
});

t.test('ls --layer: what one layer has, whiteouts included', async t => {
  t.same(lines(await command(['ls', '-R', '--layer', '1', image])), ['etc', 'etc/.wh.removed', 'etc/motd']);
  t.ok(lines(await command(['ls', '-R', image, '--layer=0'])).includes('etc/removed'));
  const { status, stderr } = await command(['ls', '--layer', '2', image]);
  t.equal(status, 2);
  t.match(stderr, '--layer: expected an integer of 0 to 1, received 2', 'in the words of the command line');
});

t.test('diff: names, attributes, and bytes if that is asked for', async t => {
  const changed = (entry: TarEntry): TarEntry[] => {
    if (entry.name === 'noted') return [];
    if (entry.name === 'etc/os-release') return [{ ...entry, body: Buffer.from('ID=simple\n') }];
    if (entry.name === 'etc/link') return [{ ...entry, linkname: 'motd' }];
    // The last header of a file's names is the one that counts.
    return [/^usr\/lib\/(tool|alias)$/.test(entry.name) ? { ...entry, mode: 0o700 } : entry];
  };
  const lower = await layerOf([...LOWER.flatMap(changed), { name: 'new', body: Buffer.from('new') }]);
  await pushIndexedImage(repository, [lower, layers[1]!], { tag: 'next' });
  const names = [
    'C /etc/link  target',
    'A /new',
    'D /noted',
    'C /usr/lib/alias  mode',
    'C /usr/lib/tool  mode',
  ];
  const quick = await command(['diff', image, `${image}:next`]);
  t.same(lines(quick), names);
  t.match(quick.stderr, '2 files of equal size are in other layers');
  const thorough = await command(['diff', '--content', image, `${image}:next`]);
  t.same(lines(thorough), [names[0], 'C /etc/os-release  content', ...names.slice(1)]);
  t.notMatch(thorough.stderr, 'in other layers');
  t.same(lines(await command(['diff', image, image])), []);
  t.match(json(await command(['diff', '--json', image, `${image}:next`])), [
    { path: '/big', change: 'uncompared' },
    { path: '/etc/link', change: 'changed', differences: ['target'] },
  ]);
  const status = async (...args: string[]): Promise<number | null> =>
    (await command(['diff', '--exit-code', ...args])).status;
  t.equal(quick.status, 0, 'that images differ is no failure');
  t.equal(await status(image, image), 0);
  t.equal(await status(image, `${image}:next`), 1);
  t.equal(await status('--json', image, `${image}:next`), 1);
  t.equal(await status(image, `${image}:nowhere`), 2, 'a failure is not taken for a difference');
  t.match((await command(['diff', '--exit-code', image, `${image}:nowhere`])).stderr, 'NOT_FOUND');
});
