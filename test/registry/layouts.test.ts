import { existsSync } from 'node:fs';
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import t from 'tap';
import tar from 'tar-stream';

import { indexArchive } from '../../lib/registry/archive-index.js';
import { type OpenedLocation, openImageLocation } from '../../lib/registry/image-location.js';
import { OCI_INDEX } from '../../lib/registry/media-types.js';
import { parsePlatform } from '../../lib/registry/platform.js';
import { listImages, selectManifest } from '../../lib/registry/platform-selection.js';
import type { Repository } from '../../lib/registry/repository.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import { encodeFileHeader } from '../../lib/tar/header-writer.js';
import { LayoutStorage } from '../../lib/testing/testing.js';
import {
  blobOf,
  collect,
  encodeIndex,
  failure,
  openRepository,
  pushArtifact,
  pushImage,
  sampleBytes,
  startRegistry,
  startTransport,
  type Teardown,
} from './fixture.js';

const SOCI = 'application/vnd.amazon.soci.index.v1+json';
const LAYER = sampleBytes(300_000);

function open(t: Teardown, location: string): OpenedLocation {
  const opened = openImageLocation(location, startTransport(t));
  t.teardown(() => opened.repository.close());
  return opened;
}

async function filesOf(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

for (const scheme of ['oci', 'oci-archive']) {
  t.test(`${scheme}: behaves as a registry does`, async t => {
    const location = `${scheme}:${join(t.testdir({}), 'images')}`;
    const { repository } = open(t, location);
    t.match(await failure(repository.resolve('v1')), {
      code: 'ERR_SOCI_LAYOUT',
      message: /no OCI layout there/,
    });

    const image = await pushImage(repository, LAYER, { tag: 'v1' });
    const artifact = await pushArtifact(repository, image, SOCI);
    await repository.commit();

    const check = async (reading: Repository): Promise<void> => {
      t.match(await reading.resolve('v1'), {
        digest: image.digest,
        size: image.size,
        mediaType: image.mediaType,
      });
      t.match(
        await reading.resolve(undefined),
        { digest: image.digest },
        'the only image: its referrer is none',
      );
      t.match(await reading.resolve(image.digest), { digest: image.digest });
      t.match(await failure(reading.resolve('v2')), {
        code: 'ERR_SOCI_REGISTRY_NOT_FOUND',
        message: /no image is named "v2"; it has v1/,
      });
      const content = await reading.getManifest('v1');
      t.equal(content.manifest.kind, 'manifest');
      t.same(Buffer.from(await reading.getBlob(blobOf(LAYER))), Buffer.from(LAYER));
      const source = await reading.openBlob(blobOf(LAYER));
      t.same(Buffer.from(await source.read(1000, 10)), Buffer.from(LAYER.subarray(1000, 1010)));
      t.same(await collect(source.stream()), Buffer.from(LAYER));
      for (const [offset, length] of [
        [LAYER.length - 5, 10],
        [-1, 1],
        [0, 2 ** 60],
        [0.5, 1],
      ] as const) {
        t.match(await failure(source.read(offset, length)), { code: 'ERR_SOCI_SOURCE_RANGE' });
      }
      await source.close();
      t.same(await reading.listTags(), ['v1']);
      t.match(await reading.referrers(image.digest), [{ digest: artifact.digest, artifactType: SOCI }]);
      t.same(await reading.referrers(image.digest, { artifactType: 'other' }), []);
      t.same(await reading.referrers(artifact.digest), []);
      t.equal(await reading.hasBlob(blobOf(Buffer.from('absent')).digest), false);
      t.match(await failure(reading.openBlob(blobOf(Buffer.from('absent')))), {
        code: 'ERR_SOCI_REGISTRY_NOT_FOUND',
      });
      t.match(await failure(reading.openBlob({ ...blobOf(LAYER), size: 5 })), {
        code: 'ERR_SOCI_DIGEST_MISMATCH',
      });
      t.match(await failure(reading.getBlob(blobOf(LAYER), { maxBytes: 10 })), { code: 'ERR_SOCI_LIMIT' });
    };
    await check(repository);
    const reopened = open(t, `${location}:v1`);
    t.equal(reopened.reference, 'v1');
    await check(reopened.repository);

    t.test('a second image, a replaced tag', async t => {
      const other = await pushImage(repository, sampleBytes(10, 2), { tag: 'v2' });
      t.match(await failure(repository.resolve(undefined)), {
        code: 'ERR_SOCI_REGISTRY_NOT_FOUND',
        message: /2 images could be meant; it has v1, v2/,
      });
      const newer = await pushImage(repository, sampleBytes(10, 3), { tag: 'v1' });
      await repository.commit();
      const { repository: again } = open(t, location);
      t.equal((await again.resolve('v1')).digest, newer.digest);
      t.equal((await again.resolve('v2')).digest, other.digest);
      t.ok(await again.getManifest(image.digest), 'what lost its tag is still there');
      t.same(await again.listTags(), ['v1', 'v2']);
    });

    t.test('many writers at once', async t => {
      const tags = Array.from({ length: 12 }, (_, at) => `many-${at}`);
      const second = scheme === 'oci' ? open(t, location).repository : repository;
      await Promise.all(
        tags.map((tag, at) => pushImage(at % 2 ? repository : second, sampleBytes(10, at), { tag })),
      );
      t.same(
        (await repository.listTags()).filter(tag => tag.startsWith('many-')),
        tags.sort(),
      );
    });

    t.test('bytes that are not what they should be leave nothing behind', async t => {
      const wrong = { ...blobOf(LAYER), digest: blobOf(Buffer.from('else')).digest };
      t.match(await failure(repository.pushBlob(wrong, LAYER)), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
      t.match(await failure(repository.pushBlob(wrong, new BufferSource(LAYER))), {
        code: 'ERR_SOCI_DIGEST_MISMATCH',
      });
      t.equal(await repository.hasBlob(wrong.digest), false);
      const reason = new Error('stop');
      t.equal(
        await failure(repository.pushBlob(wrong, LAYER, { signal: AbortSignal.abort(reason) })),
        reason,
      );
    });

    t.test('only digests become paths', async t => {
      for (const digest of ['sha512:../../../x', 'blake3:../x', 'sha256:../../x']) {
        t.match(await failure(repository.hasBlob(digest)), { code: 'ERR_SOCI_DIGEST_INVALID' });
      }
    });
  });
}

t.test('a layout on disk', async t => {
  const root = join(t.testdir({}), 'layout');
  const { repository } = open(t, `oci:${root}`);
  const inner = await pushImage(repository, LAYER);
  t.notOk(existsSync(join(root, 'index.json')), "a manifest without tag is some index's child");
  const index = await repository.pushManifest(encodeIndex([inner]), OCI_INDEX, { listed: true });
  const soci = await pushArtifact(repository, index, SOCI);
  await pushArtifact(repository, index, SOCI);
  t.same(JSON.parse(await readFile(join(root, 'index.json'), 'utf8')), {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [
      { mediaType: OCI_INDEX, digest: index.digest, size: index.size },
      { mediaType: soci.mediaType, digest: soci.digest, size: soci.size, artifactType: SOCI },
    ],
  });
  t.same(JSON.parse(await readFile(join(root, 'oci-layout'), 'utf8')), { imageLayoutVersion: '1.0.0' });
  const files = await filesOf(root);
  t.equal(files.length, 2 + 3 + 2 + 1, 'index.json, oci-layout, blobs: no temporary file is left');

  t.test('a failed write leaves no file', async t => {
    const wrong = { ...blobOf(LAYER), digest: blobOf(Buffer.from('else')).digest };
    await failure(repository.pushBlob(wrong, new BufferSource(LAYER)));
    t.same(await filesOf(root), files);
  });

  t.test('members that we do not know survive', async t => {
    const path = join(root, 'index.json');
    const document = JSON.parse(await readFile(path, 'utf8'));
    document.future = { x: 1 };
    document.manifests[0].annotations = { 'io.containerd.image.name': 'docker.io/library/app:1' };
    document.manifests[0].unknown = true;
    await writeFile(path, JSON.stringify(document));
    await pushImage(repository, LAYER, { tag: 'new' });
    t.match(JSON.parse(await readFile(path, 'utf8')), {
      future: { x: 1 },
      manifests: [{ unknown: true }, {}, {}],
    });
    t.equal((await repository.resolve('docker.io/library/app:1')).digest, index.digest, "containerd's name");
  });

  t.test('entries that are no images do not hide the others', async t => {
    const path = join(root, 'index.json');
    const document = JSON.parse(await readFile(path, 'utf8'));
    const odd = Buffer.from('{"mediaType":"application/vnd.example"}');
    const entry = blobOf(odd, document.manifests[0].mediaType);
    await repository.pushBlob(entry, odd);
    document.manifests.unshift(entry);
    await writeFile(path, JSON.stringify(document));
    t.match(await repository.referrers(index.digest), [{ digest: soci.digest }]);
  });

  t.test('damage is found', async t => {
    const blob = join(root, 'blobs', inner.digest.replace(':', '/'));
    const bytes = await readFile(blob);
    bytes[3] = bytes[3]! ^ 1;
    await writeFile(blob, bytes);
    t.match(await failure(repository.getManifest(inner)), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
    await writeFile(join(root, 'index.json'), '{');
    t.match(await failure(repository.resolve('new')), { code: 'ERR_SOCI_MANIFEST' });
    await writeFile(join(root, 'index.json'), Buffer.alloc(5_000_000, 0x20));
    t.match(await failure(repository.resolve('new')), { code: 'ERR_SOCI_LIMIT' });
  });

  t.test('links out of the layout are not written through', async t => {
    const outside = t.testdir({ elsewhere: {}, layout: {} });
    await symlink(join(outside, 'elsewhere'), join(outside, 'layout', 'blobs'));
    const linked = open(t, `oci:${join(outside, 'layout')}`).repository;
    t.match(await failure(linked.pushBlob(blobOf(LAYER), LAYER)), {
      code: 'ERR_SOCI_LAYOUT',
      message: /symbolic link/,
    });
    t.same(await readdir(join(outside, 'elsewhere')), []);
  });
});

t.test('an archive', async t => {
  const directory = t.testdir({});
  const path = join(directory, 'image.tar');
  const { repository } = open(t, `oci-archive:${path}`);
  const image = await pushImage(repository, LAYER, { tag: 'v1' });
  t.notOk(existsSync(path), 'is not there before it is committed');
  t.equal((await repository.resolve('v1')).digest, image.digest, 'but can be read');
  await repository.commit();
  t.same(await readdir(directory), ['image.tar'], 'and leaves nothing beside it');
  const first = await readFile(path);

  t.test('is a tar archive for others', async t => {
    const names: string[] = [];
    const extract = tar.extract();
    extract.on('entry', (header, stream, next) => {
      names.push(header.name);
      stream.on('end', next).resume();
    });
    extract.end(first);
    await new Promise<void>(resolve => extract.on('finish', () => resolve()));
    t.same(names.slice(0, 2), ['oci-layout', 'index.json']);
    t.equal(names.length, 5);
  });

  t.test('is the same archive when made of the same content', async t => {
    const twin = open(t, `oci-archive:${join(t.testdir({}), 'twin.tar')}`).repository;
    await pushImage(twin, LAYER, { tag: 'v1' });
    await twin.commit();
    t.ok((await readFile(twin.name.slice('oci-archive:'.length))).equals(first));
  });

  t.test('stays as it was until the next commit, and after close without one', async t => {
    const writer = open(t, `oci-archive:${path}`).repository;
    const before = await writer.openBlob(blobOf(LAYER));
    await pushImage(writer, sampleBytes(10), { tag: 'v2' });
    t.ok((await readFile(path)).equals(first));
    await writer.close();
    t.ok((await readFile(path)).equals(first));
    t.same(await readdir(directory), ['image.tar']);
    await before.close();
    await writer.commit();
    t.ok((await readFile(path)).equals(first), 'nothing is pending after close');
  });

  t.test('of buildx and skopeo: pax names, folders, docker manifests', async t => {
    const pack = tar.pack();
    pack.entry({ name: 'blobs/', type: 'directory' });
    const header = (name: string): { name: string; pax: Record<string, string> } => ({
      name,
      pax: { comment: 'x'.repeat(600) },
    });
    for (const [name, content] of await membersOf(first)) {
      pack.entry(header(`./${name}`), content);
    }
    pack.entry({ name: 'manifest.json' }, '[]');
    pack.finalize();
    const foreign = join(t.testdir({}), 'foreign.tar');
    await writeFile(foreign, await collect(pack as unknown as AsyncIterable<Uint8Array>));
    const { repository: read } = open(t, `oci-archive:${foreign}`);
    t.equal((await read.resolve('v1')).digest, image.digest);
    t.same(Buffer.from(await read.getBlob(blobOf(LAYER))), Buffer.from(LAYER));
    await pushImage(read, LAYER, { tag: 'v2' });
    await read.commit();
    t.notOk((await membersOf(await readFile(foreign))).has('manifest.json'), 'which would now be stale');
  });

  t.test('long names are kept, and names that are no blobs are not', async t => {
    const long = `blobs/sha512/${'a'.repeat(128)}`;
    const odd = ['blobs/../../evil', 'blobs/sha256/../x', `blobs/${'n'.repeat(150)}`, 'blobs/sha256/not-hex'];
    const pack = tar.pack();
    for (const [name, content] of await membersOf(first)) {
      pack.entry({ name }, content);
    }
    for (const name of [long, ...odd]) {
      pack.entry({ name }, 'content');
    }
    pack.finalize();
    const other = join(t.testdir({}), 'other.tar');
    await writeFile(other, await collect(pack as unknown as AsyncIterable<Uint8Array>));
    const writer = open(t, `oci-archive:${other}`).repository;
    await pushImage(writer, sampleBytes(10), { tag: 'v2' });
    await writer.commit();
    const members = await membersOf(await readFile(other));
    t.equal(members.get(long)?.toString(), 'content');
    t.same(
      [...members.keys()].filter(
        name => name.startsWith('blobs/') && !/^blobs\/sha(256|512)\/[0-9a-f]+$/.test(name),
      ),
      [],
    );
    const names: string[] = [];
    const extract = tar.extract();
    extract.on('entry', (header, stream, next) => {
      names.push(header.name);
      stream.on('end', next).resume();
    });
    extract.end(await readFile(other));
    await new Promise<void>(resolve => extract.on('finish', () => resolve()));
    t.same(names, [...members.keys()], 'others read the same names');
  });

  t.test('of many members: reading it ends with an abort, and with close', async t => {
    const many = join(t.testdir({}), 'many.tar');
    await writeFile(many, Buffer.alloc(100_000 * 512, encodeFileHeader({ name: 'f', size: 0 })));
    const { repository } = open(t, `oci-archive:${many}`);
    const aborter = new AbortController();
    const aborted = failure(repository.resolve('v1', { signal: aborter.signal }));
    const closed = failure(repository.resolve('v1'));
    const reason = new Error('enough');
    aborter.abort(reason);
    t.equal(await aborted, reason, 'of one caller');
    await repository.close();
    t.match(await closed, { code: 'ERR_SOCI_CLOSED' }, 'of all');
  });

  t.test('that is none', async t => {
    const attempt = async (bytes: Uint8Array): Promise<unknown> => {
      const bad = join(t.testdir({}), 'bad.tar');
      await writeFile(bad, bytes);
      return await failure(open(t, `oci-archive:${bad}`).repository.resolve('v1'));
    };
    t.match(await attempt(Buffer.alloc(1024, 1)), {
      code: 'ERR_SOCI_LAYOUT',
      message: /no tar header at offset 0/,
    });
    t.match(await attempt(Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(1024, 1)])), {
      code: 'ERR_SOCI_LAYOUT',
      message: /gunzip/,
    });
    t.match(await attempt(Buffer.alloc(0)), { code: 'ERR_SOCI_LAYOUT', message: /no index\.json/ });
    t.match(await attempt(first.subarray(0, 2000)), { code: 'ERR_SOCI_LAYOUT' });
    t.match(await attempt(Buffer.from(encodeFileHeader({ name: 'index.json', size: 2 ** 50 }))), {
      code: 'ERR_SOCI_LAYOUT',
      message: /beyond the end/,
    });
  });

  t.test('large sizes fit into the header', async t => {
    const size = 8 ** 11 + 5;
    const header = encodeFileHeader({ name: 'big', size });
    const fake = {
      name: 'x',
      size: 2 ** 40,
      read: async (at: number) => (at === 0 ? header : new Uint8Array(512)),
    };
    t.same(await indexArchive(fake as never), new Map([['big', { offset: 512, size }]]));
  });
});

async function membersOf(archive: Buffer): Promise<Map<string, Buffer>> {
  const source = new BufferSource(archive);
  const members = await indexArchive(source);
  return new Map(
    [...members].map(([name, { offset, size }]) => [name, archive.subarray(offset, offset + size)]),
  );
}

t.test('images go between all of them', async t => {
  const root = t.testdir({});
  const registry = await startRegistry(t);
  const from = openRepository(startTransport(t), registry);
  const image = await pushImage(from, LAYER, { tag: 'v1' });
  const { repository: layout } = open(t, `oci:${join(root, 'layout')}`);
  const { repository: archive } = open(t, `oci-archive:${join(root, 'image.tar')}`);
  const back = openRepository(startTransport(t), registry, 'demo/back');
  const copy = async (source: Repository, target: Repository): Promise<void> => {
    const { bytes, manifest, descriptor } = await source.getManifest('v1');
    const blobs = manifest.kind === 'manifest' ? [manifest.config, ...manifest.layers] : [];
    await Promise.all(
      blobs.map(async blob => {
        const content = await source.openBlob(blob);
        await target.pushBlob(blob, content).finally(() => content.close());
      }),
    );
    await target.pushManifest(bytes, descriptor.mediaType, { tag: 'v1' });
    await target.commit();
  };
  await copy(from, layout);
  await copy(layout, archive);
  await copy(archive, back);
  t.equal((await back.resolve('v1')).digest, image.digest);
  t.same(Buffer.from(await back.getBlob(blobOf(LAYER))), Buffer.from(LAYER));

  t.test('and a registry can serve a layout', async t => {
    const serving = await startRegistry(t, {
      storage: new LayoutStorage({ 'demo/app': join(root, 'layout') }),
    });
    const remote = openRepository(startTransport(t), serving);
    t.equal((await remote.resolve('v1')).digest, image.digest);
    const source = await remote.openBlob(blobOf(LAYER));
    t.same(Buffer.from(await source.read(299_990, 10)), Buffer.from(LAYER.subarray(299_990)));
    await source.close();
    const artifact = await pushArtifact(remote, image, SOCI);
    t.match(await remote.referrers(image.digest), [{ digest: artifact.digest }]);
    t.match(
      await layout.referrers(image.digest),
      [{ digest: artifact.digest }],
      'what was pushed is in the layout',
    );
    t.match(await failure(openRepository(startTransport(t), serving, 'demo/other').listTags()), {
      code: 'ERR_SOCI_REGISTRY_NOT_FOUND',
    });
  });
});

const corpus = process.env['SEEKABLE_OCI_CORPUS'];
const skip = corpus === undefined ? 'SEEKABLE_OCI_CORPUS is not set' : false;
t.test('the golden two-platform image', { skip }, async t => {
  const { repository } = open(t, `oci:${join(corpus ?? '', '..', 'images', 'multi')}`);
  const content = await repository.getManifest(undefined);
  t.same(
    (await listImages(repository, content)).map(({ descriptor }) => descriptor.platform),
    [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux', variant: 'v8' },
    ],
  );
  const { manifest } = await selectManifest(repository, content, parsePlatform('linux/arm64'));
  t.equal(manifest.layers.length, 3);
  for (const layer of manifest.layers) {
    t.equal((await repository.getBlob(layer)).length, layer.size);
  }
});
