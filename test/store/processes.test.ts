/** Several real processes on one store: they share what they fetch, may be killed, and evict what others read. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { HttpSource } from '../../lib/source/http/http-source.js';
import { BlobUse } from '../../lib/store/blob-use.js';
import { SYSTEM_DISK } from '../../lib/store/disk.js';
import { Store } from '../../lib/store/store.js';
import { FaultyServer } from '../helpers/http-server.js';
import { linuxOnly } from '../posix/linux-only.js';
import type { ReaderTask } from './reader-process.js';
import { sample, watchStores } from './sample-blob.js';

const PROGRAM = fileURLToPath(new URL('./reader-process.js', import.meta.url));
const SPAN = 64 * 1024;
const SPANS = 100;
const FEW_SPANS = 30;

function start(t: Test, task: ReaderTask): ChildProcess {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

/** The last word of a process. */
async function ended(child: ChildProcess): Promise<string> {
  let said = '';
  child.stdout!.on('data', chunk => {
    said += chunk;
  });
  await once(child, 'close');
  return said.replace(/^\.*/, '').trim();
}

/** Blobs of so many spans and a bit. */
async function served(
  t: Test,
  spans: number,
  seeds: readonly number[],
): Promise<{ server: FaultyServer; task: ReaderTask; size: number }> {
  const size = spans * SPAN + 1234;
  const server = await FaultyServer.listen();
  t.teardown(() => server.close());
  // Long enough for others to want the same meanwhile.
  server.decide = () => ({ delay: 5 });
  const blobs = seeds.map(seed => ({
    size,
    seed,
    url: server.put(`/${seed}`, sample(size, seed).bytes),
  }));
  const folder = join(t.testdir({}), 'store');
  return {
    server,
    size,
    task: { what: 'read', folder, maxBytes: 2 ** 30, blobs, rounds: 1, step: SPAN, shift: 0 },
  };
}

t.test('two processes that read the same 100 spans fetch little more than one', linuxOnly, async t => {
  const { server, task, size } = await served(t, SPANS, [1]);
  // Spans are not made of whole blocks.
  const both = [0, 1].map(() => start(t, { ...task, step: SPAN + 1000 }));
  t.same(await Promise.all(both.map(ended)), ['right', 'right']);
  t.ok(server.bytesSent <= 1.1 * size, `${server.bytesSent} of ${size} bytes`);
  const store = await Store.open(task.folder);
  t.match(await store.completion(sample(size, 1)), { proved: true });
  const before = server.bytesSent;
  t.equal(await ended(start(t, task)), 'right');
  t.equal(server.bytesSent, before, 'a third one fetches nothing');
  await store.close();
});

t.test(
  'killed at any time: nothing is lost that was said to be there, nothing is wrong',
  linuxOnly,
  async t => {
    const heard = watchStores(t);
    const { task, size } = await served(t, FEW_SPANS, [2, 3]);
    for (let round = 0; round < 8; round++) {
      const child = start(t, { ...task, shift: 5 * round });
      let seen = 0;
      for await (const chunk of child.stdout!) {
        seen += chunk.length;
        if (seen > 4 + 7 * round) child.kill('SIGKILL');
      }
    }
    const store = await Store.open(task.folder, { maxBytes: 2 ** 30 });
    for (const { url, seed } of task.blobs) {
      const blob = sample(size, seed);
      const source = await store.open(blob, await HttpSource.open(url, { size: size }));
      t.equal(Buffer.compare(await source.read(0, size), blob.bytes), 0);
      await source.close();
      t.match(await store.completion(blob), { proved: true });
    }
    await store.close();
    t.same(
      heard.filter(event => event !== 'completed'),
      [],
    );
  },
);

t.test('four processes on a store that is too small, and a server that fails', linuxOnly, async t => {
  const { server, task } = await served(t, FEW_SPANS, [4, 5, 6]);
  let count = 0;
  server.decide = () => {
    count++;
    if (count % 17 === 0) return { reset: 1000 + count };
    return count % 23 === 0 ? { status: 503 } : { delay: 2 };
  };
  const maxBytes = 3 * 2 ** 20;
  const readers = [0, 1, 2, 3].map(number => start(t, { ...task, maxBytes, rounds: 2, shift: 7 * number }));
  t.same(await Promise.all(readers.map(ended)), ['right', 'right', 'right', 'right']);
  const store = await Store.open(task.folder, { maxBytes });
  const bytes = (await store.list()).reduce((sum, blob) => sum + blob.bytes, 0);
  t.ok(bytes <= maxBytes, `${bytes} bytes`);
  await store.close();
});

t.test('claims and pins end with their process', linuxOnly, async t => {
  const { server, task, size } = await served(t, FEW_SPANS, [7]);
  const blob = sample(size, 7);
  const claiming = start(t, { ...task, what: 'claim' });
  await once(claiming.stdout!, 'data');
  const use = await BlobUse.begin(
    SYSTEM_DISK,
    join(task.folder, 'use', 'sha256', blob.digest.slice(7)),
    'use',
  );
  t.same(use?.claim({ first: 5, end: 15 }), {
    claimed: [{ first: 10, end: 15 }],
    others: [{ first: 5, end: 10 }],
  });
  claiming.kill('SIGKILL');
  await once(claiming, 'close');
  t.same(
    use?.claim({ first: 5, end: 15 }),
    {
      claimed: [{ first: 5, end: 10 }],
      others: [{ first: 10, end: 15 }],
    },
    'what is claimed already is another’s, of the same process',
  );
  await use?.close();

  const pinning = start(t, { ...task, what: 'pin' });
  await once(pinning.stdout!, 'data');
  const store = await Store.open(task.folder, { maxBytes: 2 ** 30 });
  const source = await store.open(blob, await HttpSource.open(`${server.origin}/7`, { size: size }));
  await source.read(0, 1000);
  await source.close();
  t.same((await store.collect({ maxBytes: 0 })).removed, []);
  t.notOk(await store.remove(blob.digest));
  pinning.kill('SIGKILL');
  await once(pinning, 'close');
  const own = await store.pin([blob.digest]);
  t.same((await store.collect({ maxBytes: 0 })).removed, []);
  await own.release();
  t.match((await store.collect({ maxBytes: 0 })).removed, [{ digest: blob.digest }]);
  await store.close();
});

t.test('a partial blob takes up what is there of it', linuxOnly, async t => {
  const { server, task, size } = await served(t, FEW_SPANS, [8]);
  const store = await Store.open(task.folder, { maxBytes: 2 ** 30 });
  const blob = sample(size, 8);
  const source = await store.open(blob, await HttpSource.open(`${server.origin}/8`, { size: size }));
  await source.read(20 * SPAN, 1000);
  await source.close();
  const [kept] = await store.list();
  t.ok(kept!.bytes < SPAN, `${kept!.bytes} bytes`);
  const { mode } = statSync(join(task.folder, 'partial', 'sha256', blob.digest.slice(7)));
  t.equal(mode & 0o077, 0, 'nobody else’s business');
  await store.close();
});
