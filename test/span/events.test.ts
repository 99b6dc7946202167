/** What is told of reading a layer: each fetch, decode and cache hit once, in agreement with what is counted. */
import t, { type Test } from 'tap';
import { type ChannelEvents, type ChannelName, subscribe } from '../../lib/observe/channels.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import { CountingSource } from './counting-source.js';
import { sample, standardSample, tarOf, textLike } from './sample-layers.js';

/** The events of a channel from now on, those of other readers left out. */
function heard<Name extends ChannelName>(test: Test, name: Name): ChannelEvents[Name][] {
  const events: ChannelEvents[Name][] = [];
  test.teardown(subscribe(name, event => events.push(event)));
  return events;
}

t.test('every fetch, decode and hit is told once, as it is counted', async t => {
  const data = await tarOf([{ name: 'text', body: textLike(3_000_000) }]);
  const samples = {
    spans: await standardSample(),
    huge: await sample(data, { spanSize: 1 << 30 }),
    uncompressed: await sample(data, { spanSize: 500_000, compression: 'uncompressed' }),
  };
  for (const [name, { layer, ztoc }] of Object.entries(samples)) {
    for (const verifyWindows of ['neighbours', 'chain'] as const) {
      await t.test(`${name}, ${verifyWindows}`, async t => {
        const fetches = heard(t, 'seekable-oci:span:fetch');
        const decodes = heard(t, 'seekable-oci:span:decode');
        const hits = heard(t, 'seekable-oci:span:cache-hit');
        await using context = new ReadContext({ maxSpanBytes: 600_000 });
        const source = new CountingSource(layer);
        const reader = new SpanReader(source, ztoc, { context, verifyWindows });
        await reader.read(0, reader.size, { lane: 'background' });
        await reader.read(reader.size >> 1, reader.size);
        const { stats } = reader;
        t.same(
          fetches.map(({ offset, bytes }) => [offset, offset + bytes]),
          source.ranges,
        );
        t.ok(fetches.every(({ lane, outcome }) => lane === 'background' && outcome === 'fetched'));
        t.equal(fetches.length, stats.requests);
        t.equal(sum(fetches), stats.fetchedBytes);
        t.equal(decodes.length, stats.decodedSpans);
        t.equal(sum(decodes), stats.decodedBytes);
        t.equal(hits.length, stats.cacheHits);
        t.not(hits.length, 0);
        t.ok([...fetches, ...decodes].every(({ ms }) => ms >= 0));
        t.ok([...fetches, ...decodes, ...hits].every(event => event.source === source.name));
        await reader.close();
      });
    }
  }
});

t.test('a fetch that fails, and one that is left, are told as such', async t => {
  const { layer, ztoc } = await standardSample();
  const fetches = heard(t, 'seekable-oci:span:fetch');
  const decodes = heard(t, 'seekable-oci:span:decode');
  await using context = new ReadContext();
  const source = new CountingSource(layer);
  const reader = new SpanReader(source, ztoc, { context });
  source.intercept = (_, bytes) => bytes.subarray(1);
  await t.rejects(reader.read(0, 1), { code: 'ERR_SOCI_SOURCE_SHORT' });
  const controller = new AbortController();
  source.intercept = () => {
    controller.abort();
    return new Promise<Uint8Array>(() => {});
  };
  await t.rejects(reader.read(0, 1, { signal: controller.signal }), { name: 'AbortError' });
  await reader.close();
  t.same(
    fetches.map(({ outcome }) => outcome),
    ['failed', 'failed'],
  );
  t.same([reader.stats.requests, reader.stats.fetchedBytes], [2, 0]);
  t.same(decodes, []);
});

function sum(events: readonly { readonly bytes: number }[]): number {
  return events.reduce((total, { bytes }) => total + bytes, 0);
}
