/** The tar of a layer in chunks that are lent: the same bytes, in memory that is used again and that nobody can take away. */
import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type Layer, type OpenLayerOptions, openLayer } from '../../lib/image/layer.js';
import { FileSource } from '../../lib/source/file-source.js';
import { configure, ReadContext, settings } from '../../lib/span/read-context.js';
import { CountingSource, forgetSpans, gate } from '../span/counting-source.js';
import {
  forgeDigest,
  forgeWindow,
  members,
  noise,
  type Sample,
  sample,
  tarOf,
  textLike,
} from '../span/sample-layers.js';

const DEFAULTS = settings();
t.afterEach(() => {
  configure({ ...DEFAULTS });
});

const BODY = Buffer.concat([textLike(1_500_000), noise(1_500_000)]);
const standard = await sample(await tarOf([{ name: 'file', body: BODY }]));
const large = await sample(await tarOf([{ name: 'text', body: textLike(40 << 20) }]), {
  spanSize: 4 << 20,
});

/** A source that fills memory that it is given, as a file does. */
class FillingSource extends CountingSource {
  readonly filled = new Set<ArrayBufferLike>();

  async readInto(target: Uint8Array, offset: number, options: { signal?: AbortSignal } = {}): Promise<void> {
    this.filled.add(target.buffer);
    target.set(await this.read(offset, target.length, options));
  }
}

async function open<S extends CountingSource>(
  one: Sample,
  source: S,
  options: OpenLayerOptions = {},
): Promise<{ layer: Layer; source: S }> {
  forgetSpans();
  return { source, layer: await openLayer(source, one.ztoc, options) };
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const chunk of chunks) {
    copies.push(Buffer.from(chunk));
    chunk.fill(0xee); // a chunk may be written to while it is lent
  }
  return Buffer.concat(copies);
}

/** How many memories are allocated from now on. */
function countMemories(test: Test): () => number {
  const { WebAssembly: real } = globalThis as unknown as {
    WebAssembly: { Memory: new (size: object) => object };
  };
  const { Memory } = real;
  let count = 0;
  real.Memory = class extends Memory {
    constructor(size: object) {
      super(size);
      count++;
    }
  };
  test.teardown(() => {
    real.Memory = Memory;
  });
  return () => count;
}

t.test('gives the tar, or a range of it', async t => {
  const plain = await sample(standard.tar, { compression: 'uncompressed' });
  const cut = await sample(standard.tar, { layer: members(standard.tar, 300_000) });
  for (const one of [standard, plain, cut]) {
    for (const maxSpanBytes of [DEFAULTS.maxSpanBytes, 10_000]) {
      for (const Source of [CountingSource, FillingSource]) {
        configure({ maxSpanBytes });
        const { layer } = await open(one, new Source(one.layer));
        t.ok(one.tar.equals(await collect(layer.tarChunks())));
        for (const [start, end] of [
          [0, 1],
          [65_000, 1_000_000],
          [one.tar.length - 1, one.tar.length + 1],
          [one.tar.length, undefined],
          [7, 7],
        ] as const) {
          const bytes = await collect(layer.tarChunks({ start, endExclusive: end }));
          t.ok(one.tar.subarray(start, end).equals(bytes), `${start} to ${end}`);
        }
        await layer.close();
      }
    }
  }
});

t.test('the memory of spans and of requests is used again', async t => {
  await using context = new ReadContext({ decodeConcurrency: 2 });
  const { layer, source } = await open(large, new FillingSource(large.layer), { context });
  const memories = countMemories(t);
  let chunks = 0;
  for await (const _ of layer.tarChunks()) chunks++;
  t.equal(chunks, large.ztoc.spanCount);
  t.ok(chunks >= 9, `${chunks} chunks`);
  const taken = memories();
  t.ok(taken >= 1 && taken <= 7, `in ${taken} memories`);
  t.ok(source.filled.size < source.reads.length, `${source.reads.length} reads into ${source.filled.size}`);
  t.ok(large.tar.equals(await collect(layer.tarChunks())), 'the next pass');
  t.ok(memories() <= taken + 1, `${memories() - taken} more: who writes to what he had, spoils nothing`);
  await layer.close();
});

t.test('a layer in a file', async t => {
  const path = join(t.testdir(), 'layer');
  const opened = async (options: OpenLayerOptions = {}): Promise<{ file: FileSource; layer: Layer }> => {
    forgetSpans();
    writeFileSync(path, large.layer);
    const file = await FileSource.open(path);
    return { file, layer: await openLayer(file, large.ztoc, options) };
  };

  t.test('one span at a time, in a few buffers, and never its stored bytes', async t => {
    await using context = new ReadContext({ decodeConcurrency: 2 });
    const { file, layer } = await opened({ context });
    let reads = 0;
    for (const name of ['read', 'readInto'] as const) {
      file[name] = async () => {
        reads++;
        throw new Error('read by script');
      };
    }
    const memories = countMemories(t);
    let at = 0;
    for await (const chunk of layer.tarChunks()) {
      t.ok(large.tar.subarray(at, at + chunk.length).equals(chunk), `chunk at ${at}`);
      at += chunk.length;
    }
    t.equal(at, large.tar.length);
    t.ok(memories() <= 10, `${memories()}: one is used, four are filled, four come next`);
    t.equal(reads, 0);
    t.equal(layer.stats.requests, large.ztoc.spanCount);
    await layer.close();
    await file.close();
  });

  t.test('that is closed, written to or cut during a pass ends it', async t => {
    const ends: [string, (file: FileSource) => unknown, string][] = [
      ['closed', file => void file.close(), 'ERR_SOCI_CLOSED'],
      ['written to', () => appendFileSync(path, 'more'), 'ERR_SOCI_SOURCE_CHANGED'],
      ['cut', () => truncateSync(path, large.layer.length >> 1), 'ERR_SOCI_SOURCE_CHANGED'],
    ];
    for (const [how, end, code] of ends) {
      const { file, layer } = await opened();
      let at = 0;
      const loop = (async () => {
        for await (const chunk of layer.tarChunks()) {
          t.ok(large.tar.subarray(at, at + chunk.length).equals(chunk), `${how}, chunk at ${at}`);
          at += chunk.length;
          if (at === chunk.length) end(file);
        }
      })();
      await t.rejects(loop, { code }, how);
      t.ok(at < large.tar.length, how);
      await layer.close();
      await file.close();
    }
  });
});

