/** There whole or not at all: what fails, is aborted or was left behind by others leaves nothing. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { PartialDirectory } from '../../lib/unpack/partial-directory.js';
import { unpackWith } from '../../lib/unpack/unpack-image.js';
import type { UnpackImageOptions } from '../../lib/unpack/unpack-options.js';
import { noise } from '../span/sample-layers.js';
import { failureOf, OPEN, scratchFolder } from './fixture.js';
import { tarOf } from './sample-tar.js';

const LAYER = { content: tarOf(['d/', 'd/f'], 'bytes') };

t.test('where it is to be there may be nothing, or an empty directory', async t => {
  const folder = scratchFolder(t);
  mkdirSync(join(folder, 'empty'));
  mkdirSync(join(folder, 'full'));
  writeFileSync(join(folder, 'full', 'x'), '');
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('empty', join(folder, 'link'));
  const unpack = (name: string) =>
    failureOf(
      unpackWith({ target: 'merged', directory: join(folder, name), layers: [LAYER], sync: true }, OPEN),
    );
  for (const name of ['new', 'a/b/new', 'empty']) {
    t.equal(await unpack(name), undefined, name);
    t.ok(existsSync(join(folder, name, 'd/f')), name);
  }
  for (const name of ['full', 'file', 'link', 'new']) {
    t.match(
      await unpack(name),
      { code: 'ERR_SOCI_OUTPUT', message: /expected nothing or an empty directory/ },
      name,
    );
  }
  t.strictSame(readdirSync(join(folder, 'full')), ['x']);
  t.strictSame(readdirSync(folder).sort(), ['a', 'empty', 'file', 'full', 'link', 'new']);
});

t.test('an image without layers is an empty directory', async t => {
  const directory = join(scratchFolder(t), 'root');
  await unpackWith({ target: 'merged', directory, layers: [] }, OPEN);
  t.strictSame(readdirSync(directory), []);
});

t.test('what fails in the middle leaves nothing', async t => {
  const folder = scratchFolder(t);
  const broken = { content: tarOf([{ name: 'large', body: noise(3_000_000) }]).subarray(0, 2_000_000) };
  for (const target of ['merged', 'overlay'] as const) {
    const directory = join(folder, target);
    const failure = await failureOf(unpackWith({ target, directory, layers: [LAYER, broken, LAYER] }, OPEN));
    t.match(failure, { code: 'ERR_SOCI_LAYER_TRUNCATED' });
    t.strictSame(readdirSync(folder), []);
  }
});

t.test('what is as deep as it may be goes, too', async t => {
  const folder = scratchFolder(t);
  const deep = tarOf([`${`${'d'.repeat(250)}/`.repeat(16)}${'f'.repeat(70)}`, 'caf\xe9/\xff']);
  const broken = { content: tarOf(['x', 'y'], 'bytes').subarray(0, 1100) };
  const layers = [{ content: deep }, broken];
  const options = { target: 'merged', directory: join(folder, 'root'), layers } as const;
  t.match(await failureOf(unpackWith(options, OPEN)), { code: 'ERR_SOCI_LAYER_TRUNCATED' });
  t.strictSame(readdirSync(folder), []);
});

t.test('what cannot be written is an error that says what, and why', async t => {
  const folder = scratchFolder(t);
  const layers = [LAYER, { content: tarOf([{ name: 'd/f', body: noise(10_000) }, 'd/g']) }];
  const options: UnpackImageOptions = { target: 'merged', directory: join(folder, 'root'), layers };
  const failure = await failureOf(
    unpackWith(options, given => {
      const executor = OPEN(given);
      executor.run = async () => {
        const failed = { operation: 0, call: 'write', errno: 28 };
        return { failed, skippedOwners: 0, skippedXattrs: 0, skippedDevices: 0 };
      };
      return executor;
    }),
  );
  t.match(failure, {
    code: 'ERR_SOCI_OUTPUT',
    message: /ENOSPC: no space left on device, write/,
    data: { reason: 'ENOSPC' },
  });
  t.strictSame(readdirSync(folder), []);
});

t.test('aborted at any place', async t => {
  const folder = scratchFolder(t);
  const reason = new Error('enough');
  for (const chunks of [0, 1, 3]) {
    const controller = new AbortController();
    const content = (async function* () {
      const tar = tarOf([{ name: 'large', body: noise(6_000_000) }]);
      for (let at = 0; at < tar.length; at += 2 ** 20) {
        if (at === chunks * 2 ** 20) controller.abort(reason);
        yield tar.subarray(at, at + 2 ** 20);
      }
    })();
    const { signal } = controller;
    const options = {
      target: 'merged',
      directory: join(folder, 'root'),
      layers: [{ content }],
      signal,
    } as const;
    t.equal(await failureOf(unpackWith(options, OPEN)), reason);
    t.strictSame(readdirSync(folder), []);
  }
});

t.test('what a dead process has left goes, what a living one is at stays', async t => {
  const folder = scratchFolder(t);
  const path = join(folder, 'root');
  const script = `const { PartialDirectory } = await import(${JSON.stringify(import.meta.resolve('../../lib/unpack/partial-directory.js'))});
    const partial = await PartialDirectory.create(${JSON.stringify(path)});
    await partial.write('file', 'text');
    console.log(partial.partial);
    // It is used further on: what nobody holds is collected, and its lock with it.
    setInterval(() => partial.partial, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  const left = await new Promise<string>(resolve =>
    child.stdout.once('data', text => resolve(String(text).trim())),
  );
  const first = await PartialDirectory.create(path);
  t.ok(existsSync(join(left, 'file')), 'it lives');
  const ended = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  const second = await PartialDirectory.create(path);
  t.notOk(existsSync(left));
  t.notOk(existsSync(`${left}.lock`));
  t.ok(existsSync(first.partial), 'our own is locked too');
  await second.commit({ sync: true });
  t.match(await failureOf(first.write('x', 'y').then(() => first.commit({ sync: false }))), undefined);
  await first.discard();
  t.strictSame(readdirSync(folder), ['root']);
});

t.test('two at once: one is there, the other fails, nothing is mixed', async t => {
  const folder = scratchFolder(t);
  const results = await Promise.all(
    ['1', '2'].map(text => {
      const layers = [{ content: tarOf(['f', text], text) }];
      return failureOf(unpackWith({ target: 'merged', directory: join(folder, 'root'), layers }, OPEN));
    }),
  );
  t.equal(results.filter(failure => failure === undefined).length, 1);
  t.match(
    results.find(failure => failure !== undefined),
    { code: 'ERR_SOCI_OUTPUT' },
  );
  t.strictSame(readdirSync(folder), ['root']);
  t.equal(readdirSync(join(folder, 'root')).length, 2);
});

t.test('caps', async t => {
  const folder = scratchFolder(t);
  const limited = async (
    names: readonly string[],
    limits: UnpackImageOptions['limits'],
  ): Promise<unknown> => {
    const directory = join(folder, 'root');
    return await failureOf(
      unpackWith({ target: 'merged', directory, layers: [{ content: tarOf(names, 'x') }], limits }, OPEN),
    );
  };
  const deep = `${'d/'.repeat(2000)}f`;
  t.match(await limited([deep], {}), { code: 'ERR_SOCI_LIMIT', data: { limit: 'maxDepth' } });
  t.match(await limited([`${'long/'.repeat(1000)}f`], { maxDepth: 5000 }), {
    code: 'ERR_SOCI_LIMIT',
    data: { limit: 'maxPathBytes' },
  });
  t.match(await limited(['n'.repeat(256)], {}), {
    code: 'ERR_SOCI_LIMIT',
    data: { expected: 255, found: 256 },
  });
  t.match(await limited(['a', 'b', 'c', 'd'], { maxEntries: 3 }), { code: 'ERR_SOCI_LIMIT' });
  t.match(await limited(['a'], { maxUnpackedBytes: 1000 }), {
    code: 'ERR_SOCI_LIMIT',
    data: { limit: 'maxUnpackedBytes' },
  });
  // Each header has no more than it may; a hard link adds those of its own.
  const xattrsFrom = (from: number) =>
    new Map(Array.from({ length: 34_000 }, (_, i) => [(from + i).toString(36), Buffer.alloc(0)]));
  const link = { name: 'b', type: 'hardlink', target: 'a', xattrs: xattrsFrom(34_000) } as const;
  const many = [{ content: tarOf([{ name: 'a', xattrs: xattrsFrom(0) }, link]) }];
  const directory = join(folder, 'root');
  t.match(await failureOf(unpackWith({ target: 'merged', directory, layers: many }, OPEN)), {
    code: 'ERR_SOCI_LIMIT',
    message: /xattrs/,
  });
  const options = { code: 'ERR_SOCI_INVALID_ARGUMENT' };
  t.match(await limited(['a'], { maxEntries: 0 }), options);
  t.match(await limited(['a'], { maxEntrys: 1 } as UnpackImageOptions['limits']), options);
  t.strictSame(readdirSync(folder), []);
});

t.test('what it is told that it does not know is refused', async t => {
  const options: UnpackImageOptions = {
    target: 'merged',
    directory: join(scratchFolder(t), 'root'),
    layers: [],
  };
  const wrong: readonly object[] = [
    { unknwon: true },
    { target: 'both' },
    { directory: '' },
    { layers: [{ content: LAYER.content, diffID: '' }] },
    { ztocs: { spansize: 1 } },
    { semantics: 'none' },
    { concurrency: 0 },
  ];
  for (const each of wrong) {
    const failure = await failureOf(unpackWith({ ...options, ...each }, OPEN));
    t.match(failure, { code: 'ERR_SOCI_INVALID_ARGUMENT' }, JSON.stringify(each).slice(0, 60));
  }
});
