/**
 * The start of a real program out of an image behind delay: its reads in their
 * order, with the load order of that workload and without, against what the link
 * takes at least, and beside another build.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { encodeLoadOrder, mergeTraces, openImage, parseLoadOrder } from '../../lib/index.js';
import { LayoutStorage, TestRegistry } from '../../lib/testing/testing.js';
import { openRelay } from '../delayed-relay.js';
import { INDEXED } from '../layout-image.js';
import type { LinkSpeed } from '../link.js';
import { trial } from '../process.js';
import { type PythonImage, pythonImage } from '../python-image.js';
import { type Report, type Row, times } from '../report.js';
import { inRounds, type Medians, type Variant, value } from '../rounds.js';

const ROUNDS = 15;
const SPEED: LinkSpeed = { roundTripMs: 20, megabits: 200 };
const ROUND_TRIPS = 5;
const TITLE = 'the start of a program with its load order';
const WITH = 'with its load order';
const WITHOUT = 'without';
const THEIRS = 'without, baseline';
const AIMS = { limit: 1.15, without: 0.8, baseline: 1.5 } as const;

export async function loadOrder(baseline: string | undefined): Promise<Report> {
  const image = await pythonImage();
  if (image === undefined) {
    return {
      title: TITLE,
      conditions: "needs Debian's python3 and strace",
      rows: [{ name: 'not measured', value: '' }],
      raw: {},
    };
  }
  const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-load-order-'));
  const registry = await TestRegistry.start({ storage: new LayoutStorage({ 'bench/app': image.layout }) });
  const relay = await openRelay(Number(new URL(registry.url).port), SPEED);
  try {
    const local = `oci:${image.layout}:${INDEXED}`;
    const reads = join(folder, 'reads.json');
    const order = join(folder, 'order.json');
    writeFileSync(reads, JSON.stringify(image.reads));
    writeFileSync(order, await orderOf(local, image));
    const reference = `${relay.host}/bench/app:${INDEXED}`;
    const variant = (name: string, of: string, document?: string): Variant => ({
      name,
      run: () => trial('loadOrder', { package: resolve(of), reference, reads, order: document }),
    });
    const variants = [variant(WITH, '.', order), variant(WITHOUT, '.')];
    if (baseline !== undefined) variants.push(variant(THEIRS, baseline));
    const results = await inRounds(ROUNDS, variants);
    const needed = await neededBytes(local, order);
    const linkMs = (needed * 8) / (SPEED.megabits * 1000) + ROUND_TRIPS * SPEED.roundTripMs;
    const [ours, without] = [results.of(WITH), results.of(WITHOUT)];
    const ms = (medians: Medians): number => value(medians, 'milliseconds');
    const limit = linkMs + value(ours, 'started');
    const ofLimit = ms(ours) / limit;
    const ofWithout = ms(ours) / ms(without);
    const rows: Row[] = [
      row(
        WITH,
        ours,
        `${times(ofLimit)} of the limit (aim ≤ ${AIMS.limit}×), ${times(ofWithout)} of without (aim ≤ ${AIMS.without}×)`,
      ),
      row(WITHOUT, without, ''),
    ];
    const failures = [
      ...(ofLimit > AIMS.limit ? [`${times(ofLimit)} of the limit, expected ${AIMS.limit}×`] : []),
      ...(ofWithout > AIMS.without ? [`${times(ofWithout)} of without, expected ${AIMS.without}×`] : []),
    ];
    if (baseline !== undefined) {
      const faster = ms(results.of(THEIRS)) / ms(without);
      rows.push(
        row(THEIRS, results.of(THEIRS), `without is ${times(faster)} as fast (aim ≥ ${AIMS.baseline}×)`),
      );
      if (faster < AIMS.baseline)
        failures.push(`${times(faster)} of the baseline's speed, expected ${AIMS.baseline}×`);
    }
    return {
      title: TITLE,
      conditions:
        `${image.description}, ${image.reads.length} reads one after the other; v2 index; relay of ` +
        `${SPEED.roundTripMs} ms and ${SPEED.megabits} Mbit/s, HTTP/1.1; from the start of the process, of which ` +
        `${value(ours, 'started').toFixed(0)} ms go by before the image is opened; the limit is that, ${ROUND_TRIPS} round trips, and ` +
        `${(needed / 1e6).toFixed(1)} MB of ztocs and spans at the link's rate; medians of ${ROUNDS}`,
      rows,
      failures,
      raw: results.raw,
    };
  } finally {
    await relay.close();
    await registry.close();
    rmSync(folder, { recursive: true });
  }
}

function row(name: string, medians: Medians, ratio: string): Row {
  const spent = `${value(medians, 'requests')} requests, ${(value(medians, 'fetchedBytes') / 1e6).toFixed(1)} MB of layers`;
  return {
    name,
    value: `${value(medians, 'milliseconds').toFixed(0)} ms`,
    ratio: ratio === '' ? spent : `${ratio}; ${spent}`,
  };
}

async function orderOf(reference: string, { reads }: PythonImage): Promise<Uint8Array> {
  await using image = await openImage(reference);
  const { digest } = image.manifest.descriptor;
  return encodeLoadOrder(mergeTraces([{ image: digest, reads }], 'import'));
}

/** Ztocs, and the spans that the load order names. */
async function neededBytes(reference: string, order: string): Promise<number> {
  await using image = await openImage(reference);
  const { steps } = await image.planLoads(parseLoadOrder(readFileSync(order), order));
  const ztocs = image.layers.reduce((sum, { ztoc }) => sum + (ztoc?.size ?? 0), 0);
  return steps.reduce((sum, { bytes }) => sum + bytes, ztocs);
}
