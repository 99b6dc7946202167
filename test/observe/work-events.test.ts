/** Long work is announced on channels, whoever does it and whether or not a callback was given. */
import t from 'tap';
import { type ChannelEvents, subscribe } from '../../lib/observe/channels.js';
import { announced } from '../../lib/soci/announced-events.js';
import type { IndexEvent } from '../../lib/soci/index-event.js';

const descriptor = (digest: string) => ({ mediaType: 'text/plain', digest, size: 9 });
const [layer, blob, manifest, image] = ['layer', 'blob', 'manifest', 'image'].map(descriptor) as [
  ReturnType<typeof descriptor>,
  ReturnType<typeof descriptor>,
  ReturnType<typeof descriptor>,
  ReturnType<typeof descriptor>,
];

const EVENTS: readonly IndexEvent[] = [
  { type: 'layer-started', layer },
  { type: 'layer-progress', layer, bytes: 4 },
  { type: 'layer-done', layer, origin: 'built', ztocDigest: 'ztoc', ztocSize: 1 },
  { type: 'layer-skipped', layer, reason: 'too-small', message: '' } as IndexEvent,
  { type: 'ztoc-refused', layer, ztocDigest: 'ztoc', error: new Error('x') },
  { type: 'cache-failed', layer, error: new Error('x') },
  { type: 'prefetch-missing', image, path: 'etc' },
  { type: 'blob-progress', blob, bytes: 5 },
  { type: 'blob-pushed', blob, result: 'uploaded' },
  { type: 'manifest-pushed', manifest },
  { type: 'index-exists', subject: image, existing: [], action: 'pushed' },
];

t.test('steps of work on indexes', async t => {
  const steps: ChannelEvents['seekable-oci:soci:index'][] = [];
  const progress: ChannelEvents['seekable-oci:progress'][] = [];
  t.teardown(subscribe('seekable-oci:soci:index', event => steps.push(event)));
  t.teardown(subscribe('seekable-oci:progress', event => progress.push(event)));
  const told: IndexEvent[] = [];
  const onEvent = announced(event => told.push(event));
  for (const event of EVENTS) onEvent(event);
  t.strictSame(told, EVENTS, 'the caller is told all of them as they are');
  t.strictSame(
    steps.map(({ type, digest }) => `${type} ${digest}`),
    [
      'layer-started layer',
      'layer-done layer',
      'layer-skipped layer',
      'ztoc-refused layer',
      'cache-failed layer',
      'prefetch-missing image',
      'blob-pushed blob',
      'manifest-pushed manifest',
      'index-exists image',
    ],
  );
  t.strictSame(progress, [
    { phase: 'index', digest: 'layer', bytes: 4, size: 9 },
    { phase: 'push', digest: 'blob', bytes: 5, size: 9 },
  ]);
  announced(undefined)({ type: 'layer-started', layer });
  t.equal(steps.length, 10, 'also when nobody else wants to know');
});
