/**
 * What every RangeSource promises (lib/source/range-source.ts), held against
 * all of them over the same bytes.
 */
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { SliceSource } from '../../lib/registry/slice-source.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import { FileSource } from '../../lib/source/file-source.js';
import { completeSource } from '../../lib/source/given-source.js';
import { HttpSource } from '../../lib/source/http/http-source.js';
import type { RangeSource } from '../../lib/source/range-source.js';
import { Store } from '../../lib/store/store.js';
import { FaultyServer } from '../helpers/http-server.js';
import fc from '../property.js';

const BYTES = new Uint8Array(randomBytes(3 * 1024 * 1024 + 17));

interface Subject {
  readonly kind: string;
  /** Whether its bytes are in memory. */
  readonly immediate?: boolean;
  open(bytes: Uint8Array): Promise<RangeSource>;
}

t.test('every kind of source', async t => {
  const server = await FaultyServer.listen();
  t.teardown(() => server.close());
  const folder = t.testdir();
  let files = 0;
  const subjects: Subject[] = [
    { kind: 'buffer', immediate: true, open: async bytes => new BufferSource(bytes) },
    {
      kind: 'one of a caller that can only read',
      immediate: true,
      open: async bytes => {
        const inner = new BufferSource(bytes);
        return completeSource({
          size: inner.size,
          name: inner.name,
          read: (offset, length, options) => inner.read(offset, length, options),
          stream: options => inner.stream(options),
          close: () => inner.close(),
        });
      },
    },
    {
      kind: 'slice',
      immediate: true,
      open: async bytes => {
        const around = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('behind')]);
        return new SliceSource(new BufferSource(around), 'slice', 6, bytes.length);
      },
    },
    {
      kind: 'file',
      open: async bytes => {
        const path = join(folder, `object-${files++}`);
        writeFileSync(path, bytes);
        return FileSource.open(path);
      },
    },
    {
      kind: 'http',
      open: async bytes => HttpSource.open(server.put(`/object-${files++}`, { body: bytes, etag: '"1"' })),
    },
    {
      kind: 'http, size known',
      open: async bytes => {
        return HttpSource.open(server.put(`/object-${files++}`, bytes), { size: bytes.length });
      },
    },
  ];
  const stored = async (store: Store, bytes: Uint8Array): Promise<RangeSource> => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    return store.open({ digest, size: bytes.length }, new BufferSource(bytes));
  };
  const openStore = (name: string) => Store.open(join(folder, name), { maxBytes: 2 ** 30 });
  const shared = await openStore('shared');
  const filling = await stored(shared, BYTES);
  await filling.read(0, BYTES.length);
  await filling.close();
  subjects.push(
    {
      kind: 'stored, nothing yet',
      open: async bytes => stored(await openStore(`store-${files++}`), bytes),
    },
    { kind: 'stored, whole', open: bytes => stored(shared, bytes) },
  );
  for (const subject of subjects) t.test(subject.kind, t => contract(t, subject));
});

