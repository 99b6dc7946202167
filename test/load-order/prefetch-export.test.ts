/** A load order's spans as prefetch artifacts: sorted, joined, one for each layer, the lowest first. */
import t from 'tap';
import type { LoadStep } from '../../lib/image/load-plan.js';
import { prefetchArtifacts } from '../../lib/load-order/prefetch-export.js';
import { sha256Digest } from '../../lib/registry/digest.js';

const [LOWER, UPPER] = ['a', 'b'].map(each => `sha256:${each.repeat(64)}`) as [string, string];
const step = (layer: number, firstSpan: number, endSpan: number): LoadStep => ({
  ...{ layer, layerDigest: layer === 0 ? LOWER : UPPER, firstSpan, endSpan },
  ...{ urgency: 1, lane: 'prefetch', bytes: 1 },
});

t.test('artifacts of a plan', async t => {
  const artifacts = prefetchArtifacts({
    steps: [step(1, 4, 6), step(0, 9, 10), step(1, 0, 2), step(1, 2, 3)],
    omitted: [],
  });
  t.same(
    artifacts.map(({ layerDigest, bytes }) => [layerDigest, Buffer.from(bytes).toString()]),
    [
      [LOWER, '{"version":"1.0","prefetch_spans":[{"start_span":9,"end_span":9}]}'],
      [
        UPPER,
        '{"version":"1.0","prefetch_spans":[{"start_span":0,"end_span":2},{"start_span":4,"end_span":5}]}',
      ],
    ],
  );
  for (const { bytes, digest, size } of artifacts)
    t.same([digest, size], [sha256Digest(bytes), bytes.length]);
  t.strictSame(prefetchArtifacts({ steps: [], omitted: [] }), []);
});
