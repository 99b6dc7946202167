/** `load-order …`: from the log of a run to a load order beside the image, and out again. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';

import { parseLoadOrder } from '../../lib/soci/load-order.js';
import { parsePrefetchArtifact } from '../../lib/soci/prefetch-artifact.js';
import { layerOf, pushIndexedImage, type SampleImage } from '../image/sample-image.js';
import { sampleElf } from '../load-order/sample-elf.js';
import { command, fails } from './run-command.js';
import {
  BIG,
  makeLayout,
  pushTwoPlatforms,
  repositoryOf,
  sampleLayers,
  startRegistry,
} from './sample-images.js';

const layers = [
  ...(await sampleLayers()),
  await layerOf([{ name: 'bin/app', body: sampleElf(), mode: 0o755 }]),
];

interface Sample {
  readonly image: SampleImage;
  readonly operand: string;
  /** For files of the test. */
  readonly folder: string;
}

async function sample(t: Test): Promise<Sample> {
  const { operand, folder, repository } = makeLayout(t);
  const image = await pushIndexedImage(repository, layers, {
    tag: 'v1',
    config: { config: { Cmd: ['/bin/app'] } },
  });
  return { image, operand: `${operand}:v1`, folder: dirname(folder) };
}

const textOf = async (...args: string[]): Promise<string> => {
  const { status, stdout, stderr } = await command(args);
  if (status !== 0) throw new Error(stderr);
  return stdout.toString();
};

t.test('record: of a log, of JSON lines on standard input, of a list of paths', async t => {
  const { image, operand, folder } = await sample(t);
  const log = join(folder, 'log');
  writeFileSync(
    log,
    '1.5 openat(AT_FDCWD</>, "x") = 3</jail/big>\n1.6 read(3</jail/big>, "", 9) = 9\n1.7 read(4</no>, "", 9) = 9\n',
  );
  const file = join(folder, 'run.json');
  const recorded = await command([
    'load-order',
    'record',
    operand,
    log,
    '--root',
    '/jail',
    '--workload',
    'serve',
    '-o',
    file,
  ]);
  t.equal(recorded.status, 0, recorded.stderr);
  t.match(recorded.stderr, '1 read of what is no file of the image left out');
  t.equal(recorded.stdout.toString(), 'serve  of 1 run: 4.00 KiB of 1 file in 1 load\n');
  const order = parseLoadOrder(readFileSync(file), file);
  t.strictSame(order, {
    image: image.descriptor.digest,
    workload: 'serve',
    runs: 1,
    loads: [{ path: '/big', size: BIG.length, start: 0, end: 4096, urgency: 1, runs: 1, ms: 100 }],
  });

  const lines = Buffer.from('{"path":"/etc/link"}\n{"path":"/big","end":5,"ms":3}\n');
  const { stdout, stderr, status } = await command(['load-order', 'record', operand, '-'], lines);
  t.equal(status, 0, stderr);
  const given = parseLoadOrder(stdout, 'standard output');
  t.match(given, {
    workload: 'start',
    loads: [
      { path: '/etc/os-release', ms: 0 },
      { path: '/big', ms: 3 },
    ],
  });

  writeFileSync(log, '/usr/lib/alias\n/etc/motd\n');
  const summary = await textOf('load-order', 'record', operand, log, '-o', file, '--json');
  t.match(JSON.parse(summary), { loads: 2, files: 2, bytes: 18, runs: 1 });

  fails(
    t,
    await command(['load-order', 'record', operand, '-'], Buffer.from('{"path":1}')),
    'ERR_SOCI_LOAD_ORDER_FORMAT',
  );
  for (const option of ['--root', '--workload']) {
    fails(
      t,
      await command(['load-order', 'record', operand, log, option, '.']),
      'ERR_SOCI_INVALID_ARGUMENT',
      2,
    );
  }
  fails(t, await command(['load-order', 'record', operand, join(folder, 'none')]), 'ENOENT');
});

