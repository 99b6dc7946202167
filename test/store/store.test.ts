/** What a store does for one process: keeps what was fetched, and never lets its disk cost an error or a wrong byte. */
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { RangeSource, ReadOptions } from '../../lib/source/range-source.js';
import { BLOCK_BYTES } from '../../lib/store/block-journal.js';
import type { StoreOptions } from '../../lib/store/store.js';
import { Store } from '../../lib/store/store.js';
import fc from '../property.js';
import { failure, MemoryDisk } from './memory-disk.js';
import { digestOf, Origin, type Sample, sample, watchStores } from './sample-blob.js';

const BLOB = sample(200 * BLOCK_BYTES + 77);
const HEX = BLOB.digest.slice('sha256:'.length);
const DATA = `/store/partial/sha256/${HEX}`;
const WHOLE = `/store/blobs/sha256/${HEX}`;

async function open(t: Test, disk: MemoryDisk, options: StoreOptions = {}): Promise<Store> {
  const store = await Store.open('/store', { disk, maxBytes: 2 ** 30, ...options });
  t.teardown(() => store.close());
  return store;
}

/** Opens the blob, lets `work` have it, and closes it. */
async function using<T>(
  store: Store,
  work: (source: RangeSource, origin: Origin) => Promise<T>,
  blob: Sample = BLOB,
): Promise<{ result: T; origin: Origin }> {
  const origin = new Origin(blob);
  const source = await store.open(blob, origin);
  try {
    return { result: await work(source, origin), origin };
  } finally {
    await source.close();
  }
}

async function streamed(source: RangeSource): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.stream()) chunks.push(new Uint8Array(chunk));
  return Buffer.concat(chunks);
}

const all = (source: RangeSource) => source.read(0, source.size);
const same = (a: Uint8Array, b: Uint8Array = BLOB.bytes) => Buffer.compare(a, b) === 0;

t.test('what was read once is not fetched again', async t => {
  const heard = watchStores(t);
  const store = await open(t, new MemoryDisk());
  const range = [5000, 10_000] as const;
  const first = await using(store, source => source.read(...range));
  t.ok(same(first.result, BLOB.bytes.subarray(5000, 15_000)));
  t.same(
    first.origin.reads.map(({ offset, length }) => [offset, length]),
    [[4096, 3 * 4096]],
    'whole blocks',
  );
  t.equal(first.origin.closed, 1);
  const second = await using(store, source => source.read(...range));
  t.ok(same(second.result, first.result));
  t.equal(second.origin.reads.length, 0);
  const more = await using(store, source => source.read(0, 30_000));
  t.same(
    more.origin.reads.map(({ offset, length }) => [offset, length]),
    [[0, 8 * 4096]],
    'four kept blocks are not worth a second request',
  );
  t.same(await store.completion(BLOB), {
    digest: BLOB.digest,
    size: BLOB.size,
    present: 8 * 4096,
    proved: false,
    refused: undefined,
  });
  t.same(heard, []);
});

t.test('any reads in any order, by several sources at once', async t => {
  const size = fc.nat({ max: BLOB.size });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(size, size, fc.nat({ max: 2 })), { maxLength: 30 }), async ranges => {
      const disk = new MemoryDisk();
      const store = await Store.open('/store', { disk, maxBytes: 2 ** 30 });
      const origins = [0, 1, 2].map(() => new Origin(BLOB));
      const sources = await Promise.all(origins.map(origin => store.open(BLOB, origin)));
      const results = await Promise.all(
        ranges.map(async ([a, b, which]) => {
          const [start, end] = a < b ? [a, b] : [b, a];
          const bytes = await sources[which]!.read(start, end - start);
          return same(bytes, BLOB.bytes.subarray(start, end));
        }),
      );
      await Promise.all(sources.map(source => source.close()));
      await store.close();
      return results.every(right => right);
    }),
    { numRuns: 50 },
  );
  t.pass();
});

