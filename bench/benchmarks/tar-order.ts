/**
 * Everything in an image, read file by file in the order of its tar, as whoever
 * copies or scans one does: against what the link takes for the layer, against
 * curl and gzip on loopback, and without reading ahead.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openImage } from '../../lib/index.js';
import { LayoutStorage, TestRegistry } from '../../lib/testing/testing.js';
import { realLayer } from '../corpus.js';
import { openRelay } from '../delayed-relay.js';
import { INDEXED, layoutImage } from '../layout-image.js';
import type { LinkSpeed } from '../link.js';
import { type Measures, trial } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { inRounds, type Medians, value } from '../rounds.js';
import type { TarOrderParameters } from '../trials/tar-order.js';

const ROUNDS = 5;
const SPEED: LinkSpeed = { roundTripMs: 20, megabits: 200 };
const FAR = 'behind delay';
const FAR_ALONE = 'behind delay, nothing read ahead';
const NEAR = 'on loopback';
const GUNZIP = 'curl | gzip -dc on loopback';
const AIMS = { link: 1.05, gunzip: 2.5, ahead: 1.3 } as const;

export async function tarOrder(): Promise<Report> {
  const layer = await realLayer();
  const layout = await layoutImage('real-image', [layer.path]);
  const { digest, size } = await onlyLayer(`oci:${layout}:${INDEXED}`);
  const registry = await TestRegistry.start({ storage: new LayoutStorage({ 'bench/app': layout }) });
  const relay = await openRelay(Number(new URL(registry.url).port), SPEED);
  const reference = (host: string): string => `${host}/bench/app:${INDEXED}`;
  const variant = (name: string, parameters: TarOrderParameters) => ({
    name,
    run: () => trial('tarOrder', { ...parameters }),
  });
  try {
    const results = await inRounds(ROUNDS, [
      variant(FAR, { reference: reference(relay.host) }),
      variant(FAR_ALONE, { reference: reference(relay.host), maxReadAheadBytes: 0 }),
      variant(NEAR, { reference: reference(registry.host) }),
      { name: GUNZIP, run: () => gunzip(`${registry.url}/v2/bench/app/blobs/${digest}`) },
    ]);
    const ms = (name: string): number => value(results.of(name), 'milliseconds');
    const linkMs = (size * 8) / (SPEED.megabits * 1000);
    const ofLink = ms(FAR) / linkMs;
    const faster = ms(GUNZIP) / ms(NEAR);
    const ahead = ms(FAR_ALONE) / ms(FAR);
    const failures = [
      ...(ofLink > AIMS.link ? [`${times(ofLink)} of the link's time, expected ${AIMS.link}×`] : []),
      ...(faster < AIMS.gunzip ? [`${times(faster)} of gzip's speed, expected ${AIMS.gunzip}×`] : []),
      ...(ahead < AIMS.ahead ? [`reading ahead: ${times(ahead)}, expected ${AIMS.ahead}×`] : []),
    ];
    return {
      title: 'all files of an image in the order of its tar',
      conditions: `${layer.description}; v2 index, no store; one read of up to 1 MiB after the other; relay of ${SPEED.roundTripMs} ms and ${SPEED.megabits} Mbit/s, HTTP/1.1; from the call of openImage; medians of ${ROUNDS} processes`,
      rows: [
        row(FAR, results.of(FAR), `${times(ofLink)} of the link's time (aim ≤ ${AIMS.link}×)`),
        row(FAR_ALONE, results.of(FAR_ALONE), `takes ${times(ahead)} as long (aim ≥ ${AIMS.ahead}×)`),
        row(NEAR, results.of(NEAR), `${times(faster)} as fast as curl | gzip (aim ≥ ${AIMS.gunzip}×)`),
        { name: GUNZIP, value: `${ms(GUNZIP).toFixed(0)} ms` },
      ],
      failures,
      raw: results.raw,
    };
  } finally {
    await relay.close();
    await registry.close();
  }
}

async function onlyLayer(reference: string): Promise<{ readonly digest: string; readonly size: number }> {
  await using image = await openImage(reference);
  const [layer] = image.layers;
  if (layer === undefined) throw new Error(`${reference}: no layer`);
  return layer.descriptor;
}

async function gunzip(url: string): Promise<Measures> {
  const start = performance.now();
  const child = spawn('bash', ['-o', 'pipefail', '-c', 'curl -sS "$0" | gzip -dc >/dev/null', url], {
    stdio: 'inherit',
  });
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`curl | gzip: ended with ${status}`);
  return { milliseconds: performance.now() - start };
}

function row(name: string, medians: Medians, ratio: string): Row {
  const peak = `${(value(medians, 'peak') / 2 ** 20).toFixed(0)} MiB at most`;
  const spent = `${value(medians, 'requests')} requests, ${value(medians, 'cpu').toFixed(0)} ms CPU, ${peak}`;
  return { name, value: `${value(medians, 'milliseconds').toFixed(0)} ms`, ratio: `${ratio}; ${spent}` };
}
