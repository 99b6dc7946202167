/** What `docker save`, skopeo, buildx and crane write, as a place for images: read in place, never written to. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import tar from 'tar-stream';

import { openImage } from '../../lib/image/open-image.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { openImageLocation } from '../../lib/registry/image-location.js';
import type { Repository } from '../../lib/registry/repository.js';
import { publishIndex } from '../../lib/soci/publish-index.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { layerOf, type Packing, type SampleLayer } from '../image/sample-image.js';
import { blobOf, collect, encodeIndex, failure, pushImage, startTransport } from './fixture.js';

type Member = readonly [name: string, content: string | Uint8Array | { readonly symlink: string }];

const BOTTOM = await layerOf([{ name: 'etc/name', body: Buffer.from('bottom') }], 'uncompressed');
const TOP = await layerOf([{ name: 'etc/name', body: Buffer.from('top') }], 'uncompressed');
const GZIPPED = await layerOf([{ name: 'etc/name', body: Buffer.from('gzipped') }], 'gzip');

function hex(digest: string): string {
  return digest.slice('sha256:'.length);
}

function configOf(layers: readonly SampleLayer[], architecture = 'amd64'): Buffer {
  const rootfs = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) };
  return Buffer.from(JSON.stringify({ architecture, os: 'linux', rootfs }));
}

async function archiveOf(t: Test, members: readonly Member[]): Promise<string> {
  const pack = tar.pack();
  for (const [name, content] of members) {
    if (typeof content === 'object' && 'symlink' in content) {
      pack.entry({ name, type: 'symlink', linkname: content.symlink });
    } else {
      pack.entry({ name }, typeof content === 'string' ? content : Buffer.from(content));
    }
  }
  pack.finalize();
  const path = join(t.testdir({}), 'image.tar');
  await writeFile(path, await collect(pack as unknown as AsyncIterable<Uint8Array>));
  return path;
}

interface Saved {
  readonly layers: readonly SampleLayer[];
  readonly tags?: readonly string[] | null;
  readonly architecture?: string;
}

/** As skopeo writes it: `HEX.tar`, `HEX.json`, manifest.json. */
function saved(...images: readonly Saved[]): Member[] {
  const members: Member[] = [];
  const manifest = images.map(({ layers, tags = ['docker.io/library/app:1'], architecture }) => {
    const config = configOf(layers, architecture);
    const Config = `${hex(sha256Digest(config))}.json`;
    members.push([Config, config]);
    for (const { bytes, diffId } of layers) members.push([`${hex(diffId)}.tar`, bytes]);
    return { Config, RepoTags: tags, Layers: layers.map(({ diffId }) => `${hex(diffId)}.tar`) };
  });
  return [...members, ['manifest.json', JSON.stringify(manifest)]];
}

function open(t: Test, location: string): Repository & { readonly reference: string | undefined } {
  const { repository, reference } = openImageLocation(location, startTransport(t));
  t.teardown(() => repository.close());
  return Object.assign(repository, { reference });
}

/** With nothing left of what other tests have read. */
async function nameIn(location: string): Promise<string> {
  await using context = new ReadContext();
  await using image = await openImage(location, { context });
  return await image.readFile('/etc/name', 'utf8');
}

/** The failure of opening an archive of `members`. */
async function refusal(t: Test, members: readonly Member[], reference = '') {
  return await failure(nameIn(`docker-archive:${await archiveOf(t, members)}${reference}`));
}

t.test('the only image needs no name', async t => {
  const path = await archiveOf(t, saved({ layers: [BOTTOM, TOP] }));
  t.equal(await nameIn(`docker-archive:${path}`), 'top');
  const repository = open(t, `docker-archive:${path}`);
  const { manifest } = await repository.getManifest(undefined);
  t.match(manifest, {
    config: { digest: sha256Digest(configOf([BOTTOM, TOP])) },
    layers: [
      { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: BOTTOM.diffId, size: BOTTOM.tar.length },
      { digest: TOP.diffId },
    ],
  });
  t.same(await repository.listTags(), ['docker.io/library/app:1']);
  t.same(await repository.referrers((await repository.resolve(undefined)).digest), [], 'it has no indexes');
});

