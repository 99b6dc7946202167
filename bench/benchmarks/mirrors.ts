/**
 * Which host a span is read of, and whether a second one is asked: two mirrors of which the first is slow, in the
 * measured order and in the configured one; a host of which some requests take very long, with hedging and without.
 * All hosts are registries in this process, each behind a relay of its own.
 */
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { LayoutStorage, type RegistryRequest, TestRegistry } from '../../lib/testing/testing.js';
import { openRelay, type Relay } from '../delayed-relay.js';
import { INDEXED, layoutImage } from '../layout-image.js';
import { inPairs, intervalOf, type Pair } from '../paired.js';
import { trial } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { median, value } from '../rounds.js';
import { tarFile, tarTrailer } from '../tar-bytes.js';
import type { MirrorsParameters } from '../trials/mirrors.js';
import { cached } from '../workspace.js';

const PAIRS = 5;
const REQUIRED = 1.3;
const FILE = 'data';
const FILE_BYTES = 48 * 1024 * 1024;
const SPAN_SIZE = 256 * 1024;
const MEGABITS = 200;
const FAST_MS = 10;
const SLOW_MS = 60;
const READS = 40;
/** Of the host that is hedged. */
const UNEVEN_MS = 20;
const HANG_MS = 20 * UNEVEN_MS;
/** The 95th percentile is of a reply that hangs. */
const HANG_RATE = 0.08;
/** It leaves out about twice as many replies as hang: of some hundred more may hang than on average. */
const HEDGE = { percentile: 85, budget: 0.1 };
const KNOWN_AFTER = 40;
const HEDGED_READS = 200;

const CHOICE = 'slow mirror first';
const HEDGING = `${HANG_RATE * 100} % hang`;

export async function mirrors(): Promise<Report> {
  const hosts = await startHosts();
  try {
    const common = { path: `/${FILE}`, spanSize: SPAN_SIZE, seed: 1 };
    const choice = {
      ...common,
      reference: `${hosts.registry.host}/bench:${INDEXED}`,
      mirrors: [`http://${hosts.slow.host}`, `http://${hosts.fast.host}`],
      before: 0,
      reads: READS,
    };
    const uneven = {
      ...common,
      reference: `${hosts.uneven.host}/bench:${INDEXED}`,
      mirrors: [],
      hostOrder: 'measured',
      before: KNOWN_AFTER,
      reads: HEDGED_READS,
    } as const;
    const run = (parameters: MirrorsParameters) => () => trial('mirrors', { ...parameters });
    const results = await inPairs(PAIRS, [
      {
        name: CHOICE,
        ours: run({ ...choice, hostOrder: 'measured' }),
        theirs: run({ ...choice, hostOrder: 'configured' }),
      },
      { name: HEDGING, ours: run({ ...uneven, hedge: HEDGE }), theirs: run(uneven) },
    ]);
    const gains = [
      gainOf(results, CHOICE, 'milliseconds', 'all reads, against the configured order'),
      gainOf(results, HEDGING, 'milliseconds', `all reads, against none asked for twice (${twice(results)})`),
      gainOf(results, HEDGING, 'p95', '95th percentile'),
      gainOf(results, HEDGING, 'p99', '99th percentile, where second requests hang too'),
    ];
    return {
      title: 'mirrors',
      conditions:
        `one byte of single spans of ${SPAN_SIZE / 1024} KiB at random places, one after the other, nothing cached; ` +
        `relays of ${MEGABITS} Mbit/s; ${READS} reads from the first one on, mirrors at ${SLOW_MS} and ${FAST_MS} ms; ` +
        `${HEDGED_READS} reads of a host at ${UNEVEN_MS} ms, of whose replies ${HANG_RATE * 100} % take ${HANG_MS} ms, ` +
        `hedged after its ${HEDGE.percentile}th percentile within ${HEDGE.budget * 100} % of bytes; ` +
        `medians of ${PAIRS} pairs of processes`,
      rows: gains.map(({ row }) => row),
      failures: gains.slice(0, 3).flatMap(({ failure }) => failure ?? []),
      raw: Object.fromEntries(results),
    };
  } finally {
    await hosts.close();
  }
}

type PairsByName = ReadonlyMap<string, readonly Pair[]>;

interface Gain {
  readonly row: Row;
  /** That it is less than what is required. */
  readonly failure: string | undefined;
}

function gainOf(results: PairsByName, name: string, key: string, what: string): Gain {
  const pairs = results.get(name) ?? [];
  const each = (side: keyof Pair): number => median(pairs.map(pair => value(pair[side], key)));
  const gain = intervalOf(pairs.map(({ ours, theirs }) => value(theirs, key) / value(ours, key)));
  const interval = `[${gain.low.toFixed(2)}, ${gain.high.toFixed(2)}]`;
  const ratio = `${times(gain.median)} ${interval} as long without (${each('theirs').toFixed(0)} ms): ${what}`;
  const failure = `${name}, ${what}: ${times(gain.median)}, expected ${times(REQUIRED)}`;
  return {
    row: { name, value: `${each('ours').toFixed(0)} ms`, ratio },
    failure: gain.median < REQUIRED ? failure : undefined,
  };
}

function twice(results: PairsByName): string {
  const pairs = results.get(HEDGING) ?? [];
  const part = pairs.map(({ ours }) => value(ours, 'hedgeBytes') / value(ours, 'fetchedBytes'));
  return `${(median(part) * 100).toFixed(1)} % of the bytes`;
}

interface Hosts {
  readonly registry: Relay;
  readonly slow: Relay;
  readonly fast: Relay;
  readonly uneven: Relay;
  close(): Promise<void>;
}

async function startHosts(): Promise<Hosts> {
  const storage = new LayoutStorage({ bench: await sampleImage() });
  const even = await TestRegistry.start({ storage });
  const hanging = await TestRegistry.start({ storage });
  hanging.inject({ match: someHang(), delay: HANG_MS });
  const relay = ({ url }: TestRegistry, roundTripMs: number): Promise<Relay> =>
    openRelay(Number(new URL(url).port), { roundTripMs, megabits: MEGABITS });
  const [registry, slow, fast, uneven] = await Promise.all([
    relay(even, FAST_MS),
    relay(even, SLOW_MS),
    relay(even, FAST_MS),
    relay(hanging, UNEVEN_MS),
  ]);
  return {
    registry,
    slow,
    fast,
    uneven,
    async close() {
      await Promise.all([registry, slow, fast, uneven].map(each => each.close()));
      await Promise.all([even.close(), hanging.close()]);
    },
  };
}

/** Of ranges of blobs, at random places that are the same in every run. */
function someHang(): (request: RegistryRequest) => boolean {
  let state = 1;
  return ({ headers }) => {
    if (headers['range'] === undefined) return false;
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 < HANG_RATE;
  };
}

/** A layer of one large file that compresses to about half, in small spans. */
async function sampleImage(): Promise<string> {
  const layer = await cached('mirrors.tar.gz', partial =>
    pipeline(
      Readable.from([tarFile(FILE, halfRandom(FILE_BYTES)), tarTrailer]),
      createGzip({ level: 1 }),
      createWriteStream(partial),
    ),
  );
  return layoutImage('mirrors-image', [layer], { spanSize: SPAN_SIZE });
}

/** Of every byte four bits that do not repeat. */
function halfRandom(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = 0x40 | (state >>> 28);
  }
  return bytes;
}
