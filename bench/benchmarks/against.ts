/**
 * This build against another checkout that was built on the same machine: what is
 * slower, what takes more memory, and how sure that is.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TocEntry, Ztoc } from '../../lib/index.js';
import { LayoutStorage, TestRegistry } from '../../lib/testing/testing.js';
import { compileCoreLoop } from '../compile.js';
import { type Layer, lastName, layersByKind, MANY_NAMES, manyNamesLayers, realLayer } from '../corpus.js';
import { openRelay } from '../delayed-relay.js';
import { INDEXED, layoutImage } from '../layout-image.js';
import type { LinkSpeed } from '../link.js';
import { type Contest, type Interval, inPairs, intervalOf, type Pair, signTestRank } from '../paired.js';
import { type Launcher, ON_ONE_CORE, run, trial } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { median, value } from '../rounds.js';
import { spanLoop } from '../span-loop.js';
import type { AgainstParameters } from '../trials/against.js';

export interface AgainstOptions {
  /** Folder of the other checkout, with dist/ and its addon. */
  readonly baseline: string;
  readonly pairs: number;
  /** Speed to be reached, as a factor of the baseline's; also bounds memory. Default: nothing is required. */
  readonly required?: number | undefined;
}

const LINK: LinkSpeed = { roundTripMs: 20, megabits: 200 };
const FILE_BYTES = 100e3;
/** Factor of the baseline's peak that the median may reach. */
const MEMORY_LIMIT = 1.05;
const GIVEN = "span to the caller's buffer";
/** Of the loop over the core, which is synchronous. */
const GIVEN_AIM = 0.92;
const GIVEN_PASSES = 3;
const TIME = 'milliseconds';

export async function against({ baseline, pairs, required }: AgainstOptions): Promise<Report> {
  const [ours, theirs] = [process.cwd(), resolve(baseline)];
  if (!existsSync(join(theirs, 'dist/index.js'))) {
    throw new Error(`${theirs}: no dist/index.js; build it there: npm ci && npm run build`);
  }
  await run('npm', ['run', '--silent', 'build']);
  const layer = await realLayer();
  const remote = await remoteFile(layer);
  try {
    const tasks = { ...(await localTasks(layer)), [remote.name]: remote.parameters };
    const contests = Object.entries(tasks).map(([name, { launcher, ...parameters }]): Contest => {
      const of = (folder: string) => () => trial('against', { ...parameters, package: folder }, launcher);
      return { name, ours: of(ours), theirs: of(theirs) };
    });
    const results = await inPairs(pairs, [...contests, await givenContest(layer)]);
    const verdicts = [...results].map(([name, all]) => judge(name, all, required));
    const coverage = (signTestRank(pairs).coverage * 100).toFixed(1);
    return {
      title: `${describe(ours)} against ${describe(theirs)}`,
      conditions:
        `${layer.description}; spans of 4 MiB; a fresh process per trial; medians of ${pairs} pairs in alternating ` +
        `order, the ratio of each pair: × > 1 is faster; [order statistics of the sign test, ${coverage} % sure]; ` +
        'memory is the peak of the process, × > 1 is more',
      rows: verdicts.map(({ row }) => row),
      failures: verdicts.flatMap(({ failures }) => failures),
      raw: Object.fromEntries(results),
    };
  } finally {
    await remote.close();
  }
}

interface Parameters extends Omit<AgainstParameters, 'package'> {
  readonly launcher?: Launcher;
}

async function localTasks({ path: layer, ztocPath: ztoc }: Layer): Promise<Record<string, Parameters>> {
  const chunksOfFile: Parameters = { task: 'chunks', from: 'file', layer, ztoc };
  const names = await layoutImage(`names-${MANY_NAMES}`, await manyNamesLayers());
  return {
    'cold single spans': { task: 'spans', layer, ztoc },
    buildZtoc: { task: 'build', layer },
    ...Object.fromEntries(
      Object.entries(await layersByKind()).map(([kind, path]) => [
        `buildZtoc, warm, ${kind}`,
        { task: 'warm-build', layer: path },
      ]),
    ),
    createTarStream: { task: 'stream', layer, ztoc },
    tarChunks: { task: 'chunks', layer, ztoc },
    'tarChunks of a file': chunksOfFile,
    'tarChunks of a file, one core': { ...chunksOfFile, launcher: ON_ONE_CORE },
    [`merging ${MANY_NAMES.toLocaleString('en')} names`]: {
      task: 'image',
      reference: `oci:${names}:${INDEXED}`,
      path: `/${lastName()}`,
    },
  };
}

