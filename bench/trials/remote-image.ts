/** Reading an image in a registry with nothing cached; downloading, unpacking and indexing all of it. */
import { spawn } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  createIndex,
  type HttpRequestEvent,
  type Image,
  openImage,
  openImageLocation,
  RegistryTransport,
} from '../../lib/index.js';

export interface RemoteImageParameters {
  readonly task: 'read' | 'list' | 'index' | 'download' | 'untar';
  /** `host:port/repository:tag` */
  readonly reference: string;
  /** Files to read, all at the same time. */
  readonly paths?: readonly string[];
  /** File to which the requests are written as JSON. */
  readonly log?: string;
}

/** One request, in the order in which they were sent. Milliseconds are those since the work began. */
export interface RequestRecord {
  readonly what: string;
  readonly status: number;
  readonly bytes: number;
  readonly start: number;
  readonly end: number;
  /** 1 + the highest of those that had ended when it was sent. */
  readonly depth: number;
}

/** The diagnostics channel of undici, on which our HTTP client sits. */
const CONNECTED = 'undici:client:connected';
const REQUEST = 'seekable-oci:http:request';

export async function remoteImage(parameters: RemoteImageParameters): Promise<Record<string, number>> {
  const beforeWork = performance.now();
  const cpu = process.cpuUsage();
  const observed = observe();
  const result = await TASKS[parameters.task](parameters);
  // Events are published when a body has ended, which may be after it was used.
  const milliseconds = result.milliseconds ?? performance.now() - beforeWork;
  const { user, system } = process.cpuUsage(cpu);
  const requests = observed.requests(beforeWork, result.names ?? new Map());
  if (parameters.log !== undefined) writeFileSync(parameters.log, JSON.stringify(requests));
  return {
    milliseconds,
    cpu: (user + system) / 1000,
    requests: result.requests ?? requests.length,
    bytes: result.bytes ?? requests.reduce((sum, { bytes }) => sum + bytes, 0),
    depth: Math.max(0, ...requests.map(({ depth }) => depth)),
    connections: observed.connections(),
    count: result.count,
    processStart: beforeWork,
  };
}

interface TaskResult {
  /** Files read, names listed, bytes indexed. */
  readonly count: number;
  readonly milliseconds?: number;
  /** What a digest or a tag is, to name requests. */
  readonly names?: ReadonlyMap<string, string>;
  /** Of a task that does without our client. */
  readonly requests?: number;
  readonly bytes?: number;
}

type Task = (parameters: RemoteImageParameters) => Promise<TaskResult>;

