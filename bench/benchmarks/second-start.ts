/**
 * A store behind delay: what a process that starts a second time saves, what
 * fetching all of an image costs, and what it costs to prove its layers by their
 * diffIDs on top of that.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openImage } from '../../lib/index.js';
import { LayoutStorage, TestRegistry } from '../../lib/testing/testing.js';
import { realLayer } from '../corpus.js';
import { openRelay } from '../delayed-relay.js';
import { INDEXED, layoutImage } from '../layout-image.js';
import type { LinkSpeed } from '../link.js';
import { type Measures, trial } from '../process.js';
import { megabytesPerSecond, type Report, type Row, times } from '../report.js';
import { inRounds, type Medians, value } from '../rounds.js';
import type { SecondStartParameters } from '../trials/second-start.js';

const ROUNDS = 5;
const FILES = 50;
const MAX_FILE_BYTES = 1_000_000;
const SPEED: LinkSpeed = { roundTripMs: 20, megabits: 200 };
const AIM = 6;

const BARE = 'without a store';
const FIRST = 'with an empty store';
const SECOND = 'the second time';
const FIRST_SCATTERED = 'files of all of it, with an empty store';
const SECOND_SCATTERED = 'files of all of it, the second time';
const ALL = 'all of it, empty store';
const AGAIN = 'all of it, once more';
const PROOF = 'all of it is there, diffID not proved';

export async function secondStart(): Promise<Report> {
  const layer = await realLayer();
  const layout = await layoutImage('real-image', [layer.path]);
  const { together: paths, scattered } = await someFiles(`oci:${layout}:${INDEXED}`);
  const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-second-start-'));
  const registry = await TestRegistry.start({ storage: new LayoutStorage({ 'bench/app': layout }) });
  const relay = await openRelay(Number(registry.host.split(':')[1]), SPEED);
  const reference = `${relay.host}/bench/app:${INDEXED}`;
  const run = (
    given: Partial<SecondStartParameters> & Pick<SecondStartParameters, 'task'>,
  ): Promise<Measures> => trial('secondStart', { paths, ...given, reference });
  const store = (name: string): string => join(folder, name);
  /** A store of its own for each time. */
  const fresh = (name: string, prepare = (_path: string): void => {}): string => {
    rmSync(store(name), { recursive: true, force: true });
    prepare(store(name));
    return store(name);
  };
  try {
    await run({ task: 'read', folder: store('warm') });
    await run({ task: 'read', folder: store('scattered'), paths: scattered });
    await run({ task: 'all', folder: store('whole') });
    const unproved = (path: string): void => {
      cpSync(store('whole'), path, { recursive: true, preserveTimestamps: true });
      rmSync(join(path, 'answers'), { recursive: true });
    };
    const results = await inRounds(ROUNDS, [
      { name: BARE, run: () => run({ task: 'read' }) },
      { name: FIRST, run: () => run({ task: 'read', folder: fresh('cold') }) },
      { name: SECOND, run: () => run({ task: 'read', folder: store('warm') }) },
      {
        name: FIRST_SCATTERED,
        run: () => run({ task: 'read', folder: fresh('cold'), paths: scattered }),
      },
      {
        name: SECOND_SCATTERED,
        run: () => run({ task: 'read', folder: store('scattered'), paths: scattered }),
      },
      { name: ALL, run: () => run({ task: 'all', folder: fresh('filled') }) },
      { name: AGAIN, run: () => run({ task: 'all', folder: store('whole') }) },
      { name: PROOF, run: () => run({ task: 'all', folder: fresh('unproved', unproved) }) },
    ]);
    const [first, second] = [results.of(FIRST), results.of(SECOND)];
    const factor = value(first, 'milliseconds') / value(second, 'milliseconds');
    const linkMs = (value(results.of(ALL), 'bytes') * 8) / (SPEED.megabits * 1000);
    const proof = value(results.of(PROOF), 'cpu') - value(results.of(AGAIN), 'cpu');
    const failures = [
      ...(factor < AIM
        ? [`the second start is ${times(factor)} as fast as the first, expected ${AIM}×`]
        : []),
      ...(value(second, 'requests') > 1
        ? [`the second start made ${value(second, 'requests')} requests`]
        : []),
    ];
    return {
      title: 'second start of a process with a store',
      conditions: `${layer.description}; v2 index; ${FILES} files of up to 1 MB at the same time, neighbours unless it says otherwise; relay of ${SPEED.roundTripMs} ms and ${SPEED.megabits} Mbit/s, HTTP/1.1; from the call of openImage; medians of ${ROUNDS} processes`,
      rows: [
        row(BARE, results.of(BARE), ''),
        row(
          FIRST,
          first,
          `${times(value(first, 'milliseconds') / value(results.of(BARE), 'milliseconds'))} of without`,
        ),
        row(SECOND, second, `${times(factor)} as fast as the first time (aim ≥ ${AIM}×)`),
        row(FIRST_SCATTERED, results.of(FIRST_SCATTERED), ''),
        row(
          SECOND_SCATTERED,
          results.of(SECOND_SCATTERED),
          `${times(value(results.of(FIRST_SCATTERED), 'milliseconds') / value(results.of(SECOND_SCATTERED), 'milliseconds'))} as fast as the first time, bound by decoding`,
        ),
        row(
          ALL,
          results.of(ALL),
          `${times(value(results.of(ALL), 'milliseconds') / linkMs)} of the link's time`,
        ),
        row(AGAIN, results.of(AGAIN), ''),
        row(
          PROOF,
          results.of(PROOF),
          `${megabytesPerSecond(value(results.of(PROOF), 'read'), proof)} of layer for each core`,
        ),
      ],
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
  const spent = `${value(medians, 'requests')} requests, ${(value(medians, 'bytes') / 1e6).toFixed(2)} MB, ${value(medians, 'cpu').toFixed(0)} ms CPU`;
  return {
    name,
    value: `${value(medians, 'milliseconds').toFixed(0)} ms`,
    ratio: ratio === '' ? spent : `${ratio}; ${spent}`,
  };
}

/** Files of one folder and what follows it, as a program's start reads them, and files from all over the image. */
async function someFiles(reference: string): Promise<{ together: string[]; scattered: string[] }> {
  await using image = await openImage(reference);
  const files: string[] = [];
  for (const entry of await image.readdir('/', { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && (await image.stat(path)).size <= MAX_FILE_BYTES) files.push(path);
  }
  const middle = files.length >> 1;
  const scattered = Array.from(
    { length: FILES },
    (_, at) => files[Math.floor(((at + 0.5) * files.length) / FILES)] as string,
  );
  return { together: files.slice(middle, middle + FILES), scattered };
}