t.test('merge: one of many, whatever their order; what is none of one run is refused', async t => {
  const { operand, folder } = await sample(t);
  const files = ['a', 'b', 'c'].map(name => join(folder, `${name}.json`));
  const lists = ['/etc/motd\n/big\n', '/etc/motd\n', '/etc/motd\n/noted\n'];
  for (const [at, file] of files.entries()) {
    const { status, stderr } = await command(
      ['load-order', 'record', operand, '-', '-o', file, '--workload', 'w'],
      Buffer.from(lists[at] as string),
    );
    t.equal(status, 0, stderr);
  }
  const merged = await textOf('load-order', 'merge', ...files);
  t.equal(await textOf('load-order', 'merge', ...[...files].reverse()), merged);
  const { loads, ...rest } = parseLoadOrder(Buffer.from(merged), 'merged');
  t.match(rest, { workload: 'w', runs: 3 });
  t.same(
    loads.map(({ path, runs, urgency }) => [path, runs, urgency]),
    [
      ['/etc/motd', 3, 1],
      ['/big', 1, 5],
      ['/noted', 1, 5],
    ],
  );
  const file = join(folder, 'merged.json');
  writeFileSync(file, merged);
  t.match(
    await textOf('load-order', 'merge', files[0] as string, '--workload', 'other'),
    '"workload":"other"',
  );
  fails(t, await command(['load-order', 'merge', file]), 'ERR_SOCI_INVALID_ARGUMENT', 2);
  writeFileSync(file, '{"version":"2.0"}');
  const { stderr } = await command(['load-order', 'merge', file]);
  t.ok(stderr.startsWith(`seekable-oci: ${file}: version: expected`), stderr);
  fails(t, await command(['load-order', 'merge', join(folder, 'none')]), 'ERR_SOCI_SOURCE_IO');
});

t.test('derive: the command of the image, or another one', async t => {
  const { operand, folder } = await sample(t);
  const file = join(folder, 'derived.json');
  t.match(
    await textOf('load-order', 'derive', operand, '-o', file),
    /^start {2}derived: .* of 1 file in 1 load\n$/,
  );
  t.match(parseLoadOrder(readFileSync(file), file), { runs: 0, loads: [{ path: '/bin/app' }] });
  const other = await command([
    'load-order',
    'derive',
    operand,
    '--workload',
    'tool',
    '--',
    '/usr/lib/tool',
    '-x',
  ]);
  t.match(other.stderr, '/bin/sh, needed by /usr/lib/tool -x, is not in the image');
  t.match(parseLoadOrder(other.stdout, 'x'), { workload: 'tool', loads: [{ path: '/usr/lib/tool' }] });
});

