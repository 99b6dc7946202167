/** Which host a blob is read of: slow ones, failing ones and lying ones among several registries, by a clock of the test. */
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { openImage } from '../../lib/image/open-image.js';
import { subscribe } from '../../lib/observe/channels.js';
import type { RegistryOptions } from '../../lib/registry/transport.js';
import { RegistryTransport } from '../../lib/registry/transport.js';
import { HostTraffic } from '../../lib/source/http/host-traffic.js';
import type { RangeSource } from '../../lib/source/range-source.js';
import { ReadContext } from '../../lib/span/read-context.js';
import type { Fault, TestRegistry } from '../../lib/testing/testing.js';
import { layerOf, pushIndexedImage } from '../image/sample-image.js';
import { textLike } from '../span/sample-layers.js';
import { blobOf, collect, failure, openRepository, QUICK, sampleBytes, startRegistry } from './fixture.js';

const LAYER = sampleBytes(100_000);
const BLOB = blobOf(LAYER);
const BLOBS = { method: 'GET', path: '/blobs/' };
/** Times that make a host known. */
const KNOWN = 4;

interface Places {
  readonly origin: TestRegistry;
  readonly mirrors: readonly TestRegistry[];
  /** Requests for ranges of blobs since they were last counted, of the mirrors and then of the registry. */
  counts(): number[];
  /** As if ranges of the mirrors and the registry had taken so long to their first bytes, to `transport`. */
  measured(transport: RegistryTransport, ...ms: number[]): Promise<void>;
  pass(ms: number): void;
  readonly events: string[];
  transport(options?: RegistryOptions): RegistryTransport;
}

/** A registry and mirrors of it, all with the blob. */
async function places(t: Test, mirrorCount: number): Promise<Places> {
  let now = 0;
  const origin = await startRegistry(t);
  const mirrors: TestRegistry[] = [];
  for (let i = 0; i < mirrorCount; i++) mirrors.push(await startRegistry(t, { storage: origin.storage }));
  const everybody = [...mirrors, origin];
  const names = new Map(
    everybody.map((place, i) => [place.host, i < mirrorCount ? `mirror ${i}` : 'registry']),
  );
  const events: string[] = [];
  t.teardown(
    subscribe('seekable-oci:registry:endpoint', ({ host, outcome, reason }) => {
      events.push(`${names.get(host)} ${outcome}: ${reason}`);
    }),
  );
  const hosts = { [origin.host]: { mirrors: mirrors.map(({ url }) => ({ url })) } };
  const transport = (options: RegistryOptions = {}): RegistryTransport => {
    const made = new RegistryTransport(
      { credentials: null, env: {}, retry: QUICK, hosts, ...options },
      () => now,
    );
    t.teardown(() => made.close());
    return made;
  };
  await openRepository(transport({ hosts: {} }), origin).pushBlob(BLOB, LAYER);
  origin.requests.length = 0;
  return {
    origin,
    mirrors,
    events,
    transport,
    counts: () =>
      everybody.map(
        ({ requests }) => requests.splice(0).filter(({ headers }) => headers['range'] !== undefined).length,
      ),
    measured: async (transport, ...ms) => {
      const endpoints = await transport.configuredEndpoints(origin.host, 'pull');
      for (const [position, each] of ms.entries())
        for (let i = 0; i < KNOWN; i++) transport.health(endpoints[position]!).measured(each);
    },
    pass: ms => {
      now += ms;
    },
  };
}

async function read(t: Test, source: RangeSource, times = 1): Promise<void> {
  for (let i = 0; i < times; i++) {
    const bytes = await source.read(100 * i, 50);
    t.same(Buffer.from(bytes), Buffer.from(LAYER.subarray(100 * i, 100 * i + 50)));
  }
}

/** Until something has come about that nobody waits for; a test that fails ends, too. */
async function until(t: Test, done: () => boolean): Promise<void> {
  for (let i = 0; i < 20_000 && !done(); i++) await turn();
  t.ok(done(), 'it comes about');
}

/** Reads on until `done`, which probes beside the reads bring about. */
async function readUntil(t: Test, source: RangeSource, done: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !done(); i++) {
    await read(t, source);
    await turn();
  }
  t.ok(done());
}

async function open(t: Test, transport: RegistryTransport, { origin }: Places): Promise<RangeSource> {
  const source = await openRepository(transport, origin).openBlob(BLOB);
  t.teardown(() => source.close());
  return source;
}

t.test('the configured order stands as long as nobody is slow', async t => {
  const all = await places(t, 2);
  const source = await open(t, all.transport(), all);
  await read(t, source, 20);
  t.same(all.counts(), [20, 0, 0]);
});

