/**
 * An image in a real registry behind real delay: from nothing to one file, to 100
 * files and to the listing, against downloading and unpacking it; how fast it is
 * indexed, against the download alone. And which requests a first read makes.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDockerRegistry } from '../docker-registry.js';
import { type Link, type LinkSpeed, linkTool, loopback, openLink } from '../link.js';
import { type MachineImage, machineImage } from '../machine-image.js';
import { type Measures, run } from '../process.js';
import { megabytesPerSecond, type Report, type Row, times } from '../report.js';
import { inRounds, type Medians, type Results, value } from '../rounds.js';
import type { RemoteImageParameters, RequestRecord } from '../trials/remote-image.js';

const ROUNDS = 5;
const SPEEDS: readonly LinkSpeed[] = [
  { roundTripMs: 20, megabits: 200 },
  { roundTripMs: 2, megabits: 1000 },
];
const TITLE = 'image in a registry';

const FIRST_V2 = 'one small file, v2 index';
const FIRST_V1 = 'one small file, v1 index';
const SCATTERED = '100 files of all layers';
const TOGETHER = '100 files of one package';
const LISTING = 'listing of all names';
const UNTAR = 'download and untar';
const DOWNLOAD = 'download alone';
const INDEX = 'create an index';
const READS = [FIRST_V2, FIRST_V1, TOGETHER, SCATTERED, LISTING];

export async function remoteImage(): Promise<Report> {
  const image = await machineImage();
  if (image === undefined) {
    return {
      title: TITLE,
      conditions: 'needs docker-registry (the Debian package of that name)',
      rows: [{ name: 'not measured', value: '' }],
      raw: {},
    };
  }
  const tool = linkTool();
  const links = tool === undefined ? [loopback] : SPEEDS.map(speed => () => openLink(tool, speed));
  const rows: Row[] = [];
  const raw: Record<string, unknown> = {};
  for (const open of links) {
    const link = await open();
    try {
      const { results, logs } = await measure(image, link);
      rows.push({ name: `[${link.description}]`, value: '' }, ...resultRows(results, image));
      rows.push(...requestRows('v2 index', logs.v2), ...requestRows('v1 index', logs.v1));
      raw[link.description] = { trials: results.raw, requests: logs };
    } finally {
      await link.close();
    }
  }
  return { title: TITLE, conditions: conditions(image), rows: [...rows, ...notes()], raw };
}

interface Logs {
  readonly v2: readonly RequestRecord[];
  readonly v1: readonly RequestRecord[];
}

async function measure(image: MachineImage, link: Link): Promise<{ results: Results; logs: Logs }> {
  const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-requests-'));
  const registry = await startDockerRegistry(image.storage, link);
  const [v1, v2] = [`${registry.host}/bench/v1:latest`, `${registry.host}/bench/v2:latest`];
  const log = (name: string): string => join(folder, name);
  const trials: Readonly<Record<string, RemoteImageParameters>> = {
    [FIRST_V2]: { task: 'read', reference: v2, paths: [image.smallFile], log: log('v2') },
    [FIRST_V1]: { task: 'read', reference: v1, paths: [image.smallFile], log: log('v1') },
    [TOGETHER]: { task: 'read', reference: v2, paths: image.together },
    [SCATTERED]: { task: 'read', reference: v2, paths: image.scattered },
    [LISTING]: { task: 'list', reference: v2 },
    [UNTAR]: { task: 'untar', reference: v1 },
    [DOWNLOAD]: { task: 'download', reference: v1 },
    [INDEX]: { task: 'index', reference: v1 },
  };
  try {
    const variants = Object.entries(trials).map(([name, parameters]) => ({
      name,
      run: () => clientTrial(link, parameters),
    }));
    const results = await inRounds(ROUNDS, variants);
    const read = (name: string): RequestRecord[] => JSON.parse(readFileSync(log(name), 'utf8'));
    return { results, logs: { v2: read('v2'), v1: read('v1') } };
  } finally {
    await registry.stop();
    rmSync(folder, { recursive: true });
  }
}

/** A trial in a process of its own at the client's end of the link. */
async function clientTrial(link: Link, parameters: RemoteImageParameters): Promise<Measures> {
  const script = fileURLToPath(new URL('../trial.js', import.meta.url));
  const args = [script, 'remoteImage', JSON.stringify(parameters)];
  return JSON.parse(await run(...link.at('client', process.execPath, args))) as Measures;
}