t.test('images are found by name, as docker writes it or in full, and by place', async t => {
  const path = await archiveOf(
    t,
    saved({ layers: [BOTTOM], tags: ['app:1', 'r.example/app:1'] }, { layers: [TOP], tags: ['app:latest'] }),
  );
  for (const name of ['app:1', 'docker.io/library/app:1', 'r.example/app:1', '@0']) {
    t.equal(await nameIn(`docker-archive:${path}:${name}`), 'bottom', name);
  }
  for (const name of ['app', 'app:latest', '@1']) {
    t.equal(await nameIn(`docker-archive:${path}:${name}`), 'top', name);
  }
  t.match(await failure(nameIn(`docker-archive:${path}`)), {
    code: 'ERR_SOCI_REGISTRY_NOT_FOUND',
    message:
      /3 images could be meant; it has docker.io\/library\/app:1, docker.io\/library\/app:latest, r.ex/,
  });
  t.match(await failure(nameIn(`docker-archive:${path}:other`)), {
    message: /no image is named "docker.io\/library\/other:latest"/,
  });
  t.match(await failure(nameIn(`docker-archive:${path}:@2`)), { message: /no image @2, it has 2/ });
});

t.test('images without a name have a place', async t => {
  const untagged = { tags: null, architecture: 'amd64' };
  const path = await archiveOf(
    t,
    saved({ layers: [BOTTOM], ...untagged }, { layers: [TOP, BOTTOM, TOP], ...untagged }),
  );
  t.equal(await nameIn(`docker-archive:${path}:@1`), 'top');
});

t.test('layers that are links: of docker before version 25, and of skopeo', async t => {
  const config = configOf([BOTTOM, TOP, BOTTOM]);
  const Config = `${hex(sha256Digest(config))}.json`;
  const Layers = ['aa/layer.tar', 'bb/layer.tar', 'cc/layer.tar'];
  const members: Member[] = [
    ['cc/layer.tar', { symlink: '../aa/layer.tar' }],
    ['aa/layer.tar', BOTTOM.bytes],
    ['bb/layer.tar', { symlink: `../${hex(TOP.diffId)}.tar` }],
    [`${hex(TOP.diffId)}.tar`, TOP.bytes],
    [Config, config],
    ['manifest.json', JSON.stringify([{ Config, RepoTags: ['app:1'], Layers }])],
  ];
  t.equal(await nameIn(`docker-archive:${await archiveOf(t, members)}`), 'bottom');
});

for (const [how, name] of [
  ['of crane: named by the digest of their bytes', `${hex(GZIPPED.descriptor.digest)}.tar.gz`],
  ['of anybody: their digest is worked out', 'layer.tar.gz'],
] as const) {
  t.test(`gzip layers ${how}`, async t => {
    const config = configOf([GZIPPED]);
    const Config = sha256Digest(config);
    const path = await archiveOf(t, [
      [Config, config],
      [name, GZIPPED.bytes],
      ['manifest.json', JSON.stringify([{ Config, RepoTags: null, Layers: [name] }])],
    ]);
    const { manifest } = await open(t, `docker-archive:${path}`).getManifest(undefined);
    t.match(manifest, { layers: [GZIPPED.descriptor] });
    t.equal(await nameIn(`docker-archive:${path}`), 'gzipped');
  });
}

