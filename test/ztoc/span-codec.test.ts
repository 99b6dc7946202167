/** A compression is one object: one that nothing registers is indexed, written, decoded, read and verified. */
import { createHash } from 'node:crypto';
import t from 'tap';
import type { IndexerOptions, IndexResult, NativeIndexer, NativeSpanDecoder } from '../../lib/binding.js';
import { SociError } from '../../lib/errors.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import { CODECS } from '../../lib/ztoc/codec/codecs.js';
import { RAW } from '../../lib/ztoc/codec/raw.js';
import type {
  Checkpoints,
  LayerSizes,
  SpanCodec,
  SpanStart,
  WholeSpan,
} from '../../lib/ztoc/codec/span-codec.js';
import { encodeZtoc } from '../../lib/ztoc/encode.js';
import { EntryStore } from '../../lib/ztoc/entry-store.js';
import { indexLayer } from '../../lib/ztoc/index-pass.js';
import { DEFAULT_ZTOC_LIMITS } from '../../lib/ztoc/limits.js';
import { verifyZtoc } from '../../lib/ztoc/verify.js';
import { Ztoc } from '../../lib/ztoc/ztoc.js';
import { tarOf, textLike } from '../span/sample-layers.js';

const WINDOW = 32_768;
const SPAN_SIZE = 50_000;

/** Each byte is stored as its difference from the one before: a span needs the last byte of its window. */
function differences(tar: Uint8Array): Uint8Array {
  return tar.map((byte, i) => byte ^ (i === 0 ? 0 : (tar[i - 1] as number)));
}

class Summing implements NativeSpanDecoder {
  #last: number;

  constructor(last: number) {
    this.#last = last;
  }

  runSync(input: Uint8Array, output: Uint8Array): Awaited<ReturnType<NativeSpanDecoder['run']>> {
    const produced = Math.min(input.length, output.length);
    for (let i = 0; i < produced; i++) output[i] = this.#last ^= input[i] as number;
    return { consumed: produced, skipped: 0, produced, ended: false };
  }

  async run(input: Uint8Array, output: Uint8Array): ReturnType<NativeSpanDecoder['run']> {
    return this.runSync(input, output);
  }

  abort(): void {}
}

/** The raw indexer behind a decoder, with the windows and the digests of what is stored. */
class SummingIndexer implements NativeIndexer {
  readonly #inner: NativeIndexer;
  readonly #spanSize: number;
  readonly #stored: Uint8Array[] = [];
  #last = 0;

  constructor(options: Omit<IndexerOptions, 'compression' | 'maxCheckpoints'>) {
    this.#inner = RAW.createIndexer(options, DEFAULT_ZTOC_LIMITS);
    this.#spanSize = options.spanSize;
  }

