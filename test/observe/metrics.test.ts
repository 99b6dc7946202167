/** The channels and what is built on them: who listens hears everything, who does not costs nothing. */
import { channel } from 'node:diagnostics_channel';
import t from 'tap';
import { CHANNEL_NAMES, type ChannelEvents, publish, subscribe } from '../../lib/observe/channels.js';
import { collectMetrics } from '../../lib/observe/collected-metrics.js';
import { attachMetrics } from '../../lib/observe/metrics.js';

const REQUEST: ChannelEvents['seekable-oci:http:request'] = {
  method: 'GET',
  url: 'https://registry.example/v2/',
  range: undefined,
  status: 200,
  bytes: 10,
  ms: 2,
};

t.test('events are made for subscribers only', async t => {
  let made = 0;
  const event = (): typeof REQUEST => {
    made += 1;
    return REQUEST;
  };
  publish('seekable-oci:http:request', event);
  t.equal(made, 0);
  const heard: unknown[] = [];
  const end = subscribe('seekable-oci:http:request', each => heard.push(each));
  publish('seekable-oci:http:request', event);
  publish('seekable-oci:progress', () => ({ phase: 'build', digest: 'sha256:1', bytes: 1, size: 2 }));
  end();
  publish('seekable-oci:http:request', event);
  t.equal(made, 1);
  t.same(heard, [REQUEST], 'nothing of other channels, nothing after the end');
});

t.test('every channel is one of node:diagnostics_channel, by its name', async t => {
  for (const name of CHANNEL_NAMES) {
    const end = subscribe(name, () => {});
    t.equal(channel(name).hasSubscribers, true, name);
    end();
    t.equal(channel(name).hasSubscribers, false, name);
  }
});

t.test('metrics subscribe to what they have a method for', async t => {
  const steps: string[] = [];
  const metrics = {
    prefix: 'step ',
    indexStep({ type }: ChannelEvents['seekable-oci:soci:index']): void {
      steps.push(this.prefix + type);
    },
  };
  const end = attachMetrics(metrics);
  t.same(
    CHANNEL_NAMES.filter(name => channel(name).hasSubscribers),
    ['seekable-oci:soci:index'],
  );
  publish('seekable-oci:soci:index', () => ({ type: 'layer-done', digest: 'sha256:1' }));
  end();
  end();
  publish('seekable-oci:soci:index', () => ({ type: 'layer-done', digest: 'sha256:1' }));
  t.same(steps, ['step layer-done']);
});

t.test('collected metrics are sums', async t => {
  const collected = collectMetrics();
  const source = 'layer';
  publish('seekable-oci:http:request', () => REQUEST);
  publish('seekable-oci:http:request', () => ({ ...REQUEST, status: 404, bytes: 1 }));
  publish('seekable-oci:http:request', () => ({ ...REQUEST, status: undefined, bytes: 0 }));
  const fetch = { source, lane: 'demand', offset: 0, bytes: 100, ms: 3, outcome: 'fetched' } as const;
  publish('seekable-oci:span:fetch', () => fetch);
  publish('seekable-oci:span:fetch', () => ({ ...fetch, outcome: 'failed' }));
  publish('seekable-oci:span:decode', () => ({ source, span: 1, bytes: 400, ms: 5 }));
  publish('seekable-oci:span:cache-hit', () => ({ source, span: 1, bytes: 400 }));
  publish('seekable-oci:soci:index', () => ({ type: 'layer-done', digest: 'sha256:1' }));
  publish('seekable-oci:soci:index', () => ({ type: 'layer-done', digest: 'sha256:2' }));
  for (const outcome of ['won', 'lost'] as const)
    publish('seekable-oci:registry:hedge', () => ({ registry: 'r', host: 'h', bytes: 9, ms: 1, outcome }));
  publish('seekable-oci:store:read', () => ({ digest: 'sha256:1', kept: 5, fetched: 6 }));
  publish('seekable-oci:store:damage', () => ({ digest: 'sha256:1', bytes: 7 }));
  for (const outcome of ['completed', 'refused', 'evicted', 'evicted'] as const)
    publish('seekable-oci:store:blob', () => ({ digest: 'sha256:1', outcome, bytes: 8 }));
  publish('seekable-oci:store:failure', () => ({
    operation: 'write',
    subject: 'sha256:1',
    reason: 'ENOSPC',
  }));
  const expected = {
    http: { requests: 3, failures: 2, bytes: 11, ms: 6 },
    fetches: { count: 2, failures: 1, bytes: 100, ms: 6 },
    decodes: { count: 1, bytes: 400, ms: 5 },
    cacheHits: { count: 1, bytes: 400 },
    hedges: { count: 2, won: 1, bytes: 18 },
    store: {
      reads: 1,
      keptBytes: 5,
      fetchedBytes: 6,
      damagedBytes: 7,
      failures: 1,
      completed: 1,
      refused: 1,
      evicted: 2,
    },
    indexSteps: { 'layer-done': 2 },
  };
  const before = collected.snapshot();
  t.same(before, expected);
  collected.stop();
  publish('seekable-oci:http:request', () => REQUEST);
  t.same(collected.snapshot(), expected);
  t.same(
    CHANNEL_NAMES.filter(name => channel(name).hasSubscribers),
    [],
  );
});