t.test('who comes to wait for what nobody waited for makes it as urgent as he is', async t => {
  const large = sample(2 * 1024 * 1024 + 5);
  const store = await open(t, new MemoryDisk());
  const wishes: { readonly offset: number; readonly options: ReadOptions }[] = [];
  const origin = new (class extends Origin {
    override read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
      wishes.push({ offset, options });
      return super.read(offset, length, options);
    }
  })(large);
  const arrivals: (() => void)[] = [];
  origin.intercept = bytes => new Promise(resolve => arrivals.push(() => resolve(bytes)));
  const source = await store.open(large, origin);
  const background = source.read(0, large.size, { lane: 'background' });
  while (arrivals.length < 2) await turn();
  t.same(
    origin.reads.map(({ length }) => length),
    [1024 * 1024, 1024 * 1024],
    'so little at once that he need not wait for much',
  );
  const demand = source.read(5000, 10);
  const lane = (which: number) => wishes[which]?.options.urgency?.lane;
  while (lane(0) === 'background') await turn();
  t.same([lane(0), lane(1)], ['demand', 'background'], 'what he waits for, and nothing else');
  origin.intercept = undefined;
  for (const arrive of arrivals) arrive();
  t.ok(same(await demand, large.bytes.subarray(5000, 5010)));
  t.ok(same(await background, large.bytes));
  t.equal(origin.fetched, large.size, 'nothing was fetched twice');
  await source.close();
});

t.test('with the last byte it becomes whole, and is proved', async t => {
  const heard = watchStores(t);
  const disk = new MemoryDisk();
  const store = await open(t, disk);
  await using(store, source => source.read(0, BLOB.size - 1));
  t.same(heard, ['completed'], 'the last block was read with the others');
  t.same(
    disk.paths().filter(path => path.includes(HEX)),
    [WHOLE, `/store/use/sha256/${HEX}`],
  );
  t.ok(same(disk.bytesOf(WHOLE)));
  t.match(await store.completion(BLOB), { present: BLOB.size, proved: true });
  const { result, origin } = await using(store, all);
  t.ok(same(result));
  t.equal(origin.reads.length, 0);
  t.ok(same((await store.get(BLOB.digest, 2 ** 30))!), 'and can be had as one');
});

t.test('a source that has it open goes on when it becomes whole', async t => {
  const store = await open(t, new MemoryDisk());
  const idle = new Origin(BLOB);
  const waiting = await store.open(BLOB, idle);
  await waiting.read(0, 1);
  await using(store, all);
  t.ok(same(await all(waiting)));
  t.equal(idle.fetched, 4096);
  await waiting.close();
});

t.test('who opened it before there was anything finds what others have fetched since', async t => {
  const store = await Store.open(t.testdir({}), { maxBytes: 2 ** 30 });
  const [late, idle] = [new Origin(BLOB), new Origin(BLOB)];
  const [first, second] = [await store.open(BLOB, late), await store.open(BLOB, idle)];
  await first.read(0, 20_000);
  await first.keeping?.settled();
  // Not at every moment is looked again.
  await delay(10);
  await second.read(0, 20_000);
  t.equal(idle.fetched, 0, 'a part');
  const third = await store.open({ ...BLOB }, idle);
  await first.read(0, BLOB.size);
  await first.close();
  await third.read(0, BLOB.size);
  await second.read(0, BLOB.size);
  t.equal(idle.fetched, 0, 'and all of it');
  await second.close();
  await third.close();
  await store.close();
});

t.test('all of it from somebody who lies: dropped, and told', async t => {
  const heard = watchStores(t);
  const disk = new MemoryDisk();
  const store = await open(t, disk);
  const origin = new Origin(BLOB);
  origin.intercept = (bytes, offset) => (offset === 0 ? bytes.fill(0, 0, 10) : bytes);
  const source = await store.open(BLOB, origin);
  const other = await store.open(BLOB, new Origin(BLOB));
  await source.read(0, BLOB.size);
  for (let turn = 0; heard.length === 0 && turn < 1000; turn++) await new Promise(setImmediate);
  t.same(heard, ['refused']);
  const refused = { code: 'ERR_SOCI_DIGEST_MISMATCH', data: { digest: BLOB.digest } };
  await t.rejects(source.read(0, 1), refused);
  await t.rejects(other.read(0, 1), refused, 'whoever has read of it');
  await t.rejects(streamed(other), refused);
  t.notOk(disk.paths().includes(DATA));
  await Promise.all([source.close(), other.close()]);
  const { result } = await using(store, all);
  t.ok(same(result), 'who opens it anew may have better luck');
});

