/**
 * A real layer through ztocs that were damaged at random: every read gives the
 * right bytes or a typed error, soon. The one exception is by construction: an
 * isolated read through a forged checkpoint of an untrusted ztoc (windows, and
 * where decoding starts, are covered by no digest inside it). With
 * `verifyWindows: 'chain'` there is no exception.
 */

import t from 'tap';
import { SociError } from '../../lib/errors.js';
import { type Layer, openLayer } from '../../lib/image/layer.js';
import { configure, settings } from '../../lib/span/read-context.js';
import type { EntryFields } from '../../lib/tar/entry.js';
import { Ztoc } from '../../lib/ztoc/ztoc.js';
import fc from '../property.js';
import { CountingSource, forgetSpans } from '../span/counting-source.js';
import { noise, sample, tarOf, textLike } from '../span/sample-layers.js';
import { entry, sampleZtoc } from '../ztoc/sample-ztoc.js';

const DEFAULTS = settings();
t.teardown(() => {
  configure({ ...DEFAULTS });
});

const FILES = new Map([
  ['a', textLike(90_000)],
  ['b', noise(50_000)],
  ['c', Buffer.alloc(100_000)],
  ['d', textLike(120_000, 5)],
]);
const { layer, ztoc } = await sample(
  await tarOf([
    ...[...FILES].map(([name, body]) => ({ name, body })),
    { name: 'link', type: 'link', linkname: 'a' },
    { name: 'soft', type: 'symlink', linkname: 'b' },
  ]),
  { spanSize: 40_000 },
);

/** Where the ztoc keeps its checkpoints. */
const first = (ztoc.window(0)?.byteOffset ?? 0) - ztoc.bytes.byteOffset - 29;
const end = (ztoc.window(ztoc.spanCount - 1)?.byteOffset ?? 0) - ztoc.bytes.byteOffset + 32768;

/** Anywhere; the checkpoints are most of a ztoc, so the rest is aimed at as well. */
const position = fc.oneof(
  fc.nat(ztoc.bytes.length - 1),
  fc.nat(first),
  fc.integer({ min: end, max: ztoc.bytes.length - 1 }),
  fc
    .tuple(fc.nat(ztoc.spanCount - 1), fc.nat(16))
    .map(([span, at]) => (ztoc.window(span)?.byteOffset ?? 0) - ztoc.bytes.byteOffset - 17 + at),
);
const damage = fc.array(fc.tuple(position, fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 });

/** Reads every file; what is wrong is either an error of ours or returned by name. */
async function wrongFiles(bytes: Uint8Array, verifyWindows: 'neighbours' | 'chain'): Promise<string[]> {
  const wrong: string[] = [];
  try {
    forgetSpans();
    await using opened = await openLayer(new CountingSource(layer), bytes, { verifyWindows });
    for (const path of [...FILES.keys(), 'link', 'soft']) {
      try {
        const found = await opened.readFile(path);
        const expected = FILES.get(path === 'link' ? 'a' : path === 'soft' ? 'b' : path) as Buffer;
        if (!expected.equals(found)) wrong.push(path);
      } catch (error) {
        if (!(error instanceof SociError)) throw error;
      }
    }
  } catch (error) {
    if (!(error instanceof SociError)) throw error;
  }
  return wrong;
}

t.test('undamaged, everything is right', async t => {
  for (const mode of ['neighbours', 'chain'] as const) t.same(await wrongFiles(ztoc.bytes, mode), []);
});

t.test('damaged anywhere: right bytes or a typed error', async () => {
  await fc.assert(
    fc.asyncProperty(
      damage,
      fc.constantFrom(DEFAULTS.maxSpanBytes, 20_000),
      fc.constantFrom<'neighbours' | 'chain'>('neighbours', 'chain'),
      async (changes, maxSpanBytes, verifyWindows) => {
        configure({ maxSpanBytes });
        const bytes = new Uint8Array(ztoc.bytes);
        for (const [at, mask] of changes) bytes[at] = (bytes[at] as number) ^ mask;
        const inCheckpoints = changes.some(([at]) => at >= first && at < end);
        const wrong = await wrongFiles(bytes, verifyWindows);
        return wrong.length === 0 || (inCheckpoints && verifyWindows === 'neighbours');
      },
    ),
    { numRuns: 300 },
  );
});

