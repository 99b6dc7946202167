/** Second requests for ranges that are waited for too long: when they are sent, to whom, and what comes of them. */
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { openImage } from '../../lib/image/open-image.js';
import { type ChannelEvents, subscribe } from '../../lib/observe/channels.js';
import { type HedgeOptions, Hedging } from '../../lib/registry/hedging.js';
import { RegistryTransport } from '../../lib/registry/transport.js';
import { HostTraffic } from '../../lib/source/http/host-traffic.js';
import type { RangeSource, ReadOptions } from '../../lib/source/range-source.js';
import { ReadContext } from '../../lib/span/read-context.js';
import type { Fault, TestRegistry } from '../../lib/testing/testing.js';
import { layerOf, pushIndexedImage } from '../image/sample-image.js';
import fc from '../property.js';
import { textLike } from '../span/sample-layers.js';
import {
  blobOf,
  collect,
  failure,
  openRepository,
  sampleBytes,
  startRegistry,
  startTransport,
} from './fixture.js';

const LAYER = sampleBytes(100_000);
const BLOB = blobOf(LAYER);
const BLOBS = { method: 'GET', path: '/blobs/' };
/** Reads until a host's times are known. */
const KNOWN = 16;
const SILENT: Fault = { match: BLOBS, times: 1, reply: () => new Promise<never>(() => {}) };

/** As many requests to one host at a time. */
function trafficOf(places: number): HostTraffic {
  const limit = { places, epoch: 0, allow() {}, succeeded() {}, failed() {}, answered() {} };
  return new HostTraffic(() => 0, { limit: () => limit });
}

interface Hedged {
  readonly origin: TestRegistry;
  readonly mirrors: readonly TestRegistry[];
  readonly source: RangeSource;
  readonly events: ChannelEvents['seekable-oci:registry:hedge'][];
  /** Bytes that were asked for twice, as the reader is told. */
  readonly twice: number[];
  /** Of the transport. */
  readonly traffic: HostTraffic;
  read(offset?: number, options?: ReadOptions): Promise<void>;
  counts(): number[];
}

/** A blob of which every host is known to take 100 ms by a clock of the test, so that longer silence is hedged. */
async function hedged(t: Test, mirrorCount: number, known = KNOWN, places = 16): Promise<Hedged> {
  const origin = await startRegistry(t);
  const mirrors: TestRegistry[] = [];
  for (let i = 0; i < mirrorCount; i++) mirrors.push(await startRegistry(t, { storage: origin.storage }));
  await openRepository(startTransport(t), origin).pushBlob(BLOB, LAYER);
  const hosts = { [origin.host]: { mirrors: mirrors.map(({ url }) => ({ url })) } };
  let now = 0;
  const tick = (): boolean => {
    now += 100;
    return false;
  };
  for (const place of [...mirrors, origin]) place.inject({ match: tick });
  // In the configured order nobody is probed.
  const traffic = trafficOf(places);
  const options = { hosts, hostOrder: 'configured', hedge: {}, retry: { retries: 0 }, traffic } as const;
  const transport = new RegistryTransport({ credentials: null, env: {}, ...options }, () => now);
  t.teardown(() => transport.close());
  const source = await openRepository(transport, origin).openBlob(BLOB);
  t.teardown(() => source.close());
  const events: Hedged['events'] = [];
  t.teardown(subscribe('seekable-oci:registry:hedge', event => events.push(event)));
  const twice: number[] = [];
  const read = async (offset = 0, options: ReadOptions = {}): Promise<void> => {
    const bytes = await source.read(offset, 1000, { ...options, onHedge: bytes => void twice.push(bytes) });
    t.same(Buffer.from(bytes), Buffer.from(LAYER.subarray(offset, offset + 1000)));
  };
  for (let i = 0; i < known; i++) await read();
  for (const place of [...mirrors, origin]) place.clearFaults();
  const counts = (): number[] => [...mirrors, origin].map(({ requests }) => requests.splice(0).length);
  counts();
  events.length = 0;
  twice.length = 0;
  return { origin, mirrors, source, events, twice, traffic, read, counts };
}