t.test('a damaged block is fetched again, and mended', async t => {
  const heard = watchStores(t);
  const disk = new MemoryDisk();
  const store = await open(t, disk);
  await using(store, source => source.read(0, 50 * BLOCK_BYTES));
  disk.bytesOf(DATA)[12_345]! ^= 1;
  const { result, origin } = await using(store, source => source.read(0, 50 * BLOCK_BYTES));
  t.ok(same(result, BLOB.bytes.subarray(0, 50 * BLOCK_BYTES)));
  t.same(heard, ['damage 4096']);
  t.equal(origin.fetched, BLOCK_BYTES);
  t.equal((await using(store, source => source.read(0, 50 * BLOCK_BYTES))).origin.fetched, 0);
});

t.test(
  'any byte of any file of the store changed or cut off: never an error, never a wrong byte',
  async t => {
    const heard = watchStores(t);
    for (const part of ['partial', 'whole'] as const) {
      await fc.assert(
        fc.asyncProperty(
          fc.nat(),
          fc.nat(),
          fc.boolean(),
          fc.boolean(),
          async (which, where, cut, stream) => {
            const disk = new MemoryDisk();
            const first = await Store.open('/store', { disk, maxBytes: 2 ** 30 });
            await using(first, source => source.read(0, part === 'whole' ? BLOB.size : 100_000));
            await first.put(SMALL.digest, SMALL.bytes);
            await first.remember(['tag', 'a', 'b'], 'answer');
            await first.close();
            const paths = disk.paths().filter(path => disk.bytesOf(path).length > 0);
            const path = paths[which % paths.length]!;
            const bytes = disk.bytesOf(path);
            if (cut) await truncate(disk, path, where % bytes.length);
            else bytes[where % bytes.length]! ^= 1 << (which % 8);
            const second = await Store.open('/store', { disk, maxBytes: 2 ** 30 });
            const { result } = await using(second, source => readChecked(source, stream));
            const small = await second.get(SMALL.digest, 1000);
            const answer = await second.recall(['tag', 'a', 'b']);
            await second.close();
            return (
              same(result) &&
              (small === undefined || same(small, SMALL.bytes)) &&
              (answer === undefined || answer.value === 'answer')
            );
          },
        ),
        { numRuns: 60 },
      );
    }
    t.notOk(heard.includes('refused'));
  },
);

const SMALL = sample(100, 3);

/** As who reads spans does: what has a wrong digest is read once more, afresh. */
async function readChecked(source: RangeSource, stream: boolean): Promise<Uint8Array> {
  if (stream) return await streamed(source);
  const bytes = await all(source);
  return same(bytes) ? bytes : await source.read(0, source.size, { fresh: true });
}

async function truncate(disk: MemoryDisk, path: string, length: number): Promise<void> {
  const bytes = disk.bytesOf(path).slice(0, length);
  await disk.remove(path);
  const file = await disk.open(path, 'create');
  await file.write(bytes, 0);
}

t.test('a whole blob that proves to be wrong is dropped, one that only was suspected is not', async t => {
  const heard = watchStores(t);
  const disk = new MemoryDisk();
  const store = await open(t, disk);
  await using(store, all);
  heard.length = 0;
  const suspected = await using(store, source => source.read(100, 10, { fresh: true }));
  t.same(suspected.origin.reads, [{ offset: 0, length: 4096, fresh: true }]);
  t.ok(disk.paths().includes(WHOLE));
  t.same(heard, []);
  disk.bytesOf(WHOLE)[105]! ^= 1;
  const wrong = await using(store, async source => [
    await source.read(100, 10),
    await source.read(100, 10, { fresh: true }),
  ]);
  t.notOk(same(wrong.result[0]!, BLOB.bytes.subarray(100, 110)), 'nobody has checked it');
  t.ok(same(wrong.result[1]!, BLOB.bytes.subarray(100, 110)));
  t.same(heard, ['damage 4096', `damage ${BLOB.size}`], 'a block, so all of it');
  t.notOk(disk.paths().includes(WHOLE));
  const { origin } = await using(store, source => source.read(100, 10));
  t.equal(origin.fetched, 0, 'what came afresh is kept');
});

