/**
 * An image of a real registry, read lazily until all of it is there: other tools read it out of the store and out of
 * what is exported of it, and the second time the registry is asked for the tag alone.
 */
import { join } from 'node:path';
import t from 'tap';

import { spawned as command } from '../cli/run-command.js';
import { DockerRegistry } from './support/docker-registry.js';
import { umociImage, unpackedTree } from './support/images.js';
import { readTree, treeDifferences } from './support/sample-tree.js';
import { needs } from './support/tools.js';
import { workspace } from './support/workspace.js';

t.test(
  'lazily read, whole in the end',
  { skip: needs('docker-registry', 'skopeo', 'umoci', 'tar') },
  async t => {
    const folder = await workspace(t);
    const layout = join(folder, 'layout');
    await umociImage(folder, layout, 'v1');
    const tree = await unpackedTree(join(folder, 'tree'), layout, 'v1');
    const registry = await DockerRegistry.start(t);
    const image = `${registry.host}/app:v1`;
    await registry.skopeo('copy', [], `oci:${layout}:v1`, `docker://${image}`);
    const succeed = async (...args: readonly string[]): Promise<string> => {
      const { status, stdout, stderr } = await command(args);
      t.equal(status, 0, stderr || `seekable-oci ${args.slice(0, 2).join(' ')}`);
      return stdout.toString();
    };
    await succeed('index', 'create', image, '--min-layer-size', '0', '--span-size', '131072', '--quiet');

    const store = join(folder, 'store');
    const kept = ['--store', store, '--quiet'];
    t.equal(await succeed('cat', image, '/etc/os-release', ...kept), 'NAME="second"\n');
    const one = JSON.parse(await succeed('status', image, '--json', ...kept));
    t.ok(one.present < one.size, `${one.present} of ${one.size} bytes for one file`);
    await succeed('cp', `${image}:/.`, join(folder, 'copy'), ...kept);
    t.same(treeDifferences(await readTree(join(folder, 'copy')), tree), []);

    const before = (await registry.requests()).length;
    t.equal(await succeed('cat', image, '/opt', ...kept).then(bytes => bytes.length > 0), true);
    t.match((await registry.requests(before + 1)).slice(before), [
      { method: 'HEAD', path: /\/manifests\/v1$/ },
    ]);

    const ahead = ['--store', join(folder, 'ahead'), '--quiet'];
    await succeed('prefetch', image, '--all', ...ahead);
    t.match(await succeed('status', image, '--offline', ...ahead), /: all of it, proved\n$/);
    await succeed('cp', `${image}:/.`, join(folder, 'offline'), '--offline', ...ahead);
    t.same(
      treeDifferences(await readTree(join(folder, 'offline')), tree),
      [],
      'fetched before anybody asked',
    );

    const archive = join(folder, 'app.tar');
    await succeed('store', 'export', image, archive, ...kept);
    t.match(await succeed('status', image, '--offline', ...kept), /: all of it, proved\n$/);
    await registry.skopeo(
      'copy',
      [],
      `oci-archive:${archive}:${image}`,
      `docker://${registry.host}/exported:v1`,
    );
    const other = join(folder, 'other');
    await succeed('store', 'import', archive, '--store', other, '--quiet');
    t.equal(
      await succeed('cat', image, '/etc/os-release', '--store', other, '--offline', '--quiet'),
      'NAME="second"\n',
    );
    await registry.skopeo('copy', [], `oci:${other}:${image}`, `docker://${registry.host}/imported:v1`);
    const digests = await Promise.all(
      ['app', 'exported', 'imported'].map(async name => {
        const inspected = await registry.skopeo('inspect', [], `docker://${registry.host}/${name}:v1`);
        return JSON.parse(inspected.toString()).Digest;
      }),
    );
    t.equal(new Set(digests).size, 1, 'the same image everywhere');
  },
);
