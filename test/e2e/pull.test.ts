/**
 * An image of a real registry, pulled to a layout and to archives, which other tools read: the same digests, the same
 * files, and what refers to the image. Compressed as gzip and as zstd, and with Docker's manifest.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';

import { spawned as command } from '../cli/run-command.js';
import { DockerRegistry } from './support/docker-registry.js';
import { BUILDAH_NEEDS_ROOT, buildahImage, umociImage, unpackedTree } from './support/images.js';
import { run } from './support/process.js';
import { readTree, treeDifferences } from './support/sample-tree.js';
import { needs } from './support/tools.js';
import { workspace } from './support/workspace.js';

t.test('pulled for other tools', { skip: needs('docker-registry', 'skopeo', 'umoci', 'tar') }, async t => {
  const folder = await workspace(t);
  const layout = join(folder, 'layout');
  await umociImage(folder, layout, 'v1');
  const tree = await unpackedTree(join(folder, 'tree'), layout, 'v1');
  const registry = await DockerRegistry.start(t);
  const succeed = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await command(args);
    t.equal(status, 0, stderr || `seekable-oci ${args.slice(0, 2).join(' ')}`);
    return stdout.toString();
  };
  const digestOf = async (place: string): Promise<string> =>
    JSON.parse((await registry.skopeo('inspect', [], place)).toString()).Digest;

  const ways = {
    gzip: ['--dest-compress-format', 'gzip'],
    zstd: ['--dest-compress-format', 'zstd'],
    v2s2: ['--format', 'v2s2'],
  };
  for (const [compression, options] of Object.entries(ways)) {
    const image = `${registry.host}/${compression}:v1`;
    await registry.skopeo('copy', ['--dest-compress', ...options], `oci:${layout}:v1`, `docker://${image}`);
    const digest = await digestOf(`docker://${image}`);
    const place = (name: string): string => join(folder, `${compression}-${name}`);
    const [oci, archive, docker] = [
      `oci:${place('oci')}:v1`,
      `oci-archive:${place('a.tar')}:v1`,
      `docker-archive:${place('d.tar')}`,
    ];
    const ranges = ['--concurrent-download-chunk-size', '64kb', '--quiet'];
    const result = JSON.parse(await succeed('pull', image, oci, archive, docker, '--json', ...ranges));
    t.equal(result.digest, digest);
    // skopeo sees no other manifests than OCI's in a layout; the docker archive is for those.
    const isOci = compression !== 'v2s2';
    if (isOci) t.equal(await digestOf(oci), digest, 'skopeo inspects the layout');
    if (isOci) t.equal(await digestOf(archive), digest, 'and the archive');
    for (const source of isOci ? [oci, archive] : []) {
      const copy = `docker://${registry.host}/copy-${compression}:v1`;
      await registry.skopeo('copy', ['--preserve-digests'], source, copy);
      t.equal(await digestOf(copy), digest, 'and copies them as they are');
    }
    const names = (await run('tar', ['-tf', place('d.tar')])).toString().split('\n');
    t.equal(names[0], 'manifest.json');
    const [saved] = JSON.parse((await run('tar', ['-xOf', place('d.tar'), 'manifest.json'])).toString());
    t.same(saved.RepoTags, [image]);
    for (const [name, source] of [
      ['of-docker', `${docker}:${image}`],
      ['of-oci', oci],
    ] as const) {
      if (!isOci && source === oci) continue;
      await registry.skopeo('copy', [], source, `oci:${place(name)}:v1`);
      t.same(treeDifferences(await unpackedTree(place(`${name}-tree`), place(name), 'v1'), tree), [], name);
    }

    const before = (await registry.requests()).length;
    await succeed('pull', image, oci, archive, docker, '--quiet');
    t.equal((await registry.requests(before + 1)).length, before + 1, 'again for one request');
    await succeed('cp', `${docker}:/.`, place('copy'), '--quiet');
    t.same(treeDifferences(await readTree(place('copy')), tree), [], 'and we read what we wrote');
  }
});

t.test(
  'what refers to an image comes along',
  { skip: needs('docker-registry', 'skopeo', 'umoci') },
  async t => {
    const folder = await workspace(t);
    await umociImage(folder, join(folder, 'layout'), 'v1');
    const registry = await DockerRegistry.start(t);
    const image = `${registry.host}/app:v1`;
    await registry.skopeo('copy', [], `oci:${join(folder, 'layout')}:v1`, `docker://${image}`);
    const run = async (...args: readonly string[]): Promise<string> => {
      const { status, stdout, stderr } = await command([...args, '--quiet']);
      t.equal(status, 0, stderr);
      return stdout.toString();
    };
    await run('index', 'create', image, '--min-layer-size', '0');
    const pulled = `oci:${join(folder, 'pulled')}`;
    await run('pull', image, `${pulled}:v1`, '--referrers');
    const indexes = JSON.parse(await run('index', 'ls', `${pulled}:v1`, '--json'));
    t.equal(indexes.length ?? indexes.indexes?.length, 1);
    await run('index', 'verify', `${pulled}:v1`);
    const index = JSON.parse(await readFile(join(folder, 'pulled', 'index.json'), 'utf8'));
    t.equal(index.manifests.length, 2, 'the image, and the index that refers to it');
  },
);

t.test(
  'buildah takes the docker archive',
  { skip: BUILDAH_NEEDS_ROOT || needs('docker-registry', 'skopeo', 'buildah') },
  async t => {
    const folder = await workspace(t);
    await buildahImage(join(folder, 'buildah'), `oci:${join(folder, 'layout')}:v1`);
    const registry = await DockerRegistry.start(t);
    const image = `${registry.host}/app:v1`;
    await registry.skopeo('copy', [], `oci:${join(folder, 'layout')}:v1`, `docker://${image}`);
    const archive = `docker-archive:${join(folder, 'app.tar')}`;
    const { status, stderr } = await command(['pull', image, archive, '--quiet']);
    t.equal(status, 0, stderr);
    const storage = [
      '--root',
      join(folder, 'storage'),
      '--runroot',
      join(folder, 'run'),
      '--storage-driver',
      'vfs',
    ];
    await run('buildah', [...storage, 'pull', archive]);
    const images = JSON.parse((await run('buildah', [...storage, 'images', '--json'])).toString());
    t.same(images[0].names, [image]);
  },
);
