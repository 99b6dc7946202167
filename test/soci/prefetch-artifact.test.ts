import t from 'tap';
import { sha256Digest } from '../../lib/registry/digest.js';
import {
  encodePrefetchArtifact,
  normalizeSpanRanges,
  parsePrefetchArtifact,
} from '../../lib/soci/prefetch-artifact.js';

t.test('an artifact has the bytes that the reference writes', async t => {
  const bytes = encodePrefetchArtifact([{ first: 0, last: 2 }]);
  t.equal(
    Buffer.from(bytes).toString(),
    '{"version":"1.0","prefetch_spans":[{"start_span":0,"end_span":2}]}',
  );
  t.equal(sha256Digest(bytes), 'sha256:fae7e200f7ac3515abf897d7c407ef9bac9b5b2e736de1b1f733339ecec84dee');
});

t.test('ranges are sorted, and joined when they overlap or touch', async t => {
  t.strictSame(
    normalizeSpanRanges([
      { first: 9, last: 9 },
      { first: 4, last: 5 },
      { first: 0, last: 2 },
      { first: 1, last: 3 },
      { first: 7, last: 7 },
    ]),
    [
      { first: 0, last: 5 },
      { first: 7, last: 7 },
      { first: 9, last: 9 },
    ],
  );
});

t.test('hostile ranges are clamped to the layer, malformed artifacts refused', async t => {
  const parse = (text: string) => parsePrefetchArtifact(Buffer.from(text), 4, 'prefetch');
  const artifact = (spans: string, version = '1.0') => `{"version":"${version}","prefetch_spans":[${spans}]}`;
  t.strictSame(parse(artifact('{"start_span":2,"end_span":2147483648},{"start_span":900,"end_span":901}')), [
    { first: 2, last: 3 },
  ]);
  for (const text of [
    '',
    'null',
    artifact(''),
    artifact('{"start_span":0,"end_span":0}', '2.0'),
    artifact('{"start_span":3,"end_span":2}'),
    artifact('{"start_span":-1,"end_span":2}'),
    artifact('{"start_span":0.5,"end_span":2}'),
    artifact('null'),
  ]) {
    t.throws(() => parse(text), { code: 'ERR_SOCI_INDEX_FORMAT' }, text);
  }
});