t.test('streams', async t => {
  const disk = new MemoryDisk();
  const store = await open(t, disk);
  const cold = await using(store, streamed);
  t.ok(same(cold.result));
  t.equal(cold.origin.streams, 1, 'one request for all of it');
  t.equal(cold.origin.reads.length, 0);
  t.ok(disk.paths().includes(WHOLE), 'and all was kept');
  const warm = await using(store, streamed);
  t.ok(same(warm.result));
  t.equal(warm.origin.streams, 0);
  disk.bytesOf(WHOLE)[7]! ^= 1;
  const damaged = await using(store, streamed);
  t.ok(same(damaged.result), 'proved before the first byte');
  t.equal(damaged.origin.streams, 1);
  await store.remove(BLOB.digest);
  await using(store, source => source.read(40_000, 400_000));
  const partly = await using(store, streamed);
  t.ok(same(partly.result));
  t.equal(partly.origin.streams, 0);
  t.ok(partly.origin.fetched < BLOB.size);
});

t.test('a stream that is left early keeps what it has passed', async t => {
  const blob = sample(3 * 2 ** 20);
  const store = await open(t, new MemoryDisk());
  await using(
    store,
    async source => {
      let seen = 0;
      for await (const chunk of source.stream()) {
        seen += chunk.length;
        if (seen > 2 ** 21) break;
      }
    },
    blob,
  );
  t.match(await store.completion(blob), { present: 2 ** 21 });
});

t.test('large reads are fetched in pieces, each once', async t => {
  const blob = sample(20 * 2 ** 20 + 5);
  const store = await open(t, new MemoryDisk());
  const { result, origin } = await using(store, source => source.read(3, blob.size - 3), blob);
  t.ok(same(result, blob.bytes.subarray(3)));
  t.same(
    origin.reads.map(({ offset, length }) => [offset, length]),
    [
      [0, 8 * 2 ** 20],
      [8 * 2 ** 20, 8 * 2 ** 20],
      [16 * 2 ** 20, blob.size - 16 * 2 ** 20],
    ],
  );
});

t.test('what arrives short is an error, and not kept', async t => {
  const store = await open(t, new MemoryDisk());
  const origin = new Origin(BLOB);
  origin.intercept = bytes => bytes.subarray(1);
  const source = await store.open(BLOB, origin);
  await t.rejects(source.read(0, 10), { code: 'ERR_SOCI_SOURCE_SHORT' });
  origin.intercept = undefined;
  t.ok(same(await source.read(0, 10), BLOB.bytes.subarray(0, 10)));
  await source.close();
});

t.test('a full disk: what fits is kept, the rest is read through', async t => {
  const heard = watchStores(t);
  const disk = new MemoryDisk();
  disk.capacityBytes = 300_000;
  const store = await open(t, disk);
  const { result } = await using(store, async source => {
    const parts: Uint8Array[] = [];
    for (let at = 0; at < BLOB.size; at += 50_000)
      parts.push(await source.read(at, Math.min(50_000, BLOB.size - at)));
    return Buffer.concat(parts);
  });
  t.ok(same(result));
  t.same(heard, ['failure write ENOSPC'], 'asked once, and then left alone for a while');
  t.ok(store.readOnly);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  const later = await open(t, disk);
  const again = await using(later, all);
  t.ok(same(again.result));
  t.ok(again.origin.fetched < BLOB.size - 200_000, 'what was kept counts');
});

t.test('a disk that fails in whatever it is asked', async t => {
  const operations = ['open', 'read', 'write', 'sync', 'rename', 'remove', 'stat'] as const;
  for (const failing of operations) {
    for (const after of [0, 1, 5, 20]) {
      const disk = new MemoryDisk();
      const store = await Store.open('/store', { disk, maxBytes: 2 ** 30, sync: true });
      let left = after;
      disk.fault = operation => {
        if (operation === failing && left-- <= 0) throw failure('EIO', 'disk');
      };
      for (let round = 0; round < 3; round++) {
        const { result } = await using(store, async source => [
          await source.read(1000, 90_000),
          await all(source),
          await source.read(70_000, 3, { fresh: true }),
          await streamed(source),
        ]);
        const expected = [BLOB.bytes.subarray(1000, 91_000), BLOB.bytes, BLOB.bytes.subarray(70_000, 70_003)];
        const right = result.every((bytes, at) => same(bytes, expected[at] ?? BLOB.bytes));
        if (!right) t.fail(`${failing} after ${after}`);
      }
      await store.put(SMALL.digest, SMALL.bytes);
      await store.get(SMALL.digest, 1000);
      await store.close();
    }
  }
  t.pass();
});