t.test('the other connection of one host', async t => {
  const { origin, read, events, twice, counts } = await hedged(t, 0);
  origin.inject(SILENT);
  await read(500);
  t.same(counts(), [2]);
  t.match(events, [{ registry: origin.host, host: origin.host, bytes: 1000, outcome: 'won' }]);
  t.same(twice, [1000]);
  await read();
  t.same(counts(), [1], 'nothing more of it');
});

t.test('another host, where there is one', async t => {
  const { mirrors, read, events, counts } = await hedged(t, 2);
  mirrors[0]!.inject(SILENT);
  await read();
  t.same(counts(), [1, 1, 0]);
  t.match(events, [{ host: mirrors[1]!.host, outcome: 'won' }]);
});

t.test('a body that hangs behind its header', async t => {
  const { origin, read, events } = await hedged(t, 0);
  origin.inject({ match: BLOBS, times: 1, stallAfter: 0 });
  await read();
  t.match(events, [{ outcome: 'won' }], 'the first byte counts');
});

t.test('the first may answer after all', async t => {
  const { origin, read, events, counts } = await hedged(t, 0);
  origin.inject({ match: BLOBS, times: 1, delay: 300 });
  origin.inject(SILENT);
  await read();
  t.same(counts(), [2]);
  t.match(events, [{ outcome: 'lost' }]);
});

/** Takes a place at `place` until what is returned is called. */
async function occupy(t: Test, place: TestRegistry, traffic: HostTraffic): Promise<() => Promise<void>> {
  const source = await openRepository(startTransport(t, { traffic }), place).openBlob(BLOB);
  let free = (): void => {};
  const freed = new Promise<void>(resolve => {
    free = resolve;
  });
  place.inject({ match: BLOBS, times: 1, until: () => freed });
  const reading = source.read(0, 10);
  while (place.requests.length === 0) await turn();
  place.requests.length = 0;
  return async () => {
    free();
    await reading;
    await source.close();
  };
}

t.test('waiting for one’s turn is no silence', async t => {
  const { mirrors, traffic, read, events, counts } = await hedged(t, 2, KNOWN, 1);
  const leave = await occupy(t, mirrors[0]!, traffic);
  const waiting = [read(), read()];
  await new Promise(resolve => setTimeout(resolve, 300));
  await leave();
  await Promise.all(waiting);
  t.same([counts(), events], [[2, 0, 0], []]);
});

t.test('a second request waits for nobody', async t => {
  const { origin, mirrors, traffic, read, events, twice, counts } = await hedged(t, 1, KNOWN, 1);
  const leave = await occupy(t, origin, traffic);
  mirrors[0]!.inject({ match: BLOBS, times: 1, delay: 300 });
  await read();
  t.same([counts(), events, twice], [[1, 0], [], []]);
  await leave();
  mirrors[0]!.inject({ match: BLOBS, times: 1, delay: 300 });
  await read();
  t.same([counts(), events.length, twice], [[1, 1], 1, [1000]]);
});

t.test('whoever is overtaken has neither failed nor to try again', async t => {
  const { origin, mirrors, read, counts } = await hedged(t, 1);
  const left: unknown[] = [];
  t.teardown(subscribe('seekable-oci:registry:endpoint', event => left.push(event)));
  for (let i = 0; i < 5; i++) {
    mirrors[0]!.inject(SILENT);
    await read();
  }
  t.same([counts(), left], [[5, 5], []]);
  await read();
  t.same(counts(), [1, 0], 'it is still the first to be asked');
  t.equal(origin.requests.length, 0);
});