/** A layer of which nothing can be read, to look paths up in. */
async function lookups(entries: readonly Partial<EntryFields>[]): Promise<Layer> {
  let offset = 0;
  const placed = entries.map(fields => {
    offset += 2 ** 21;
    return entry({ offset, ...fields });
  });
  const bytes = sampleZtoc({ compressedSize: 2 ** 40, uncompressedSize: 2 ** 40, entries: placed });
  const source = { name: 'layer', size: 2 ** 40, read: fail, stream: fail, close: async () => {} };
  forgetSpans();
  return openLayer(source, bytes);
}

function fail(): never {
  throw new Error('nothing is to be read');
}

// These took minutes, or all memory, when each step of a walk cost what had been walked before.
t.test('paths as long as a header can hold', async t => {
  const deep = (letter: string): string => `${letter}/`.repeat(500_000);
  await using layer = await lookups([
    { name: `${deep('a')}x` },
    { name: `${deep('b')}x` },
    { name: 'long', type: 'symlink', linkname: `${deep('a')}x` },
  ]);
  t.equal(layer.lookup(`${deep('a')}x`).offset, 2 ** 21);
  t.throws(() => layer.lookup('missing'), { code: 'ENOENT' });
  t.throws(() => layer.lookup(deep('b')), { code: 'EISDIR' });
  t.throws(() => layer.lookup('b/b/b/'), { code: 'EISDIR' });
  t.throws(() => layer.lookup('b/bb'), { code: 'ENOENT' });
  t.throws(() => layer.lookup('long'), { code: 'ELOOP', message: /16384 bytes/ });
  t.throws(() => layer.lookup(deep('a')), { code: 'EISDIR' });
  t.throws(() => layer.lookup(deep('c')), { code: 'ENOENT' });
});

t.test('a name held by very many entries, linked to over and over', async t => {
  const links = Array.from({ length: 30 }, (_, i) => ({
    name: `h${i}`,
    type: 'hardlink' as const,
    linkname: `h${i + 1}`,
  }));
  const count = 20_000;
  const entries = [
    { name: 'h30', size: 1 },
    ...links.reverse(),
    ...Array.from({ length: count }, (_, i) => ({ name: `h${i % 31}`, size: 2 })),
    { name: 'late', type: 'hardlink' as const, linkname: 'h30' },
    { name: 'early', type: 'hardlink' as const, linkname: 'later' },
    { name: 'later', size: 3 },
  ];
  await using layer = await lookups(entries);
  t.equal(
    layer.lookup('late').offset,
    2 ** 21 * entries.findLastIndex(({ name }) => name === 'h30') + 2 ** 21,
  );
  t.equal(layer.lookup('early').size, 3, 'only when there is none before it, one after it');
  await using first = await lookups([...entries.slice(0, 31), { name: 'h30', size: 4 }]);
  t.equal(first.lookup('h0').offset, 2 ** 21, 'each link is to what was there before it');
});

t.test('cut anywhere', async t => {
  await fc.assert(
    fc.asyncProperty(fc.nat(ztoc.bytes.length - 1), async length => {
      return (await wrongFiles(ztoc.bytes.slice(0, length), 'neighbours')).length === 0;
    }),
    { numRuns: 50 },
  );
  t.throws(() => Ztoc.decode(new Uint8Array(0)), { code: 'ERR_SOCI_ZTOC_FORMAT' });
});

t.test('the layer damaged anywhere, cut anywhere: typed errors', async t => {
  await fc.assert(
    fc.asyncProperty(fc.nat(layer.length - 1), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
      const damaged = new Uint8Array(layer);
      damaged[at] = (damaged[at] as number) ^ mask;
      forgetSpans();
      await using opened = await openLayer(new CountingSource(damaged), ztoc);
      for (const [path, body] of FILES) {
        const { entry, firstSpan, endSpan } = opened.explain(path);
        const touched =
          at >= ztoc.span(firstSpan).compressedStart && at < ztoc.span(endSpan - 1).compressedEnd;
        const found = await opened.readFile(path).catch((error: SociError) => error.code);
        if (touched ? found !== 'ERR_SOCI_SPAN_DIGEST' : !(found instanceof Buffer && body.equals(found))) {
          throw new Error(`${entry.name}: ${found}`);
        }
      }
    }),
    { numRuns: 60 },
  );
  await t.rejects(openLayer(new CountingSource(layer.subarray(0, -1)), ztoc), {
    code: 'ERR_SOCI_ZTOC_MISMATCH',
  });
});