t.test('a store that can only be read', async t => {
  const disk = new MemoryDisk();
  const before = await open(t, disk);
  await using(before, source => source.read(0, 100_000));
  await before.put(SMALL.digest, SMALL.bytes);
  disk.fault = operation => {
    if (['write', 'rename', 'remove', 'folder'].includes(operation)) throw failure('EROFS', '/store');
  };
  const heard = watchStores(t);
  const store = await open(t, disk);
  t.ok(store.readOnly);
  const { result, origin } = await using(store, all);
  t.ok(same(result));
  t.ok(origin.fetched <= BLOB.size - 100_000);
  t.ok(same((await store.get(SMALL.digest, 1000))!, SMALL.bytes));
  await store.put(BLOB.digest, BLOB.bytes);
  await store.remember(['a'], 1);
  t.same(heard, []);
  disk.fault = () => {
    throw failure('EACCES', '/other');
  };
  await t.rejects(Store.open('/other', { disk, maxBytes: 1 }), {
    code: 'ERR_SOCI_STORE',
    message: /\/other cannot be opened: EACCES/,
  });
});

t.test('what is larger than the bound, empty or of no digest is read through', async t => {
  const store = await open(t, new MemoryDisk(), { maxBytes: 1000 });
  const origin = new Origin(BLOB);
  t.equal(await store.open(BLOB, origin), origin);
  t.equal(await store.open({ digest: BLOB.digest, size: BLOB.size + 1 }, origin), origin, 'of another size');
  const none = new Origin({ bytes: new Uint8Array(0) });
  t.equal(await store.open({ digest: BLOB.digest, size: 0 }, none), none);
  const large = await open(t, new MemoryDisk());
  t.equal(await large.open({ digest: 'md5:abc', size: BLOB.size }, origin), origin);
});

t.test('a blob under another size does not disturb who reads it', async t => {
  const disk = new MemoryDisk();
  const store = await open(t, disk);
  const short = { digest: BLOB.digest, size: 5000 };
  const lie = new Origin({ bytes: BLOB.bytes.subarray(0, 5000) });
  const lying = await store.open(short, lie);
  await lying.read(0, 100);
  await lying.close();
  const { result } = await using(store, all);
  t.ok(same(result));
  t.match(await store.completion(BLOB), { proved: true });
  const again = await store.open(short, new Origin({ bytes: BLOB.bytes.subarray(0, 5000) }));
  t.ok(same(await again.read(0, 100), BLOB.bytes.subarray(0, 100)));
  await again.close();
  t.match(await store.completion(short), { present: 0, proved: false });
  t.match(await store.completion(BLOB), { proved: true }, 'the whole one stays');
});

t.test('looking for a blob leaves nothing behind', async t => {
  const disk = new MemoryDisk();
  const store = await open(t, disk);
  await store.completion(BLOB);
  await using(store, async () => {});
  t.same(await store.list(), []);
  t.notOk(disk.paths().includes(DATA));
  await store.collect();
  t.same(disk.paths(), ['/store/oci-layout']);
});

t.test('a read while the blob becomes whole finds it there', async t => {
  const store = await open(t, new MemoryDisk());
  const [filling, reading] = [new Origin(BLOB), new Origin(BLOB)];
  const source = await store.open(BLOB, filling);
  await source.read(0, BLOB.size - 100);
  const other = await store.open(BLOB, reading);
  const last = source.read(BLOB.size - 1, 1);
  for (let turn = 0; turn < 200; turn++) {
    const bytes = await other.read(0, 300_000);
    if (!same(bytes, BLOB.bytes.subarray(0, 300_000))) t.fail('wrong bytes');
    const own = await source.read(300_000, 300_000);
    if (!same(own, BLOB.bytes.subarray(300_000, 600_000))) t.fail('wrong bytes');
  }
  await last;
  await Promise.all([source.close(), other.close()]);
  t.equal(filling.fetched, BLOB.size);
  t.equal(reading.fetched, 0);
  t.match(await store.completion(BLOB), { proved: true });
});