/** Reads, and compares whatever is told to be there with what it has to be, then and in the end. */
async function readTold(source: RangeSource): Promise<number[]> {
  const told: Uint8Array[] = [];
  const onBytes = (arrived: Uint8Array): void => {
    told.push(arrived);
    if (Buffer.compare(arrived, LAYER.subarray(0, arrived.length)) !== 0) throw new Error('not final');
  };
  const bytes = await source.read(0, 1000, { onBytes });
  t.same(Buffer.from(bytes), Buffer.from(LAYER.subarray(0, 1000)));
  const isTheReaders = told.every(
    arrived => Buffer.compare(arrived, LAYER.subarray(0, arrived.length)) === 0,
  );
  t.ok(isTheReaders, 'what was told stays');
  return told.map(({ length }) => length);
}

t.test('bytes are told when they are final, whoever sent them', async t => {
  const { origin, source, events, counts } = await hedged(t, 0);
  origin.inject(SILENT);
  t.equal((await readTold(source)).at(-1), 1000);
  origin.inject({ match: BLOBS, times: 1, delay: 300 });
  origin.inject(SILENT);
  t.equal((await readTold(source)).at(-1), 1000);
  t.match(events, [{ outcome: 'won' }, { outcome: 'lost' }]);
  t.same(counts(), [4]);

  t.test('and stand when the second breaks off behind them', async t => {
    origin.inject(SILENT);
    const headers = { 'content-range': 'bytes 0-999/100000' };
    origin.inject({ match: BLOBS, times: 1, reply: { status: 206, headers, body: breakingOff() } });
    const told = await readTold(source);
    t.same([told[0], told.at(-1)], [10, 1000]);
    t.equal(origin.requests.at(-1)?.headers['range'], 'bytes=10-999', 'the rest alone is asked for again');
  });
});

t.test('when one fails, the other decides', async t => {
  const { origin, read, events } = await hedged(t, 0);
  origin.inject({ match: BLOBS, times: 1, delay: 300 });
  origin.inject({ match: BLOBS, times: 1, reply: { status: 500, headers: {} } });
  await read();
  t.match(events, [{ outcome: 'lost' }]);
  origin.inject({ match: BLOBS, times: 1, delay: 200, reply: { status: 500, headers: {} } });
  origin.inject({ match: BLOBS, times: 1, delay: 200 });
  await read();
  t.match(events.slice(1), [{ outcome: 'won' }]);
});

t.test('when both fail, the first’s error is the read’s', async t => {
  const { origin, source, events } = await hedged(t, 0);
  origin.inject({ match: BLOBS, times: 1, delay: 300, reply: { status: 404, headers: {} } });
  origin.inject({ match: BLOBS, times: 1, reply: { status: 500, headers: {} } });
  t.match(await failure(source.read(0, 10)), { code: 'ERR_SOCI_REGISTRY_NOT_FOUND' });
  t.match(events, [{ outcome: 'failed' }]);
});

/** Its first bytes are surely there before it does. */
async function* breakingOff(): AsyncGenerator<Uint8Array> {
  yield LAYER.subarray(0, 10);
  await new Promise(resolve => setTimeout(resolve, 200));
  throw new Error('broke off');
}

t.test('a second that wins and breaks off leaves it to the first, once more', async t => {
  const { origin, read, events, counts } = await hedged(t, 0);
  origin.inject(SILENT);
  const headers = { 'content-range': 'bytes 0-999/100000' };
  origin.inject({ match: BLOBS, times: 1, reply: { status: 206, headers, body: breakingOff() } });
  await read();
  t.same(counts(), [3]);
  t.match(events, [{ outcome: 'failed' }]);
});

t.test('a mirror without the blob is not asked a second time', async t => {
  const { mirrors, read, events, counts } = await hedged(t, 2);
  mirrors[1]!.inject({ match: BLOBS, reply: { status: 404, headers: {} } });
  for (let i = 0; i < 2; i++) {
    mirrors[0]!.inject({ match: BLOBS, times: 1, delay: 300 });
    await read();
  }
  t.same(counts(), [2, 1, 1], 'the next hedge goes elsewhere');
  t.equal(events.length, 2);
});