interface RemoteFile {
  readonly name: string;
  readonly parameters: Parameters;
  close(): Promise<void>;
}

/** A file of an image in a registry behind delay, both in this process, which has nothing else to do. */
async function remoteFile(layer: Layer): Promise<RemoteFile> {
  const folder = await layoutImage('real-image', [layer.path]);
  const registry = await TestRegistry.start({ storage: new LayoutStorage({ bench: folder }) });
  const relay = await openRelay(Number(new URL(registry.url).port), LINK);
  const entry = fileOfSize(Ztoc.decode(readFileSync(layer.ztocPath)), FILE_BYTES);
  return {
    name: `cold read, ${LINK.roundTripMs} ms, ${LINK.megabits} Mbit/s`,
    parameters: { task: 'image', reference: `${relay.host}/bench:${INDEXED}`, path: `/${entry.name}` },
    async close() {
      await relay.close();
      await registry.close();
    },
  };
}

/** The regular file whose size comes closest. */
function fileOfSize(ztoc: Ztoc, size: number): TocEntry {
  const files = [...ztoc.entries()].filter(({ type }) => type === 'reg');
  const off = (entry: TocEntry): number => Math.abs(entry.size - size);
  return files.reduce((best, entry) => (off(entry) < off(best) ? entry : best));
}

/** Within this build: asynchronous jobs against a plain loop over the same core. */
async function givenContest(layer: Layer): Promise<Contest> {
  const loop = await spanLoop(await compileCoreLoop(), layer, GIVEN_PASSES);
  const job = { engine: 'fast', concurrency: 1, output: 'given', digests: 'none', passes: GIVEN_PASSES };
  return {
    name: GIVEN,
    ours: () => trial('decodeSpans', { ...job, layer: layer.path, ztoc: layer.ztocPath }),
    theirs: () => loop('fast'),
  };
}

interface Verdict {
  readonly row: Row;
  readonly failures: readonly string[];
}

/** A speed is reached when the interval reaches it: what is worse than that is no accident of this run. */
function judge(name: string, pairs: readonly Pair[], required: number | undefined): Verdict {
  const speed = intervalOf(pairs.map(({ ours, theirs }) => value(theirs, TIME) / value(ours, TIME)));
  const byCpu = intervalOf(pairs.map(({ ours, theirs }) => value(theirs, 'cpu') / value(ours, 'cpu')));
  const failures: string[] = [];
  const require = (least: number): void => {
    if (speed.high < least) failures.push(`${name}: ${inWords(speed)} does not reach ${times(least)}`);
  };
  const milliseconds = median(pairs.map(({ ours }) => value(ours, TIME))).toFixed(0);
  if (name === GIVEN) {
    if (required !== undefined) require(GIVEN_AIM);
    const aim = `of: loop over the core (aim ≥ ${times(GIVEN_AIM)})`;
    const ratio = `${inWords(speed)} ${aim}; by CPU time ${times(byCpu.median)}`;
    return { row: { name, value: `${milliseconds} ms`, ratio }, failures };
  }
  sameWork(name, pairs);
  const memory = intervalOf(pairs.map(({ ours, theirs }) => value(ours, 'peak') / value(theirs, 'peak')));
  if (required !== undefined) {
    require(required);
    if (memory.median > MEMORY_LIMIT) {
      failures.push(`${name}: memory ${inWords(memory)} is above ${times(MEMORY_LIMIT)}`);
    }
  }
  const megabytes = (median(pairs.map(({ ours }) => value(ours, 'peak'))) / 1e6).toFixed(0);
  const ratio = `${inWords(speed)}; by CPU time ${inWords(byCpu)}; memory ${inWords(memory)}`;
  return { row: { name, value: `${milliseconds} ms, ${megabytes} MB`, ratio }, failures };
}

/** Builds that read other bytes cannot be compared. */
function sameWork(name: string, pairs: readonly Pair[]): void {
  const seen = new Set(pairs.flatMap(({ ours, theirs }) => [value(ours, 'bytes'), value(theirs, 'bytes')]));
  if (seen.size !== 1) throw new Error(`${name}: different numbers of bytes: ${[...seen].join(', ')}`);
}

function inWords({ median: middle, low, high }: Interval): string {
  return `${middle.toFixed(3)}× [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

/** Its commit, or its folder where there is none. */
function describe(folder: string): string {
  try {
    const args = ['-C', folder, 'describe', '--always', '--dirty', '--exclude', '*'];
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return folder;
  }
}