t.test('the least recently used go, in use or not, but not what is named', async t => {
  const heard = watchStores(t);
  const disk = new MemoryDisk();
  const store = await open(t, disk, { maxBytes: 400_000 });
  const blobs = [11, 12, 13, 14, 15].map(seed => sample(100_000, seed));
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: SMALL.digest, size: 100 },
      layers: [
        {
          mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
          digest: blobs[0]!.digest,
          size: 100_000,
        },
      ],
    }),
  );
  const digest = digestOf(manifest);
  await store.put(digest, manifest);
  const named = {
    schemaVersion: 2,
    manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: manifest.length }],
  };
  const file = await disk.open('/store/index.json', 'create');
  await file.write(Buffer.from(JSON.stringify(named)), 0);
  t.same(await store.named(), new Set([digest, SMALL.digest, blobs[0]!.digest]));
  let clock = 1000;
  const now = Date.now;
  Date.now = () => clock++;
  t.teardown(() => {
    Date.now = now;
  });
  const origin = new Origin(blobs[1]!);
  const reader = await store.open(blobs[1]!, origin);
  await reader.read(0, 50_000);
  for (const blob of blobs) await using(store, all, blob);
  await store.collect();
  const left = (await store.list()).map(blob => blob.digest);
  t.ok(left.includes(blobs[0]!.digest), 'named');
  t.ok(left.includes(digest));
  t.notOk(left.includes(blobs[1]!.digest), 'the oldest');
  t.ok(left.includes(blobs[4]!.digest), 'the newest');
  t.ok(disk.usedBytes < 400_000);
  t.ok(heard.includes('evicted'));
  t.ok(same(await reader.read(0, 100_000), blobs[1]!.bytes), 'who has it open goes on');
  t.ok(origin.fetched < 60_000, 'with what was there');
  await reader.close();
});

t.test('who keeps something of a blob that was evicted makes it anew', async t => {
  const store = await open(t, new MemoryDisk());
  const origin = new Origin(BLOB);
  const source = await store.open(BLOB, origin);
  await source.read(0, 50_000);
  t.ok(await store.remove(BLOB.digest));
  t.same(await store.list(), []);
  await source.read(400_000, 50_000);
  await source.read(0, 50_000);
  await source.close();
  t.match(await store.list(), [{ digest: BLOB.digest, state: 'partial' }]);
  t.equal((await using(store, each => each.read(400_000, 50_000))).origin.fetched, 0);
});

t.test('closing ends reads, after what was fetched is kept', async t => {
  const store = await open(t, new MemoryDisk());
  const origin = new Origin(BLOB);
  const source = await store.open(BLOB, origin);
  origin.intercept = () => new Promise(() => {});
  const waiting = source.read(0, 10);
  const rejected = t.rejects(waiting, { code: 'ERR_SOCI_CLOSED' });
  await new Promise(setImmediate);
  const controller = new AbortController();
  const aborted = t.rejects(source.read(0, 10, { signal: controller.signal }), /enough/);
  controller.abort(new Error('enough'));
  await aborted;
  await source.close();
  await rejected;
  await source.close();
  t.equal(origin.closed, 1);
  await store.close();
  await t.rejects(store.open(BLOB, origin), { code: 'ERR_SOCI_CLOSED' });
});

t.test('answers, with their age', async t => {
  const store = await open(t, new MemoryDisk());
  t.equal(await store.recall(['tag', 'a', 'b']), undefined);
  await store.remember(['tag', 'a', 'b'], { digest: 'x' });
  t.match(await store.recall(['tag', 'a', 'b']), { value: { digest: 'x' } });
  t.equal(await store.recall(['tag', 'a', 'c']), undefined);
  const now = Date.now;
  Date.now = () => now() - 100_000;
  t.teardown(() => {
    Date.now = now;
  });
  t.match(await store.recall(['tag', 'a', 'b']), { age: Number.POSITIVE_INFINITY }, 'the clock was set back');
});

t.test('what can be asked, with a signal and without unknown options', async t => {
  const store = await open(t, new MemoryDisk());
  await using(store, source => source.read(0, 100_000));
  const calls: Record<string, (options: never) => Promise<unknown>> = {
    open: options => store.open(BLOB, new Origin(BLOB), options),
    completion: options => store.completion(BLOB, options),
    list: options => store.list(options),
    named: options => store.named(options),
    pin: options => store.pin([BLOB.digest], options),
    collect: options => store.collect(options),
    remove: options => store.remove(BLOB.digest, options),
    verify: options => store.verify(BLOB, options),
  };
  const reason = new Error('enough');
  for (const [name, call] of Object.entries(calls)) {
    await t.rejects(call({ unknwon: 1 } as never), { code: 'ERR_SOCI_INVALID_ARGUMENT' }, name);
    await t.rejects(call({ signal: AbortSignal.abort(reason) } as never), reason, name);
  }
  await store.close();
  for (const [name, call] of Object.entries(calls))
    await t.rejects(call({} as never), { code: 'ERR_SOCI_CLOSED' }, name);
});

