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
import { trial } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { inRounds, type Results, value } from '../rounds.js';
import { tarFile, tarTrailer } from '../tar-bytes.js';
import type { MirrorsParameters } from '../trials/mirrors.js';
import { cached } from '../workspace.js';

const ROUNDS = 3;
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
const HANG_RATE = 0.05;
const HEDGE = { percentile: 90, budget: 0.1 };
const KNOWN_AFTER = 20;
const HEDGED_READS = 200;

const MEASURED = 'slow mirror first, measured order';
const CONFIGURED = 'slow mirror first, configured order';
const HEDGED = 'one in twenty hangs, hedged';
const UNHEDGED = 'one in twenty hangs, not hedged';

export async function mirrors(): Promise<Report> {
  const hosts = await startHosts();
  try {
    const reference = `${hosts.registry.host}/bench:${INDEXED}`;
    const common = { reference, path: `/${FILE}`, spanSize: SPAN_SIZE, seed: 1 };
    const choice = {
      ...common,
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
    const trials: Readonly<Record<string, MirrorsParameters>> = {
      [MEASURED]: { ...choice, hostOrder: 'measured' },
      [CONFIGURED]: { ...choice, hostOrder: 'configured' },
      [HEDGED]: { ...uneven, hedge: HEDGE },
      [UNHEDGED]: uneven,
    };
    const variants = Object.entries(trials).map(([name, parameters]) => ({
      name,
      run: () => trial('mirrors', { ...parameters }),
    }));
    const results = await inRounds(ROUNDS, variants);
    return {
      title: 'mirrors',
      conditions:
        `one byte of single spans of ${SPAN_SIZE / 1024} KiB at random places, one after the other, nothing cached; ` +
        `relays of ${MEGABITS} Mbit/s; ${READS} reads from the first one on, mirrors at ${SLOW_MS} and ${FAST_MS} ms; ` +
        `${HEDGED_READS} reads of a host at ${UNEVEN_MS} ms, of whose replies ${HANG_RATE * 100} % take ${HANG_MS} ms, ` +
        `hedged after its ${HEDGE.percentile}th percentile within ${HEDGE.budget * 100} % of bytes; ` +
        `fresh processes; medians of ${ROUNDS}`,
      rows: [...choiceRows(results), ...hedgeRows(results)],
      raw: results.raw,
    };
  } finally {
    await hosts.close();
  }
}

function choiceRows(results: Results): Row[] {
  const [on, off] = [results.of(MEASURED), results.of(CONFIGURED)];
  const row = (name: string, ratio: string): Row => {
    const got = results.of(name);
    const latency = `${value(got, 'median').toFixed(1)} ms median`;
    return { name, value: `${value(got, 'milliseconds').toFixed(0)} ms`, ratio: `${latency}${ratio}` };
  };
  const slower = times(value(off, 'milliseconds') / value(on, 'milliseconds'));
  return [row(MEASURED, ''), row(CONFIGURED, `; takes ${slower} as long (aim ≥ 1.30×)`)];
}

function hedgeRows(results: Results): Row[] {
  const off = results.of(UNHEDGED);
  return [HEDGED, UNHEDGED].map((name): Row => {
    const got = results.of(name);
    const part = (key: string): string => `${value(got, key).toFixed(0)} ms`;
    const latencies = `median ${part('median')}, p95 ${part('p95')}, p99 ${part('p99')}`;
    const slower = (key: string): string => times(value(off, key) / value(results.of(HEDGED), key));
    const extra = ((value(got, 'hedgeBytes') / value(got, 'fetchedBytes')) * 100).toFixed(1);
    const ratio =
      name === UNHEDGED
        ? `p95 ${slower('p95')}, p99 ${slower('p99')} as long (aim ≥ 1.30×)`
        : `${value(got, 'hedges')} hedges, ${extra} % of the bytes asked for twice`;
    return { name, value: latencies, ratio };
  });
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
  hanging.inject({ match: oneInTwenty(), delay: HANG_MS });
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
function oneInTwenty(): (request: RegistryRequest) => boolean {
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