function resultRows(results: Results, image: MachineImage): Row[] {
  const untar = results.of(UNTAR);
  const download = results.of(DOWNLOAD);
  const index = results.of(INDEX);
  const rows = READS.map((name): Row => {
    const got = results.of(name);
    const faster = times(value(untar, 'milliseconds') / value(got, 'milliseconds'));
    const chain = `${value(got, 'depth')} after each other, ${value(got, 'connections')} connections`;
    const share = ((value(got, 'bytes') / image.bytes) * 100).toFixed(1);
    return {
      name,
      value: milliseconds(got),
      ratio: `${faster} as fast as download and untar; ${value(got, 'requests')} requests (${chain}), ${megabytes(value(got, 'bytes'))} = ${share} % of the image`,
    };
  });
  rows.push({
    name: UNTAR,
    value: milliseconds(untar),
    ratio: `${value(untar, 'requests')} requests, ${megabytes(value(untar, 'bytes'))}`,
  });
  const rate = megabytesPerSecond(value(download, 'bytes'), value(download, 'milliseconds'));
  rows.push({ name: DOWNLOAD, value: milliseconds(download), ratio: rate });
  const indexRate = megabytesPerSecond(value(index, 'count'), value(index, 'milliseconds'));
  const slower = times(value(index, 'milliseconds') / value(download, 'milliseconds'));
  rows.push({
    name: INDEX,
    value: milliseconds(index),
    ratio: `${indexRate}; ${slower} of the download alone`,
  });
  return rows;
}

function requestRows(what: string, requests: readonly RequestRecord[]): Row[] {
  const title = { name: `requests of one small file, ${what}`, value: '' };
  return [
    title,
    ...requests.map(({ what: name, status, bytes, start, end, depth }): Row => {
      const [from, until] = [start.toFixed(0), end.toFixed(0)];
      return {
        name: `  ${depth}. ${name}`,
        value: `${from}–${until} ms`,
        ratio: `status ${status}, ${bytes < 1e5 ? `${bytes} B` : megabytes(bytes)}`,
      };
    }),
  ];
}

/** Which round trips remain, and why. */
function notes(): Row[] {
  const why: Readonly<Record<string, string>> = {
    'tag, manifest':
      'only the answer names the next digest; an image index costs one more than a lone manifest',
    'SOCI index':
      'v2: the manifest names it; v1: asked for, and without a referrers API asked for again by tag',
    config: 'beside the index, waited for by nobody who has ztocs',
    ztocs: 'the index names them; all at the same time, each whole, since only the whole has a digest',
    'ztocs to spans':
      'no round trip but work: the tables of all layers become one tree before a path is looked up',
    spans: 'the ztoc names them; one request per run of neighbouring spans',
    connections: 'one round trip each: the first one, and one for every further request at the same time',
  };
  const rows = Object.entries(why).map(([name, ratio]): Row => ({ name: `  ${name}`, value: '', ratio }));
  return [{ name: 'which round trips remain', value: '' }, ...rows];
}

function conditions(image: MachineImage): string {
  const { layers, names, bytes, plainBytes } = image;
  const size = `${megabytes(bytes)} compressed, ${megabytes(plainBytes)} plain, ${names} names in ${layers} layers`;
  return `files of this machine, gzip -6, ${size}, the last below the size for a ztoc; docker-registry, HTTP/1.1 without TLS and login, its files in the page cache; fresh processes, nothing cached, from the call of openImage; medians of ${ROUNDS}`;
}

function milliseconds(medians: Medians): string {
  return `${value(medians, 'milliseconds').toFixed(0)} ms`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`;
}