t.test('of docker 25 and buildx: a layout as well', async t => {
  const config = configOf([GZIPPED]);
  const configBlob = blobOf(config, 'application/vnd.oci.image.config.v1+json');
  const manifest = { schemaVersion: 2, config: configBlob, layers: [GZIPPED.descriptor] };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const annotations = {
    'io.containerd.image.name': 'docker.io/library/app:1',
    'org.opencontainers.image.ref.name': '1',
  };
  const entry = { ...blobOf(bytes, 'application/vnd.oci.image.manifest.v1+json'), annotations };
  const path = (digest: string): string => `blobs/sha256/${hex(digest)}`;
  const layout: Member[] = [
    ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
    ['index.json', encodeIndex([entry])],
    [path(entry.digest), bytes],
    [path(configBlob.digest), config],
  ];
  const layer: Member = [path(GZIPPED.descriptor.digest), GZIPPED.bytes];
  const docker = saved({ layers: [TOP], tags: ['app:1'] });

  t.test('which has the digests that registries know', async t => {
    const archive = await archiveOf(t, [...layout, layer, ...docker]);
    t.equal((await open(t, `docker-archive:${archive}`).resolve(undefined)).digest, entry.digest);
    t.equal(await nameIn(`docker-archive:${archive}:app:1`), 'gzipped');
    t.equal(await nameIn(`docker-archive:${archive}:@0`), 'top', 'places are those of manifest.json');
  });
  t.test('unless it lacks blobs', async t => {
    const archive = await archiveOf(t, [...layout, ...docker]);
    t.equal(await nameIn(`docker-archive:${archive}:app:1`), 'top');
  });
});

t.test('nothing is written to it, and that is said before layers are read', async t => {
  const path = await archiveOf(t, saved({ layers: [TOP] }));
  const before = await readFile(path);
  const place = openImageLocation(`docker-archive:${path}`, startTransport(t));
  t.teardown(() => place.repository.close());
  const refused = {
    code: 'ERR_SOCI_LAYOUT',
    message: /is only read.*convert docker-archive:.*oci-archive:FILE/,
  };
  t.match(await failure(publishIndex(place, { minLayerSize: 0, onEvent: () => t.fail('began') })), refused);
  t.match(await failure(pushImage(place.repository, TOP.bytes, { tag: 'x' })), refused);
  t.ok((await readFile(path)).equals(before));
  const { indexes } = await publishIndex(place, { minLayerSize: 0, dryRun: true });
  t.equal(indexes.length, 1, 'a dry run is welcome');
});

t.test('closing it ends the search for the digest of a layer', async t => {
  const config = configOf([GZIPPED]);
  const name = 'layer.tar.gz';
  const path = await archiveOf(t, [
    ['config.json', config],
    [name, Buffer.concat([GZIPPED.bytes, Buffer.alloc(64 * 2 ** 20)])],
    ['manifest.json', JSON.stringify([{ Config: 'config.json', RepoTags: null, Layers: [name] }])],
  ]);
  const { repository } = openImageLocation(`docker-archive:${path}`, startTransport(t));
  const asked = failure(repository.resolve(undefined));
  await repository.close();
  t.match(await asked, { code: 'ERR_SOCI_CLOSED' });
});

t.test('what is not as it says is refused', async t => {
  const [config, layer, manifest] = saved({ layers: [TOP] }) as [Member, Member, Member];
  const document = JSON.parse(manifest[1] as string);
  const changed = (change: object): Member => [
    'manifest.json',
    JSON.stringify([{ ...document[0], ...change }]),
  ];
  const other = Buffer.from(String(config[1]).replace('amd64', 'arm64'));

  t.match(await refusal(t, [[config[0], other], layer, manifest]), {
    code: 'ERR_SOCI_DIGEST_MISMATCH',
    message: /\.json: expected the config with the digest of its name, found sha256:/,
  });
  t.match(await refusal(t, [config, [layer[0], BOTTOM.bytes], manifest]), {
    code: 'ERR_SOCI_DIGEST_MISMATCH',
  });
  const gzipName = `${'0'.repeat(64)}.tar.gz`;
  t.match(await refusal(t, [config, [gzipName, gzipSync(TOP.tar)], changed({ Layers: [gzipName] })]), {
    code: 'ERR_SOCI_DIGEST_MISMATCH',
  });
  t.match(await refusal(t, [config, layer, changed({ Layers: [layer[0], layer[0]] })]), {
    code: 'ERR_SOCI_MANIFEST',
    message: /1 diff_ids for 2 layers/,
  });
  t.match(await refusal(t, [config, layer, changed({ Layers: ['../../etc/passwd'] })]), {
    code: 'ERR_SOCI_LAYOUT',
    message: /no file/,
  });
  t.match(
    await refusal(t, [
      config,
      ['out.tar', { symlink: '../../etc/passwd' }],
      changed({ Layers: ['out.tar'] }),
    ]),
    {
      code: 'ERR_SOCI_LAYOUT',
      message: /no file/,
    },
  );
  const loop: Member[] = [
    ['a.tar', { symlink: 'b.tar' }],
    ['b.tar', { symlink: 'a.tar' }],
  ];
  t.match(await refusal(t, [config, ...loop, changed({ Layers: ['a.tar'] })]), { message: /no file a.tar/ });
});