t.test('aborting and closing end both', async t => {
  const { origin, source } = await hedged(t, 0);
  const bothSilent = async (): Promise<void> => {
    origin.clearFaults();
    origin.requests.length = 0;
    origin.inject({ ...SILENT, times: 2 });
  };
  const bothAsked = async (): Promise<void> => {
    while (origin.requests.length < 2) await turn();
  };
  await bothSilent();
  const controller = new AbortController();
  const reason = new Error('enough');
  const aborted = source.read(0, 10, { signal: controller.signal });
  aborted.catch(() => {});
  await bothAsked();
  controller.abort(reason);
  await t.rejects(aborted, reason);
  await bothSilent();
  const closed = failure(source.read(0, 10));
  await bothAsked();
  await source.close();
  t.match(await closed, { code: 'ERR_SOCI_CLOSED' });
});

t.test('is for demand alone, for ranges alone, and for known hosts alone', async t => {
  const { origin, read, source, events, counts } = await hedged(t, 0);
  for (const lane of ['prefetch', 'background'] as const) {
    origin.inject({ match: BLOBS, times: 1, delay: 300 });
    await read(0, { lane });
  }
  origin.inject({ match: BLOBS, times: 1, delay: 300 });
  await read(0, { fresh: true });
  origin.inject({ match: BLOBS, times: 1, delay: 300 });
  t.same(await collect(source.stream()), Buffer.from(LAYER));
  t.same([counts(), events], [[4], []]);
  const unknown = await hedged(t, 0, KNOWN - 1);
  unknown.origin.inject({ match: BLOBS, times: 1, delay: 300 });
  await unknown.read();
  t.same(unknown.counts(), [1]);
});

t.test('the budget', t => {
  const MIB = 1024 * 1024;
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      fc.array(fc.tuple(fc.nat({ max: 8 * MIB }), fc.boolean()), { maxLength: 200 }),
      (budget, reads) => {
        const hedging = new Hedging({ budget });
        let [read, twice] = [0, 0];
        for (const [bytes, silent] of reads) {
          hedging.earn(bytes);
          read += bytes;
          if (silent && hedging.spend(bytes)) twice += bytes;
          if (twice > 4 * MIB + budget * read + 1) return false;
        }
        return true;
      },
    ),
  );
  const hedging = new Hedging({ budget: 1 });
  for (let i = 0; i < 100; i++) hedging.earn(MIB);
  t.ok(hedging.spend(16 * MIB));
  t.notOk(hedging.spend(MIB), 'no more is saved up');
  t.end();
});

t.test('options', async t => {
  for (const hedge of [
    { percentile: 49 },
    { percentile: 100 },
    { percentile: Number.NaN },
    { percentile: '95' },
    { budget: 0 },
    { budget: 1.1 },
    { budget: Number.NaN },
    { bugdet: 1 },
    5,
  ]) {
    t.throws(() => new RegistryTransport({ hedge: hedge as HedgeOptions }), {
      code: 'ERR_SOCI_INVALID_ARGUMENT',
    });
  }
  const registry = await startRegistry(t);
  const body = textLike(300_000, 1);
  const layers = [await layerOf([{ name: 'a', body }])];
  await pushIndexedImage(openRepository(startTransport(t), registry), layers, { tag: 'v1' });
  const image = await openImage(`${registry.host}/demo/app:v1`, {
    credentials: null,
    env: {},
    hedge: { percentile: 90, budget: 0.5 },
    context: new ReadContext({ cacheBytes: 0, maxRequestBytes: 1 }),
  });
  t.teardown(() => image.close());
  t.match(image.stats, { hedges: 0, hedgeBytes: 0, lanes: { demand: { hedges: 0, hedgeBytes: 0 } } });
  while (image.stats.requests < KNOWN + 1) await image.readFile('/a');
  registry.inject({ match: { path: layers[0]!.descriptor.digest }, times: 1, delay: 1000 });
  t.strictSame(await image.readFile('/a'), body);
  t.ok(image.stats.hedges >= 1);
  t.ok(image.stats.hedgeBytes > 0);
  const { hedges, hedgeBytes, lanes } = image.stats;
  t.match(lanes.demand, { hedges, hedgeBytes });
});