const isRead = ({ headers }: { readonly headers: Readonly<Record<string, string>> }): boolean =>
  headers['range'] === 'bytes=0-49';

t.test('a slow mirror is left for a faster one, which was measured beside the reads', async t => {
  const all = await places(t, 2);
  const [slow, fast] = all.mirrors as [TestRegistry, TestRegistry];
  const transport = all.transport();
  await all.measured(transport, 1e6);
  const source = await open(t, transport, all);
  await readUntil(t, source, () => fast.requests.some(isRead));
  const probes = fast.requests.slice(0, KNOWN).map(({ headers }) => headers['range']);
  t.same(new Set(probes), new Set(['bytes=0-0']), 'the other one by a byte at a time');
  all.counts();
  await read(t, source, 5);
  t.match(all.counts().slice(0, 2), [0, 5]);
  const other = await open(t, transport, all);
  await read(t, other, 5);
  t.match(all.counts().slice(0, 2), [0, 5], 'for other blobs of the same transport, too');
  t.test('and is measured again after a while', async t => {
    for (let i = 0; i < 40 && !slow.requests.some(isRead); i++) {
      all.pass(31_000);
      const before = slow.requests.length;
      await read(t, source);
      await until(t, () => slow.requests.length > before);
      for (let i = 0; i < 20; i++) await turn();
    }
    all.counts();
    await read(t, source, 5);
    t.match(all.counts().slice(0, 2), [5, 0]);
  });
});

/** One request to a host at a time. */
function oneByOne(): HostTraffic {
  const limit = { places: 1, epoch: 0, allow() {}, succeeded() {}, failed() {}, answered() {} };
  return new HostTraffic(() => 0, { limit: () => limit });
}

t.test('what is measured begins when a request leaves', async t => {
  const all = await places(t, 0);
  const { origin } = all;
  const transport = all.transport({ traffic: oneByOne() });
  const source = await open(t, transport, all);
  const passing = (): boolean => {
    all.pass(50);
    return false;
  };
  origin.inject({ match: passing });
  await Promise.all(Array.from({ length: 8 }, (_, i) => source.read(100 * i, 50)));
  const [endpoint] = await transport.configuredEndpoints(origin.host, 'pull');
  t.equal(transport.health(endpoint!).standing().latency, 50, 'the last one has waited for 350 ms');
});

t.test('nobody is probed where others wait', async t => {
  const all = await places(t, 2);
  const [, fast] = all.mirrors as [TestRegistry, TestRegistry];
  const traffic = oneByOne();
  const transport = all.transport({ traffic });
  await all.measured(transport, 1e6);
  const other = await openRepository(all.transport({ traffic, hosts: {} }), fast).openBlob(BLOB);
  let free = (): void => {};
  const freed = new Promise<void>(resolve => {
    free = resolve;
  });
  fast.inject({ match: BLOBS, times: 1, until: () => freed });
  const reading = other.read(0, 10);
  await until(t, () => fast.requests.length > 0);
  const source = await open(t, transport, all);
  await read(t, source, 3);
  for (let i = 0; i < 20; i++) await turn();
  t.equal(fast.requests.length, 1);
  free();
  await reading;
  await readUntil(t, source, () => fast.requests.length > 1);
  await other.close();
});

t.test('the registry is used before a mirror only where that is much slower', async t => {
  for (const [ms, used] of [
    [90, false],
    [500, true],
  ] as const) {
    const all = await places(t, 1);
    const transport = all.transport();
    await all.measured(transport, ms, 1);
    await read(t, await open(t, transport, all), 3);
    t.same(all.counts(), used ? [0, 3] : [3, 0], `${ms} ms`);
  }
});