const TASKS: Readonly<Record<RemoteImageParameters['task'], Task>> = {
  async read({ reference, paths = [] }) {
    const start = performance.now();
    return await withImage(reference, async image => {
      await Promise.all(paths.map(path => image.readFile(path)));
      const milliseconds = performance.now() - start;
      return { count: paths.length, milliseconds, names: namesOf(image) };
    });
  },

  async list({ reference }) {
    const start = performance.now();
    return await withImage(reference, async image => {
      const { length: count } = await image.readdir('/', { recursive: true, withFileTypes: true });
      return { count, milliseconds: performance.now() - start, names: namesOf(image) };
    });
  },

  async index({ reference }) {
    const transport = registry();
    const { indexes } = await createIndex(openImageLocation(reference, transport));
    await transport.close();
    const layers = indexes.flatMap(index => index.layers);
    return { count: layers.reduce((sum, { layer }) => sum + layer.size, 0) };
  },

  download: parameters =>
    eachLayer(parameters, async body => {
      for await (const _ of body);
    }),

  async untar(parameters) {
    const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-untar-'));
    try {
      const start = performance.now();
      // Each layer into a folder of its own, which no real unpacking may do: they would have to wait for each other.
      const result = await eachLayer(parameters, async body => {
        const target = mkdtempSync(join(folder, 'layer-'));
        const tar = spawn('tar', ['-xzf', '-', '-C', target], { stdio: ['pipe', 'ignore', 'inherit'] });
        const [[status]] = await Promise.all([once(tar, 'close'), pipeline(body, tar.stdin)]);
        if (status !== 0) throw new Error(`tar ended with ${status}`);
      });
      return { ...result, milliseconds: performance.now() - start };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

function registry(): RegistryTransport {
  return new RegistryTransport({ credentials: null, env: {}, hosts: { '*': { plainHttp: true } } });
}

async function withImage<T>(reference: string, body: (image: Image) => Promise<T>): Promise<T> {
  const transport = registry();
  const image = await openImage(reference, { transport, platform: undefined });
  const result = await body(image);
  await image.close();
  await transport.close();
  return result;
}

/** As any client without an index does: the manifest, then all layers at the same time, over plain node:http. */
async function eachLayer(
  { reference }: RemoteImageParameters,
  use: (body: Readable) => Promise<void>,
): Promise<TaskResult> {
  const [, root = '', repository = '', tag = ''] = /^([^/]+)\/(.+):([^:]+)$/.exec(reference) ?? [];
  const api = `http://${root}/v2/${repository}`;
  let document = '';
  const accept = 'application/vnd.oci.image.manifest.v1+json';
  for await (const text of (await open(`${api}/manifests/${tag}`, accept)).setEncoding('utf8'))
    document += text;
  const { layers } = JSON.parse(document) as { layers: { digest: string; size: number }[] };
  await Promise.all(layers.map(async ({ digest }) => use(await open(`${api}/blobs/${digest}`, '*/*'))));
  const bytes = layers.reduce((sum, { size }) => sum + size, 0);
  return { count: layers.length, requests: layers.length + 1, bytes: bytes + document.length };
}

function open(url: string, accept: string): Promise<Readable> {
  return new Promise((resolve, reject) => {
    const request = get(url, { headers: { accept } }, response => {
      if (response.statusCode === 200) resolve(response);
      else reject(new Error(`${url}: status ${response.statusCode}`));
    });
    request.on('error', reject);
  });
}

function namesOf(image: Image): ReadonlyMap<string, string> {
  const { manifest, descriptor } = image.manifest;
  const found = image.index?.found;
  const names = new Map([
    ['latest', found?.via === 'annotation' ? 'tag: the image index' : 'tag: the manifest'],
    [descriptor.digest, 'manifest'],
    [manifest.config.digest, 'config'],
    [descriptor.digest.replace(':', '-'), 'tag of the referrers'],
    ...(found === undefined ? [] : [[found.descriptor.digest, 'SOCI index'] as const]),
  ]);
  image.layers.forEach(({ descriptor: layer, ztoc, opened }, position) => {
    names.set(layer.digest, opened === 'built' ? `all of layer ${position}` : `spans of layer ${position}`);
    if (ztoc !== undefined) names.set(ztoc.digest, `ztoc of layer ${position}`);
  });
  return names;
}

/** Counts what our client sends from now on. */
function observe(): {
  requests(since: number, names: ReadonlyMap<string, string>): RequestRecord[];
  connections(): number;
} {
  const events: (HttpRequestEvent & { readonly end: number })[] = [];
  let connections = 0;
  subscribe(REQUEST, event => events.push({ ...(event as HttpRequestEvent), end: performance.now() }));
  subscribe(CONNECTED, () => {
    connections++;
  });
  return {
    connections: () => connections,
    requests(since, names) {
      const records: RequestRecord[] = [];
      for (const event of events.sort((a, b) => a.end - a.ms - (b.end - b.ms))) {
        const { pathname } = new URL(event.url);
        const target = pathname.slice(pathname.lastIndexOf('/') + 1);
        const what = pathname.includes('/referrers/') ? 'referrers API' : (names.get(target) ?? target);
        const [start, end] = [event.end - event.ms - since, event.end - since];
        const before = records.filter(record => record.end <= start).map(({ depth }) => depth);
        const { status = 0, bytes } = event;
        records.push({ what, status, bytes, start, end, depth: 1 + Math.max(0, ...before) });
      }
      return records;
    },
  };
}
