/**
 * Which host a span is read of: two mirrors of which the first is slow, in the measured order and in the configured
 * one. All hosts are registries in this process, each behind a relay of its own.
 */
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { LayoutStorage, TestRegistry } from '../../lib/testing/testing.js';
import { openRelay, type Relay } from '../delayed-relay.js';
import { INDEXED, layoutImage } from '../layout-image.js';
import { trial } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { inRounds, type Results, value } from '../rounds.js';
import { tarFile, tarTrailer } from '../tar-bytes.js';
import type { MirrorsParameters } from '../trials/mirrors.js';
import { cached } from '../workspace.js';

const ROUNDS = 5;
const FILE = 'data';
const FILE_BYTES = 48 * 1024 * 1024;
const SPAN_SIZE = 256 * 1024;
const MEGABITS = 200;
const FAST_MS = 10;
const SLOW_MS = 60;
const READS = 60;

const MEASURED = 'slow mirror first, measured order';
const CONFIGURED = 'slow mirror first, configured order';

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
    const trials: Readonly<Record<string, MirrorsParameters>> = {
      [MEASURED]: { ...choice, hostOrder: 'measured' },
      [CONFIGURED]: { ...choice, hostOrder: 'configured' },
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
        `fresh processes; medians of ${ROUNDS}`,
      rows: choiceRows(results),
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

interface Hosts {
  readonly registry: Relay;
  readonly slow: Relay;
  readonly fast: Relay;
  close(): Promise<void>;
}

async function startHosts(): Promise<Hosts> {
  const storage = new LayoutStorage({ bench: await sampleImage() });
  const server = await TestRegistry.start({ storage });
  const port = Number(new URL(server.url).port);
  const relay = (roundTripMs: number): Promise<Relay> => openRelay(port, { roundTripMs, megabits: MEGABITS });
  const [registry, slow, fast] = await Promise.all([relay(FAST_MS), relay(SLOW_MS), relay(FAST_MS)]);
  return {
    registry,
    slow,
    fast,
    async close() {
      await Promise.all([registry, slow, fast].map(each => each.close()));
      await server.close();
    },
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