t.test('short spans share their memory', async t => {
  await using context = new ReadContext();
  const { layer } = await open(standard, new CountingSource(standard.layer), { context });
  const memories = countMemories(t);
  let chunks = 0;
  for await (const _ of layer.tarChunks()) chunks++;
  t.equal(chunks, standard.ztoc.spanCount);
  t.ok(chunks > 30, `${chunks} chunks`);
  t.ok(memories() >= 1 && memories() <= 3, `in ${memories()} memories`);
  await layer.close();
});

t.test('a chunk that is kept is empty when its memory is used again', async t => {
  const { layer } = await open(large, new CountingSource(large.layer));
  const kept: Uint8Array[] = [];
  for await (const chunk of layer.tarChunks()) {
    t.ok(chunk.length > 0);
    t.ok((kept.at(-3)?.length ?? 0) === 0);
    kept.push(chunk);
  }
  t.equal(
    kept.reduce((sum, { length }) => sum + length, 0),
    0,
  );
  await layer.close();
});

t.test('a chunk that is kept and transferred takes no memory away from a job', async t => {
  const { layer } = await open(large, new CountingSource(large.layer));
  let at = 0;
  for await (const chunk of layer.tarChunks()) {
    t.ok(large.tar.subarray(at, at + chunk.length).equals(chunk), `chunk at ${at}`);
    at += chunk.length;
    const { length } = chunk;
    try {
      structuredClone(chunk.buffer, { transfer: [chunk.buffer as ArrayBuffer] });
    } catch (error) {
      t.match(error, { name: /DataCloneError|TypeError/ });
    }
    t.equal(chunk.length, length, 'not detached');
  }
  t.equal(at, large.tar.length);
  await layer.close();
});

t.test('where there is no memory to be pinned, any serves', async t => {
  const { WebAssembly: real } = globalThis as unknown as { WebAssembly: { Memory: unknown } };
  const { Memory } = real;
  real.Memory = class {
    constructor() {
      throw new RangeError('could not allocate memory');
    }
  };
  t.teardown(() => {
    real.Memory = Memory;
  });
  const { layer } = await open(large, new FillingSource(large.layer));
  t.ok(large.tar.equals(await collect(layer.tarChunks())));
  await layer.close();
});

t.test('who reads a span meanwhile gets it as it is', async t => {
  for (const verifyWindows of ['neighbours', 'chain'] as const) {
    const { layer, source } = await open(standard, new FillingSource(standard.layer), { verifyWindows });
    const arrival = gate();
    source.intercept = async (_, bytes) => {
      await arrival.opened;
      return bytes;
    };
    const chunks = collect(layer.tarChunks());
    while (source.reads.length === 0) await delay(1);
    const file = layer.readFile('file');
    arrival.open();
    t.ok(BODY.equals(await file), verifyWindows);
    t.ok(standard.tar.equals(await chunks));
    t.ok(BODY.equals(await layer.readFile('file')));
    await layer.close();
  }
});

t.test('no byte comes out of a span that is wrong, or from behind it', async t => {
  const forgeries = [
    { ztoc: forgeDigest(standard.ztoc, 20), code: 'ERR_SOCI_SPAN_DIGEST' },
    { ztoc: forgeWindow(standard.ztoc, 21), code: 'ERR_SOCI_WINDOW_MISMATCH' },
  ];
  for (const { ztoc, code } of forgeries) {
    const { layer } = await open({ ...standard, ztoc }, new FillingSource(standard.layer));
    let bytes = 0;
    const failing = (async () => {
      for await (const chunk of layer.tarChunks()) bytes += chunk.length;
    })();
    await t.rejects(failing, { code });
    t.equal(bytes, ztoc.span(20).uncompressedStart, code);
    await layer.close();
  }
});

t.test('leaving the loop, the signal, and closing the layer end what is under way', async t => {
  const reason = new Error('enough');
  for (const how of ['break', 'signal', 'close']) {
    const { layer, source } = await open(large, new FillingSource(large.layer));
    const controller = new AbortController();
    let chunks = 0;
    const loop = (async () => {
      for await (const _ of layer.tarChunks({ signal: controller.signal })) {
        if (++chunks > 1) continue;
        source.intercept = () => new Promise(() => {});
        if (how === 'break') break;
        if (how === 'signal') controller.abort(reason);
        else void layer.close();
      }
    })();
    if (how === 'break') await loop;
    else await t.rejects(loop, how === 'signal' ? reason : { code: 'ERR_SOCI_CLOSED' });
    await layer.close();
    t.ok(chunks < large.ztoc.spanCount, how);
  }
  const { layer, source } = await open(standard, new CountingSource(standard.layer));
  const early = layer.tarChunks({ signal: AbortSignal.abort(reason) });
  await t.rejects(early.next(), reason);
  await layer.close();
  await t.rejects(layer.tarChunks().next(), { code: 'ERR_SOCI_CLOSED' });
  await t.rejects(layer.tarChunks({ start: -1 }).next(), { code: /./ });
  t.equal(source.reads.length, 0);
});