t.test("hostOrder 'configured' stands whatever is measured", async t => {
  const all = await places(t, 1);
  const transport = all.transport({ hostOrder: 'configured' });
  await all.measured(transport, 5000, 1);
  const source = await open(t, transport, all);
  await read(t, source, 20);
  t.same(all.counts(), [20, 0]);
  t.throws(() => all.transport({ hostOrder: 'random' as 'measured' }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});

t.test('a mirror that failed rests, is probed by nobody who waits, and returned to', async t => {
  const all = await places(t, 1);
  const [mirror] = all.mirrors as [TestRegistry];
  const source = await open(t, all.transport(), all);
  mirror.inject({ match: BLOBS, times: 2, reply: { status: 503, headers: {} } });
  await read(t, source, 3);
  t.same(all.counts(), [2, 3], 'tried twice, then left');
  t.same(all.events.splice(0), ['mirror 0 left: failing']);
  all.pass(31_000);
  await read(t, source);
  await until(t, () => all.events.length > 0);
  t.same(all.events.splice(0), ['mirror 0 returned: working']);
  t.same(all.counts(), [1, 1], 'one byte of it, while the registry was read');
  await read(t, source, 3);
  t.same(all.counts(), [3, 0]);

  t.test('unless the probe fails as well', async t => {
    mirror.inject({ match: BLOBS, reply: { status: 503, headers: {} } });
    await read(t, source);
    all.pass(61_000);
    all.counts();
    await read(t, source);
    await until(t, () => mirror.requests.length > 0);
    for (let i = 0; i < 20; i++) await turn();
    await read(t, source, 5);
    t.same(all.counts(), [1, 6]);
  });
});

t.test('a mirror without the blob is asked for other blobs', async t => {
  const all = await places(t, 0);
  const mirror = await startRegistry(t);
  const hosts = { [all.origin.host]: { mirrors: [{ url: mirror.url }] } };
  const transport = all.transport({ hosts });
  const source = await open(t, transport, all);
  await read(t, source, 3);
  t.same([mirror.requests.length, ...all.counts()], [1, 3]);
  const other = sampleBytes(1000, 7);
  for (const place of [mirror, all.origin])
    await openRepository(all.transport({ hosts: {} }), place).pushBlob(blobOf(other), other);
  mirror.requests.length = 0;
  all.counts();
  const second = await openRepository(transport, all.origin).openBlob(blobOf(other));
  t.teardown(() => second.close());
  await second.read(0, 10);
  t.same([mirror.requests.length, ...all.counts()], [1, 0]);
  await openRepository(all.transport({ hosts: {} }), mirror).pushBlob(BLOB, LAYER);
  all.pass(151_000);
  mirror.requests.length = 0;
  await read(t, source);
  await until(t, () => mirror.requests.length > 0);
  await readUntil(t, source, () => mirror.requests.some(isRead));
});

t.test('when all else fails, those that rest are asked, and the registry says why', async t => {
  const all = await places(t, 1);
  const [mirror] = all.mirrors as [TestRegistry];
  const source = await open(t, all.transport(), all);
  mirror.inject({ match: BLOBS, times: 2, reply: { status: 500, headers: {} } });
  await read(t, source);
  all.origin.inject({ match: BLOBS, reply: { status: 403, headers: {} } });
  await read(t, source);
  mirror.inject({ match: BLOBS, reply: { status: 404, headers: {} } });
  t.match(await failure(source.read(0, 10)), { code: 'ERR_SOCI_REGISTRY_DENIED' });
});

/** What a mirror can do to a read that another host can still answer. */
const HOSTILE: Readonly<Record<string, { readonly fault: Fault; readonly reason: string }>> = {
  'a wrong range': { fault: { headers: { 'content-range': 'bytes 7-56/100000' } }, reason: 'lying' },
  'another length': { fault: { headers: { 'content-range': 'bytes 0-49/99' } }, reason: 'lying' },
  'a coding': { fault: { headers: { 'content-encoding': 'gzip' } }, reason: 'lying' },
  'a longer body': {
    fault: {
      reply: {
        status: 206,
        headers: { 'content-range': 'bytes 0-49/100000' },
        body: LAYER.subarray(0, 60),
      },
    },
    reason: 'lying',
  },
  resets: { fault: { cutAfter: -1 }, reason: 'unreachable' },
  'resets amid the body': { fault: { cutAfter: 10 }, reason: 'failing|unreachable' },
  'a body that hangs': { fault: { stallAfter: 0 }, reason: 'unreachable' },
  silence: { fault: { reply: () => new Promise<never>(() => {}) }, reason: 'unreachable' },
  'a slow drip': {
    fault: {
      reply: ({ headers }) => {
        const start = Number(/^bytes=(\d+)-/.exec(headers['range'] ?? '')?.[1]);
        const range = `bytes ${start}-49/100000`;
        return {
          status: 206,
          headers: { 'content-range': range },
          body: dripping(LAYER.subarray(start, 50)),
        };
      },
    },
    reason: 'unreachable',
  },
};

async function* dripping(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (const at of bytes.keys()) {
    yield bytes.subarray(at, at + 1);
    await new Promise(resolve => setTimeout(resolve, 20).unref());
  }
}

t.test('a hostile mirror costs a read its answer, and not the next one', async t => {
  for (const [name, { fault, reason }] of Object.entries(HOSTILE)) {
    const all = await places(t, 1);
    const timeouts = { headers: 150, bodyIdle: 150, request: 300 };
    const source = await open(t, all.transport({ timeouts }), all);
    all.mirrors[0]!.inject({ match: BLOBS, ...fault });
    await read(t, source);
    t.match(all.events.join(), new RegExp(`^mirror 0 left: (${reason})`), name);
    all.counts();
    await read(t, source, 3);
    t.equal(all.counts()[0], 0, name);
    all.pass(151_000);
    all.mirrors[0]!.clearFaults();
    await readUntil(t, source, () => all.mirrors[0]!.requests.length > 3);
    await source.close();
  }
});

t.test('a mirror that wants to be left alone is left as long as it says', async t => {
  const all = await places(t, 1);
  const [mirror] = all.mirrors as [TestRegistry];
  const source = await open(t, all.transport(), all);
  mirror.inject({ match: BLOBS, times: 1, reply: { status: 429, headers: { 'retry-after': '100' } } });
  await read(t, source, 2);
  t.same(all.counts(), [1, 2], 'nobody waits for it');
  all.pass(99_000);
  await read(t, source);
  t.same(all.counts(), [0, 1]);
  all.pass(2000);
  await readUntil(t, source, () => mirror.requests.length > 1);
});

t.test('a stream goes on at another host before its first byte, and not behind it', async t => {
  const all = await places(t, 1);
  const source = await open(t, all.transport(), all);
  all.mirrors[0]!.inject({ match: BLOBS, cutAfter: -1 });
  t.same(await collect(source.stream()), Buffer.from(LAYER));
  t.same(all.events, ['mirror 0 left: unreachable']);
  all.origin.inject({ match: BLOBS, cutAfter: 20_000 });
  all.mirrors[0]!.clearFaults();
  await t.rejects(collect(source.stream()), /./, 'though a mirror has it');
});

t.test('closing ends probes', async t => {
  const all = await places(t, 1);
  const [mirror] = all.mirrors as [TestRegistry];
  const transport = all.transport();
  const source = await open(t, transport, all);
  mirror.inject({ match: BLOBS, times: 2, reply: { status: 503, headers: {} } });
  await read(t, source);
  all.pass(31_000);
  all.events.length = 0;
  mirror.inject({ match: BLOBS, reply: () => new Promise<never>(() => {}) });
  all.counts();
  await read(t, source);
  await until(t, () => mirror.requests.length > 0);
  await source.close();
  await turn();
  t.same(all.events, [], 'which says nothing of the mirror');
  const next = await open(t, transport, all);
  mirror.clearFaults();
  all.pass(31_000);
  await readUntil(t, next, () => all.events.length > 0);
});

t.test('spans with a wrong digest', async t => {
  const all = await places(t, 1);
  const [mirror] = all.mirrors as [TestRegistry];
  const body = textLike(300_000, 1);
  const setup = openRepository(all.transport({ hosts: {} }), all.origin);
  const layers = [await layerOf([{ name: 'a', body }])];
  const { digest } = layers[0]!.descriptor;
  await pushIndexedImage(setup, layers, { tag: 'v1' });
  const corrupt = { match: { path: digest }, corrupt: 5 };
  const openWith = async (transport: RegistryTransport): ReturnType<typeof openImage> => {
    const image = await openImage(`${all.origin.host}/demo/app:v1`, {
      transport,
      context: new ReadContext(),
    });
    t.teardown(() => image.close());
    return image;
  };

  t.test('are asked of another host, and whoever served them is left', async t => {
    mirror.inject(corrupt);
    const image = await openWith(all.transport());
    t.strictSame(await image.readFile('/a'), body);
    t.ok(image.stats.digestRetries > 0);
    t.match(all.events.splice(0), ['mirror 0 left: lying']);
    mirror.requests.length = 0;
    const again = await openWith(all.transport());
    mirror.clearFaults();
    t.strictSame(await again.readFile('/a'), body);
    t.same(all.events, [], 'by whoever was lied to');
  });

  t.test('at every host are not the hosts’ doing', async t => {
    mirror.inject(corrupt);
    all.origin.inject(corrupt);
    const image = await openWith(all.transport());
    t.match(await failure(image.readFile('/a')), { code: 'ERR_SOCI_SPAN_DIGEST' });
    t.match(await failure(image.readFile('/a')), { code: 'ERR_SOCI_SPAN_DIGEST' });
    t.match(all.events, ['mirror 0 left: lying', 'mirror 0 returned: working']);
  });
});