t.test('verify reads what is there, and forgets what is wrong', async t => {
  const disk = new MemoryDisk();
  const store = await open(t, disk);
  await using(store, source => source.read(0, 100_000));
  t.equal(await store.verify(BLOB), 0);
  disk.bytesOf(DATA)[5]! ^= 1;
  t.equal(await store.verify(BLOB), 4096);
  t.equal(await store.verify(BLOB), 0);
  t.match(await store.completion(BLOB), { present: 24 * 4096 });
  await using(store, all);
  t.equal(await store.verify(BLOB), 0);
  disk.bytesOf(WHOLE)[5]! ^= 1;
  t.match(await store.list(), [{ digest: BLOB.digest, state: 'whole', size: BLOB.size }]);
  t.equal(await store.verify(BLOB), BLOB.size);
  t.same(await store.list(), []);
});

t.test('nobody who waits for his bytes waits for what is fetched in the background', async t => {
  let arrive = (): void => {};
  const arrival = new Promise<void>(resolve => {
    arrive = resolve;
  });
  class Slow extends Origin {
    override async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
      if (options.lane === 'background') await arrival;
      return await super.read(offset, length, options);
    }
  }
  const store = await open(t, new MemoryDisk());
  const source = await store.open(BLOB, new Slow(BLOB));
  const leisurely = source.read(0, 100_000, { lane: 'background' });
  t.ok(same(await source.read(50_000, 1000), BLOB.bytes.subarray(50_000, 51_000)));
  arrive();
  t.ok(same(await leisurely, BLOB.bytes.subarray(0, 100_000)));
  await source.close();
});

t.test('what is there of a range, and that it is kept', async t => {
  const store = await open(t, new MemoryDisk());
  await using(store, async source => {
    await source.read(10_000, 5000);
    await source.keeping?.settled();
    t.equal(await source.keeping?.presentBytes(0, 8192), 0);
    t.equal(await source.keeping?.presentBytes(8190, 10), 8);
    t.equal(await source.keeping?.presentBytes(0, BLOB.size), 2 * 4096);
    const beyond = async () => source.keeping?.presentBytes(0, BLOB.size + 1);
    await t.rejects(beyond(), { code: 'ERR_SOCI_SOURCE_RANGE' });
    await all(source);
    await source.keeping?.settled();
    t.equal(await source.keeping?.presentBytes(7, BLOB.size - 7), BLOB.size - 7, 'of a whole one all');
  });
});

t.test('that a blob was refused is known in later processes, until it is right', async t => {
  const disk = new MemoryDisk();
  const store = await open(t, disk);
  const lie = new Uint8Array(BLOB.bytes);
  lie[100]! ^= 1;
  const source = await store.open(BLOB, new Origin({ bytes: lie }));
  await all(source);
  await t.rejects(source.keeping?.settled() ?? Promise.resolve(), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
  await source.close();
  const later = await open(t, disk);
  t.match(await later.completion(BLOB), { present: 0, proved: false, refused: digestOf(lie) });
  await using(later, all);
  t.match(await later.completion(BLOB), { proved: true, refused: undefined });
  await later.remove(BLOB.digest);
  t.match(await later.completion(BLOB), { present: 0, proved: false, refused: undefined });
});

t.test('parts of what is whole by now go', async t => {
  const disk = new MemoryDisk();
  const store = await open(t, disk);
  await using(store, source => source.read(0, 100_000));
  await store.put(BLOB.digest, BLOB.bytes);
  t.ok(disk.paths().includes(DATA));
  await store.collect();
  t.notOk(disk.paths().includes(DATA));
  t.ok(disk.paths().includes(WHOLE));
});

t.test('the bound by default: 10 GiB, or a tenth of the file system', async t => {
  const disk = new MemoryDisk();
  disk.capacityBytes = 1_000_000;
  t.equal((await Store.open('/store', { disk })).maxBytes, 100_000);
  disk.capacityBytes = 2 ** 50;
  t.equal((await Store.open('/store', { disk })).maxBytes, 10 * 2 ** 30);
  await t.rejects(Store.open('/store', { disk, maxBytes: -1 }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});