t.test('hostile manifests are bounded', async t => {
  const [config, layer] = saved({ layers: [TOP] }) as [Member, Member];
  const entry = { Config: config[0], RepoTags: null, Layers: [layer[0]] };
  const cases: readonly (readonly [content: string | Uint8Array, expected: object])[] = [
    ['{', { code: 'ERR_SOCI_LAYOUT', message: /manifest.json: not JSON/ }],
    ['{}', { code: 'ERR_SOCI_MANIFEST', message: /expected an array/ }],
    ['[{}]', { code: 'ERR_SOCI_LAYOUT', message: /\[0\]\.Config: expected a name, found nothing/ }],
    ['[]', { code: 'ERR_SOCI_REGISTRY_NOT_FOUND', message: /it lists no image/ }],
    [JSON.stringify(Array(1001).fill(entry)), { code: 'ERR_SOCI_LIMIT', message: /1001 entries/ }],
    [Buffer.alloc(5_000_000, ' '), { code: 'ERR_SOCI_LIMIT' }],
    [JSON.stringify([{ ...entry, Layers: [7] }]), { code: 'ERR_SOCI_LAYOUT', message: /found 7/ }],
  ];
  for (const [content, expected] of cases) {
    t.match(await refusal(t, [config, layer, ['manifest.json', content]]), expected);
  }
  // A name costs four bytes here and a descriptor in memory.
  const named = Array(50).fill({ ...entry, RepoTags: Array(20_000).fill('a') });
  t.match(await refusal(t, [config, layer, ['manifest.json', JSON.stringify(named)]]), {
    code: 'ERR_SOCI_LIMIT',
    message: /all images together have more than 100000 tags and layers/,
  });
  const large = Buffer.alloc(4 * 2 ** 20, ' ');
  const big: Member = ['big', Buffer.concat([configOf([TOP]), large.subarray(1000)])];
  const many = JSON.stringify(Array(17).fill({ ...entry, Config: 'big' }));
  t.match(await refusal(t, [big, layer, ['manifest.json', many]]), {
    code: 'ERR_SOCI_LIMIT',
    message: /configs of its images have more than/,
  });
  t.match(await refusal(t, [['readme', 'x']]), { message: /expected what 'docker save' writes/ });
});

t.test('layers of all packings have the types of their bytes', async t => {
  for (const packing of ['gzip', 'zstd', 'uncompressed'] satisfies Packing[]) {
    const layer = await layerOf([{ name: 'etc/name', body: Buffer.from(packing) }], packing);
    const path = await archiveOf(t, saved({ layers: [layer] }));
    const { manifest } = await open(t, `docker-archive:${path}`).getManifest(undefined);
    t.match(manifest, { layers: [layer.descriptor] });
    t.equal(await nameIn(`docker-archive:${path}`), packing);
  }
});

t.test('an OCI archive is not mistaken for it, nor it for one', async t => {
  const path = await archiveOf(t, saved({ layers: [TOP] }));
  t.match(await failure(nameIn(`oci-archive:${path}`)), {
    code: 'ERR_SOCI_LAYOUT',
    message: /no index.json.*docker-archive:FILE/,
  });
});