async function contract(t: Test, { open, immediate = false }: Subject): Promise<void> {
  t.test('reads exactly what was asked, anywhere', async t => {
    const source = await open(BYTES);
    t.teardown(() => source.close());
    t.equal(source.size, BYTES.length);
    t.type(source.name, 'string');
    const at = fc.nat({ max: BYTES.length });
    await fc.assert(
      fc.asyncProperty(at, at, async (a, b) => {
        const [start, end] = a < b ? [a, b] : [b, a];
        const bytes = await source.read(start, end - start);
        const target = new Uint8Array(end - start + 2).fill(7);
        await source.readInto(target.subarray(1, -1), start);
        const filled =
          target[0] === 7 && target.at(-1) === 7 && Buffer.compare(target.subarray(1, -1), bytes);
        return filled === 0 && Buffer.compare(bytes, BYTES.subarray(start, end)) === 0;
      }),
      {
        numRuns: 40,
        examples: [
          [0, 0],
          [0, BYTES.length],
          [BYTES.length, BYTES.length],
          [0, 1],
        ],
      },
    );
  });

  t.test('what it says is there while it reads is there, and stays', async t => {
    const source = await open(BYTES);
    t.teardown(() => source.close());
    const [start, end] = [5000, 2_500_000];
    let told = 0;
    const onBytes = (arrived: Uint8Array): void => {
      if (arrived.length < told || arrived.length > end - start) throw new Error(`${arrived.length} bytes`);
      const expected = BYTES.subarray(start + told, start + arrived.length);
      if (Buffer.compare(arrived.subarray(told), expected) !== 0) throw new Error('other bytes');
      told = arrived.length;
      // Whoever is told may use them at once, but they are not his.
      firsts.push(arrived);
    };
    const firsts: Uint8Array[] = [];
    const bytes = await source.read(start, end - start, { onBytes });
    t.equal(Buffer.compare(bytes, BYTES.subarray(start, end)), 0);
    t.ok(firsts.every(first => Buffer.compare(first, bytes.subarray(0, first.length)) === 0));
    told = 0;
    const target = new Uint8Array(end - start);
    await source.readInto(target, start, { onBytes });
    t.equal(Buffer.compare(target, bytes), 0);
  });

  t.test('what it returns is a plain Uint8Array, whose slice copies', async t => {
    const source = await open(BYTES);
    t.teardown(() => source.close());
    const bytes = await source.read(5, 10);
    t.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype);
    t.equal(bytes.length, 10);
    for await (const chunk of source.stream()) {
      t.equal(Object.getPrototypeOf(chunk), Uint8Array.prototype);
      break;
    }
  });

  t.test('many reads at once, with one signal', async t => {
    const source = await open(BYTES);
    t.teardown(() => source.close());
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    t.teardown(() => process.off('warning', onWarning));
    const { signal } = new AbortController();
    const starts = Array.from({ length: 64 }, (_, i) => i * 40_000);
    const parts = await Promise.all(starts.map(start => source.read(start, 50_000, { signal })));
    for (const [i, part] of parts.entries()) {
      const start = starts[i] ?? 0;
      t.equal(Buffer.compare(part, BYTES.subarray(start, start + 50_000)), 0, `read at ${start}`);
    }
    await new Promise(resolve => setImmediate(resolve));
    t.same(warnings, [], 'no warning about listeners');
  });

  t.test('refuses ranges outside the object, and numbers that are none', async t => {
    const source = await open(BYTES);
    t.teardown(() => source.close());
    const size = BYTES.length;
    const wrong: [number, number][] = [
      [0, size + 1],
      [size, 1],
      [size + 1, 0],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, 1.5],
      [Number.NaN, 1],
      [0, Number.POSITIVE_INFINITY],
      [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
      [2 ** 53, 1],
    ];
    for (const [offset, length] of wrong) {
      await t.rejects(
        source.read(offset, length),
        { code: 'ERR_SOCI_SOURCE_RANGE', data: { offset, length, size } },
        `${offset}+${length}`,
      );
    }
  });

  t.test('streams the whole object, more than once', async t => {
    const source = await open(BYTES);
    t.teardown(() => source.close());
    for (let round = 0; round < 2; round++) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of source.stream()) chunks.push(chunk);
      t.equal(Buffer.compare(Buffer.concat(chunks), BYTES), 0);
    }
  });

  t.test('an empty object', async t => {
    const source = await open(new Uint8Array(0));
    t.teardown(() => source.close());
    t.equal(source.size, 0);
    t.equal((await source.read(0, 0)).length, 0);
    await t.rejects(source.read(0, 1), { code: 'ERR_SOCI_SOURCE_RANGE' });
    for await (const _ of source.stream()) t.fail('no chunk expected');
  });

  t.test('an aborted call rejects with the reason of its signal', async t => {
    const source = await open(BYTES);
    t.teardown(() => source.close());
    const reason = { why: 'an abort reason may be anything' };
    const before = AbortSignal.abort(reason);
    t.equal(await rejection(source.read(0, 1, { signal: before })), reason);
    t.equal(await rejection(source.stream({ signal: before })[Symbol.asyncIterator]().next()), reason);

    const controller = new AbortController();
    const chunks = source.stream({ signal: controller.signal })[Symbol.asyncIterator]();
    t.equal((await chunks.next()).done, false);
    controller.abort(reason);
    t.equal(await rejection(chunks.next()), reason);
    t.same(await chunks.next(), { done: true, value: undefined }, 'and is over then');
  });

  t.test('can be declared with await using', async t => {
    const source = await open(BYTES);
    await (source as RangeSource & AsyncDisposable)[Symbol.asyncDispose]();
    await t.rejects(source.read(0, 1), { code: 'ERR_SOCI_CLOSED' });
  });

  t.test('after close() everything rejects with ERR_SOCI_CLOSED, and closing twice is no error', async t => {
    const source = await open(BYTES);
    const chunks = source.stream()[Symbol.asyncIterator]();
    await chunks.next();
    const underWay = Promise.allSettled([source.read(0, BYTES.length)]);
    await source.close();
    const [read] = await underWay;
    // Memory answers at once; what has to wait for bytes is cut off.
    if (immediate) t.equal(read.status, 'fulfilled');
    else t.match(read, { status: 'rejected', reason: { code: 'ERR_SOCI_CLOSED' } });
    await source.close();
    await t.rejects(source.read(0, 1), { code: 'ERR_SOCI_CLOSED' });
    await t.rejects(chunks.next(), { code: 'ERR_SOCI_CLOSED' });
  });
}

/** What a promise rejects with, which after an abort need not be an Error. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (reason) {
    return reason;
  }
  throw new Error('expected a rejection');
}
