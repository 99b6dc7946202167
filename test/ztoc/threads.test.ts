/** Layers that several threads decode: the same ztoc, and the same error at the same place, as with one. */
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { SociError } from '../../lib/errors.js';
import { type BuildZtocOptions, buildZtoc } from '../../lib/ztoc/build.js';
import type { LayerInput } from '../../lib/ztoc/layer-input.js';
import { verifyZtoc } from '../../lib/ztoc/verify.js';
import fc from '../property.js';
import { noise, tarOf, textLike } from '../span/sample-layers.js';

const SPAN_SIZE = 300_000;
const MIB = 2 ** 20;

const tar = await tarOf([
  ...Array.from({ length: 30 }, (_, i) => ({ name: `file-${i}`, body: textLike(i * 40_000, i) })),
  { name: 'noise', body: noise(2 * MIB) },
  { name: 'text', body: textLike(4 * MIB, 99) },
]);

/** Of as many chunks as several threads share. */
const LAYERS = {
  'one member': gzipSync(tar, { level: 1 }),
  'members of 3 MiB': Buffer.concat(inPieces(tar, 3 * MIB).map(piece => gzipSync(piece, { level: 1 }))),
  'members of 20 kB': Buffer.concat(inPieces(tar, 20_000).map(piece => gzipSync(piece, { level: 1 }))),
  'not compressed': gzipSync(tar, { level: 0 }),
};

function inPieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
}

async function outcome(layer: LayerInput, options: BuildZtocOptions): Promise<unknown> {
  try {
    const { ztoc, layerDigest, diffId } = await buildZtoc(layer, { spanSize: SPAN_SIZE, ...options });
    return { digest: ztoc.digest, layerDigest, diffId };
  } catch (error) {
    if (!(error instanceof SociError)) throw error;
    return { code: error.code, message: error.message, data: error.data };
  }
}

for (const [name, layer] of Object.entries(LAYERS)) {
  t.test(name, async t => {
    t.ok(layer.length > 6 * MIB);
    const one = await outcome(layer, { threads: 1, diffId: true, engine: 'zlib' });
    for (const threads of [1, 2, 3, 4, 100]) {
      t.strictSame(await outcome(layer, { threads, diffId: true }), one, `${threads} threads`);
    }
    const { ztoc } = await buildZtoc(Readable.from(inPieces(layer, 70_000)), { spanSize: SPAN_SIZE });
    for (const threads of [1, 2, 4]) await t.resolves(verifyZtoc(layer, ztoc, { threads }), 'verify');
  });
}

t.test('damage', async () => {
  const layers = Object.values(LAYERS);
  const flip = fc.record({ at: fc.double({ min: 0, max: 0.999, noNaN: true }), bit: fc.nat(7) });
  const damage = fc.record({
    layer: fc.nat(layers.length - 1),
    cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: 1 }),
    flips: fc.array(flip, { maxLength: 2 }),
    threads: fc.integer({ min: 2, max: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(damage, async ({ layer, cut, flips, threads }) => {
      const sound = layers[layer] as Buffer;
      const bytes = Buffer.from(sound.subarray(0, Math.floor(sound.length * cut)));
      for (const { at, bit } of flips) {
        const offset = Math.floor(at * bytes.length);
        if (offset < bytes.length) bytes[offset] = (bytes[offset] as number) ^ (1 << bit);
      }
      const expected = await outcome(bytes, { threads: 1 });
      t.strictSame(await outcome(bytes, { threads }), expected);
    }),
    { numRuns: 25 },
  );
});

t.test('layers side by side share the threads', async t => {
  const layer = LAYERS['one member'];
  const alone = await outcome(layer, { threads: 1 });
  const together = await Promise.all(Array.from({ length: 5 }, () => outcome(layer, { threads: 4 })));
  for (const each of together) t.strictSame(each, alone);
});

t.test('an abort ends all of them', async t => {
  const layer = LAYERS['one member'];
  for (let ms = 0; ms < 12; ms += 1) {
    const controller = new AbortController();
    const building = buildZtoc(layer, { threads: 4, signal: controller.signal });
    await delay(ms);
    controller.abort(new Error('enough'));
    await t.rejects(building, { message: 'enough' });
  }
});

t.test('the number of threads is checked', async t => {
  for (const threads of [0, -1, 1.5, Number.NaN, '2']) {
    const wrong = { threads } as BuildZtocOptions;
    await t.rejects(buildZtoc(LAYERS['one member'], wrong), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
});
