/**
 * From the start of the command to the first byte of one small file of an image that
 * is behind delay: cold with either version of the index, with a warm store, and when
 * the first request leaves. Beside another build, if there is one, in the same rounds.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openRelay } from '../delayed-relay.js';
import { startDockerRegistry } from '../docker-registry.js';
import { type LinkSpeed, loopback } from '../link.js';
import { machineImage } from '../machine-image.js';
import { type Measures, run } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { inRounds, type Results, type Variant, value } from '../rounds.js';

const ROUNDS = 15;
const LINK: LinkSpeed = { roundTripMs: 20, megabits: 200 };
const TITLE = 'from the start of the command to the first byte';
const THEIRS = 'baseline';

/** One run of the command. */
interface CommandRun {
  /** The package whose command it is. */
  readonly folder: string;
  readonly args: readonly string[];
  /** HOME, empty for a cold run. */
  readonly home: string;
}

export async function firstByte(baseline: string | undefined): Promise<Report> {
  const image = await machineImage();
  if (image === undefined) {
    return {
      title: TITLE,
      conditions: 'needs docker-registry (the Debian package of that name)',
      rows: [{ name: 'not measured', value: '' }],
      raw: {},
    };
  }
  await run('npm', ['run', '--silent', 'build']);
  const registry = await startDockerRegistry(image.storage, loopback());
  let sent = Number.NaN;
  const relay = await openRelay(Number(registry.host.split(':')[1]), LINK, () => {
    if (Number.isNaN(sent)) sent = performance.now();
  });
  const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-first-byte-'));
  const measure = async (command: CommandRun): Promise<Measures> => {
    const start = performance.now();
    sent = Number.NaN;
    const { firstByte: byte, end } = await runCommand(command);
    return { firstRequest: sent - start, firstByte: byte - start, end: end - start };
  };
  const inNewHome = async (make: (home: string) => CommandRun): Promise<Measures> => {
    const home = mkdtempSync(join(folder, 'home-'));
    try {
      return await measure(make(home));
    } finally {
      rmSync(home, { recursive: true });
    }
  };
  const upper = image.together[0] ?? '';
  const files = {
    'v2 index': ['v2', image.smallFile],
    'v1 index': ['v1', image.smallFile],
    'v2 index, an upper layer': ['v2', upper],
  } as const;
  const cat = (version: string, path: string): string[] => [
    'cat',
    `${relay.host}/bench/${version}:latest`,
    path,
    '--quiet',
  ];
  const variants = Object.entries(files).flatMap(([name, [version, path]]): Variant[] =>
    [process.cwd(), ...(baseline === undefined ? [] : [resolve(baseline)])].map((from, place) => ({
      name: place === 0 ? name : `${name} ${THEIRS}`,
      run: () => inNewHome(home => ({ folder: from, args: cat(version, path), home })),
    })),
  );
  const store = join(folder, 'store');
  const warm = (): CommandRun => ({
    folder: process.cwd(),
    args: [...cat('v2', image.smallFile), '--store', store],
    home: folder,
  });
  try {
    await runCommand(warm());
    const results = await inRounds(ROUNDS, [...variants, { name: 'store warm', run: () => measure(warm()) }]);
    return {
      title: TITLE,
      conditions: `${LINK.roundTripMs} ms, ${LINK.megabits} Mbit/s by a relay on loopback; files of this machine in ${image.layers} layers, the last below the size for a ztoc; docker-registry without TLS and login; a fresh process each, whose start counts; medians of ${ROUNDS} rounds`,
      rows: [...Object.keys(files), 'store warm'].flatMap(name => rowsOf(results, name)),
      raw: results.raw,
    };
  } finally {
    await relay.close();
    await registry.stop();
    rmSync(folder, { recursive: true });
  }
}

async function runCommand({ folder, args, home }: CommandRun): Promise<{ firstByte: number; end: number }> {
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  const script = join(folder, bin['seekable-oci'] ?? '');
  if (!existsSync(script)) throw new Error(`${script} is not there: npm ci && npm run build in ${folder}`);
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH: process.env['PATH'], HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let firstByte = Number.NaN;
  child.stdout.once('data', () => {
    firstByte = performance.now();
  });
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`${script} ${args.join(' ')}: ended with ${status}`);
  return { firstByte, end: performance.now() };
}

function rowsOf(results: Results, name: string): Row[] {
  const ours = results.of(name);
  const isCompared = `${name} ${THEIRS}` in results.raw;
  const theirs = isCompared ? results.of(`${name} ${THEIRS}`) : undefined;
  const against = (key: string): string =>
    theirs === undefined
      ? ''
      : `; ${times(value(theirs, key) / value(ours, key))} as fast as the baseline's ${value(theirs, key).toFixed(0)} ms`;
  return [
    { name, value: `${value(ours, 'firstByte').toFixed(0)} ms`, ratio: `first byte${against('firstByte')}` },
    {
      name: '',
      value: `${value(ours, 'firstRequest').toFixed(0)} ms`,
      ratio: `first request${against('firstRequest')}`,
    },
  ];
}