t.test('push, ls, show and export: beside the image, and back the same', async t => {
  const registry = await startRegistry(t);
  const repository = repositoryOf(t, registry);
  const [amd64, arm64] = await pushTwoPlatforms(repository, layers);
  const name = `${registry.host}/demo/app:multi`;
  const folder = t.testdir({});
  const file = join(folder, 'run.json');
  const other = join(folder, 'other.json');
  const list = Buffer.from('/big\n/etc/motd\n');
  const record = ['load-order', 'record', name, '-', '--workload', 'serve', '--platform', 'linux/arm64'];
  t.equal((await command([...record, '-o', file], list)).status, 0);
  t.equal((await command([...record, '-o', other], Buffer.from('/big\n'))).status, 0);

  const pushed = await command(['load-order', 'push', name, file, '--json']);
  t.equal(pushed.status, 0, pushed.stderr);
  const { digest } = JSON.parse(pushed.stdout.toString());
  t.match(JSON.parse(pushed.stdout.toString()), {
    outcome: 'pushed',
    image: arm64?.descriptor.digest,
    others: [],
  });
  t.match(
    await textOf('load-order', 'push', name, file),
    `${digest}  serve  of ${arm64?.descriptor.digest}  existed\n`,
  );

  const second = await command(['load-order', 'push', name, other]);
  t.match(second.stderr, 'the image has 1 other load order of the workload serve; --replace deletes such');
  const replaced = await command(['load-order', 'push', name, file, '--replace', '--json']);
  t.match(JSON.parse(replaced.stdout.toString()), {
    digest,
    outcome: 'existed',
    replaced: true,
    others: { length: 1 },
  });

  const listed = await command(['load-order', 'ls', name]);
  t.match(listed.stderr, 'linux/amd64) has no load order');
  t.match(
    listed.stdout.toString(),
    /^WORKLOAD +RUNS +FILES[^\n]*\nserve +1 +2 [^\n]* linux\/arm64 +sha256:[^\n]*\n$/,
  );
  t.match(JSON.parse(await textOf('load-order', 'ls', name, '--json')), [
    { workload: 'serve', digest, loads: 2 },
  ]);

  const arm = ['--platform', 'linux/arm64'];
  const shown = await textOf('load-order', 'show', name, 'serve', ...arm);
  t.equal(await textOf('load-order', 'show', file), shown);
  t.match(shown, /^serve {2}of 1 run: 1\.91 MiB of 2 files in 2 loads\nimage sha256:/);
  t.match(shown, /\n1 +1\/1 +0 +1\.91 MiB +all +\/big\n/);
  t.strictSame(
    JSON.parse(await textOf('load-order', 'show', file, '--json')),
    parseLoadOrder(readFileSync(file), file),
  );

  const copy = join(folder, 'copy.json');
  await textOf('load-order', 'export', name, 'serve', '-o', copy, ...arm);
  t.ok(readFileSync(copy).equals(readFileSync(file)), 'exported as it was pushed');

  const none = await command(['load-order', 'export', name, 'batch', ...arm]);
  fails(t, none, 'ERR_SOCI_REGISTRY_NOT_FOUND');
  fails(t, await command(['load-order', 'show', name, '-', ...arm]), 'ERR_SOCI_INVALID_ARGUMENT', 2);
  const foreign = await command(['load-order', 'push', name, file, '--platform', 'linux/amd64']);
  fails(t, foreign, 'ERR_SOCI_LOAD_ORDER_MISMATCH');
  t.ok(foreign.stderr.includes(amd64?.descriptor.digest as string));
});

t.test('export --soci-prefetch: what the reference would fetch first, a file for each layer', async t => {
  const { operand, image, folder } = await sample(t);
  const file = join(folder, 'run.json');
  const lines = '{"path":"/big","start":1000000,"end":1100000}\n{"path":"/etc/motd"}\n';
  await command(['load-order', 'record', operand, '-', '-o', file], Buffer.from(lines));
  const target = join(folder, 'prefetch');
  mkdirSync(target);
  const out = await textOf('load-order', 'export', operand, file, '--soci-prefetch', '-o', target, '--json');
  const [lower, upper] = image.layers.map(({ descriptor }) => descriptor.digest);
  t.match(JSON.parse(out), [{ layerDigest: lower }, { layerDigest: upper }]);
  t.same(readdirSync(target).length, 2);
  const bytes = readFileSync(join(target, `${lower?.replace(':', '-')}.prefetch.json`));
  const ranges = parsePrefetchArtifact(bytes, 1000, 'x');
  const { firstSpan, endSpan } = JSON.parse(await textOf('explain', operand, '/big', '--json'));
  t.ok(ranges.every(({ first, last }) => first <= last && last < endSpan));
  t.ok(
    ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0) < endSpan - firstSpan,
    'a part of the file',
  );

  const forged = JSON.parse(readFileSync(file, 'utf8'));
  forged.loads.push({ ...forged.loads[0], path: '/gone' });
  writeFileSync(file, JSON.stringify(forged));
  const { stderr, stdout } = await command([
    'load-order',
    'export',
    operand,
    file,
    '--soci-prefetch',
    '-o',
    target,
  ]);
  t.match(stderr, '1 load that do not fit the image left out');
  t.match(stdout.toString(), ` for layer ${lower}\n`);
  for (const args of [[], ['-o', '-']]) {
    const refused = await command(['load-order', 'export', operand, file, '--soci-prefetch', ...args]);
    fails(t, refused, 'ERR_SOCI_INVALID_ARGUMENT', 2);
  }
});
