/** The command as a shell script uses it: on a layer behind nginx and from standard input, on images in a registry. */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';

import { spawned as command } from '../cli/run-command.js';
import { fixturePath } from '../registry/fixture.js';
import { DockerRegistry, PASSWORD, USER } from './support/docker-registry.js';
import { GZIP_WRITERS, gzipWith } from './support/gzip-writers.js';
import { umociImage, unpackedTree } from './support/images.js';
import { Nginx } from './support/nginx.js';
import { readTree, tarOf, treeDifferences, writeSampleTree } from './support/sample-tree.js';
import { needs } from './support/tools.js';
import { workspace } from './support/workspace.js';

t.test('a layer behind a URL', { skip: needs('tar', 'nginx', 'pigz') }, async t => {
  const folder = await workspace(t);
  const nginx = await Nginx.start(t);
  const root = join(folder, 'tree');
  await writeSampleTree(root, 'pax');
  const tree = await readTree(root);
  const pigz = GZIP_WRITERS.find(({ name }) => name === 'pigz')!;
  const layer = await gzipWith(pigz, await tarOf(root, 'pax'));
  await writeFile(join(nginx.root, 'layer'), layer);
  const url = nginx.url('layer');
  const ztoc = join(folder, 'layer.ztoc');
  const spanSize = ['--span-size', '262144'];

  const succeed = async (args: readonly string[], input?: Uint8Array): Promise<Buffer> => {
    const { status, stdout, stderr } = await command(args, input);
    t.equal(status, 0, stderr || `seekable-oci ${args.slice(0, 2).join(' ')}`);
    return stdout;
  };

  const summary = JSON.parse(
    (await succeed(['ztoc', 'build', url, '-o', ztoc, ...spanSize, '--json'])).toString(),
  );
  const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
  t.match(summary, { layerDigest: digest, layerSize: layer.length });
  const piped = await succeed(['ztoc', 'build', '-', '-o', '-', ...spanSize], layer);
  t.ok(piped.equals(await readFile(ztoc)), 'standard input and output give the same ztoc');

  const info = JSON.parse((await succeed(['ztoc', 'info', ztoc])).toString());
  t.equal(info.num_files, tree.size + 1, 'the tree and ./');
  const listed = (await succeed(['ztoc', 'ls', ztoc])).toString();
  for (const name of ['./sizes/513', './big/zz-hard-link', './names/ünï çödé – 名前 🦀'])
    t.match(listed, name);
  t.match((await succeed(['ztoc', 'verify', url, ztoc])).toString(), /^/);

  const before = await nginx.requests('/layer', 3);
  for (const path of ['sizes/0', 'sizes/513', 'big/noise', 'big/zz-hard-link', 'usr/lib/code/core/util.js']) {
    const expected = tree.get(path);
    const content = await succeed(['ztoc', 'cat', url, ztoc, path]);
    t.ok(expected?.type === 'file' && content.equals(expected.content), path);
  }
  const sent = (await nginx.requests('/layer', before.length + 10)).slice(before.length);
  const bytes = sent.reduce((sum, request) => sum + request.bytes, 0);
  t.ok(sent.every(({ status }) => status === 206) && bytes < 2 * layer.length, 'by ranges only');

  const missing = await command(['ztoc', 'cat', url, ztoc, 'no/such/file']);
  t.match(missing, { status: 1, stderr: /ENOENT/ });
  const gone = await command(['ztoc', 'cat', nginx.url('nothing'), ztoc, 'sizes/1']);
  t.match(gone, { status: 1, stderr: /404.*\[ERR_SOCI_HTTP_STATUS\]\n$/ });

  const other = Buffer.from(layer);
  other[other.length - 100_000]! ^= 1;
  await writeFile(join(nginx.root, 'damaged'), other);
  const damaged = await command(['ztoc', 'verify', nginx.url('damaged'), ztoc]);
  t.equal(damaged.status, 1, damaged.stderr);
  t.match(damaged.stderr, /\[ERR_SOCI_\w+\]\n$/);
});

t.test('an image in a registry', { skip: needs('docker-registry', 'skopeo', 'umoci', 'tar') }, async t => {
  const folder = await workspace(t);
  const layout = join(folder, 'layout');
  await umociImage(folder, layout, 'v1');
  const tree = await unpackedTree(join(folder, 'tree'), layout, 'v1');
  const registry = await DockerRegistry.start(t, { tls: true, password: true });
  const image = `${registry.host}/app:v1`;
  await registry.skopeo('copy', [], `oci:${layout}:v1`, `docker://${image}`);
  const access = ['--ca', fixturePath('tls', 'ca.pem'), '--user', USER, '--password-stdin'];
  const succeed = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await command([...args, ...access], Buffer.from(`${PASSWORD}\n`));
    t.equal(status, 0, stderr || `seekable-oci ${args.slice(0, 2).join(' ')}`);
    return stdout.toString();
  };
  const small = ['--min-layer-size', '0', '--span-size', '131072', '--quiet'];

  await succeed('index', 'create', image, ...small);
  t.equal(await succeed('cat', image, '/etc/os-release'), 'NAME="second"\n');
  const converted = `${registry.host}/app:v2`;
  await succeed('convert', image, converted, ...small);
  for (const name of [image, converted]) {
    const listed = (await succeed('ls', name, '/sizes')).trim().split('\n');
    t.same(listed.sort(), ['0', '1', '10240', '511', '513']);
    const copy = join(folder, name.slice(-2));
    await succeed('cp', `${name}:/.`, copy, '--quiet');
    t.same(treeDifferences(await readTree(copy), tree), [], 'the whole tree, copied out');
  }
  const denied = await command(['cat', image, '/etc/os-release', '--ca', fixturePath('tls', 'ca.pem')]);
  t.match(denied, { status: 1, stderr: /\[ERR_SOCI_REGISTRY_AUTH\]\n$/ });
});