  push(chunk: Uint8Array): number {
    const tar = new Uint8Array(chunk.length);
    new Summing(this.#last).runSync(chunk, tar);
    const pushed = this.#inner.push(tar);
    if (pushed > 0) this.#last = tar[pushed - 1] as number;
    this.#stored.push(chunk.slice(0, pushed));
    return pushed;
  }

  run(): ReturnType<NativeIndexer['run']> {
    return this.#inner.run();
  }

  async finish(): Promise<IndexResult> {
    const result = await this.#inner.finish();
    const layer = Buffer.concat(this.#stored);
    const tar = new Uint8Array(layer.length);
    new Summing(0).runSync(layer, tar);
    const starts = Array.from(
      { length: Math.ceil(layer.length / this.#spanSize) },
      (_, i) => i * this.#spanSize,
    );
    const windows = starts.map(at => {
      const window = Buffer.alloc(WINDOW);
      const before = tar.subarray(Math.max(0, at - WINDOW), at);
      window.set(before, WINDOW - before.length);
      return window;
    });
    return {
      ...result,
      layerDigest: createHash('sha256').update(layer).digest(),
      spanDigests: Buffer.concat(
        starts.map(at =>
          createHash('sha256')
            .update(layer.subarray(at, at + this.#spanSize))
            .digest(),
        ),
      ),
      zinfo: Buffer.concat([Buffer.from(Uint32Array.of(this.#spanSize).buffer), ...windows]),
    };
  }

  feedSync(): never {
    throw new Error('not used');
  }

  finishSync(): never {
    throw new Error('not used');
  }

  abort(): void {
    this.#inner.abort();
  }
}

function startAfter(last: number): SpanStart {
  return {
    open: () => new Summing(last),
    async decode({ input, digest, digestOffset, output }: WholeSpan): Promise<Uint8Array> {
      if (!(input instanceof Uint8Array)) throw new Error('no layer of these tests is a file');
      const found = createHash('sha256').update(input.subarray(digestOffset)).digest();
      if (digest !== undefined && !found.equals(digest)) {
        throw new SociError('ERR_SOCI_SPAN_DIGEST', 'not the bytes that were indexed');
      }
      const target = typeof output === 'number' ? new Uint8Array(output) : output;
      new Summing(last).runSync(input, target);
      return target;
    },
  };
}

const SUMMING: SpanCodec<'summing'> = {
  compression: 'summing',
  algorithm: 77,
  fromLayerStart: () => new Summing(0),
  matches: () => false,
  decompress: async function* (chunks) {
    for await (const chunk of chunks) yield chunk;
  },
  createIndexer: options => new SummingIndexer(options),
  indexed: ({ zinfo }) => zinfo as Uint8Array,
  parse(blob: Uint8Array, { compressedSize, uncompressedSize }: LayerSizes): Checkpoints {
    const spanSize = Buffer.from(blob).readUInt32LE();
    const count = (blob.length - 4) / WINDOW;
    const window = (i: number): Uint8Array => blob.subarray(4 + i * WINDOW, 4 + (i + 1) * WINDOW);
    return {
      spanSize,
      count,
      impliedFirst: false,
      verify: () => {},
      encode: () => blob,
      span: (index, digest) => ({
        index,
        compressedStart: index * spanSize,
        compressedEnd: index === count - 1 ? compressedSize : (index + 1) * spanSize,
        uncompressedStart: index * spanSize,
        uncompressedEnd: index === count - 1 ? uncompressedSize : (index + 1) * spanSize,
        digest,
        bits: 0,
      }),
      spanOf: offset => Math.min(Math.floor(offset / spanSize), count - 1),
      window,
      fetchStart: index => index * spanSize,
      start: index => startAfter(window(index)[WINDOW - 1] as number),
      rows: () => undefined,
    };
  },
};

async function summed(): Promise<{ tar: Buffer; layer: Uint8Array; bytes: Uint8Array }> {
  const tar = await tarOf([
    { name: 'first', body: textLike(120_000) },
    { name: 'second', body: textLike(260_000, 2) },
  ]);
  const layer = differences(tar);
  const entries = new EntryStore(DEFAULT_ZTOC_LIMITS);
  const result = await indexLayer(layer, {
    engine: undefined,
    codec: SUMMING,
    spanSize: SPAN_SIZE,
    diffId: false,
    threads: undefined,
    limits: DEFAULT_ZTOC_LIMITS,
    signal: undefined,
    onProgress: undefined,
    onEntry: ({ entry }) => entries.add(entry.fields),
  });
  const digests = Array.from({ length: result.spanDigests.length / 32 }, (_, i) =>
    Buffer.from(result.spanDigests.subarray(32 * i, 32 * i + 32)).toString('hex'),
  );
  const bytes = encodeZtoc({
    version: '0.9',
    buildToolIdentifier: 'test',
    algorithm: result.codec.algorithm,
    compressedSize: result.compressedSize,
    uncompressedSize: result.tarEnd,
    maxSpanId: digests.length - 1,
    spanDigests: digests.map(hex => `sha256:${hex}`),
    checkpoints: result.codec.indexed(result, SPAN_SIZE),
    entryCount: entries.length,
    entryAt: index => entries.at(index),
  });
  return { tar, layer, bytes };
}

t.test('a codec that nobody registered is indexed, written, decoded, read and verified', async t => {
  const { tar, layer, bytes } = await summed();
  t.throws(() => Ztoc.decode(bytes), { code: 'ERR_SOCI_ZTOC_FORMAT' }, 'unknown to everybody else');
  const ztoc = Ztoc.decode(bytes, { codecs: [...CODECS, SUMMING] });
  t.equal(ztoc.compression, 'summing');
  t.ok(ztoc.spanCount > 5);
  t.equal(Buffer.compare(ztoc.encode(), bytes), 0);
  for (const verifyWindows of ['neighbours', 'chain'] as const) {
    const reader = new SpanReader(new BufferSource(layer), ztoc, { verifyWindows });
    for (const [start, end] of [
      [60_000, 60_001],
      [0, ztoc.uncompressedSize],
      [149_999, 300_007],
    ] as const) {
      const read = await reader.read(start, end);
      t.equal(Buffer.compare(read, tar.subarray(start, end)), 0, `${verifyWindows}: ${start} to ${end}`);
    }
    await reader.close();
  }
  await t.resolves(verifyZtoc(layer, ztoc));
});

t.test('what its windows and digests say is held to', async t => {
  const { layer, bytes } = await summed();
  const codecs = [...CODECS, SUMMING];
  const forged = Buffer.from(bytes);
  const window = Ztoc.decode(forged, { codecs }).window(2) as Uint8Array;
  window[WINDOW - 1] = (window[WINDOW - 1] as number) ^ 1;
  const liar = Ztoc.decode(forged, { codecs });
  await t.rejects(verifyZtoc(layer, liar), {
    code: 'ERR_SOCI_ZTOC_MISMATCH',
    data: { field: 'window', index: 2 },
  });
  const reader = new SpanReader(new BufferSource(layer), liar);
  await t.rejects(reader.read(0, 4 * SPAN_SIZE), { code: 'ERR_SOCI_WINDOW_MISMATCH' });
  await reader.close();

  const broken = layer.slice();
  broken[3 * SPAN_SIZE + 5] = (broken[3 * SPAN_SIZE + 5] as number) ^ 1;
  // A context of its own: in the default one the span is there already, as it should be.
  await using context = new ReadContext();
  const other = new SpanReader(new BufferSource(broken), Ztoc.decode(bytes, { codecs }), { context });
  await t.rejects(other.read(3 * SPAN_SIZE, 4 * SPAN_SIZE), {
    code: 'ERR_SOCI_SPAN_DIGEST',
    data: { span: 3 },
  });
  await other.close();
  await context.close();
});
